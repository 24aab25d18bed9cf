//! Blobs whose TOC and tar do not say the same.

mod landmarks;
mod two_readings;

use frame_codec::{Compression, Encoder};
use image_model::{Blame, Device, Fault, FileKind, Limits, Node, Timestamp};
use lazyoci_estargz_toc::compare::{
    Both, CompareError, CompareOptions, Disagreement, Readings, compare,
};
use lazyoci_estargz_toc::toc::{EntryType, Toc, TocEntry};
use lazyoci_estargz_toc::write::toc_member;
use lazyoci_estargz_toc::{Landmark, footer};

use verify::sha256;

use crate::common::{Options, TreeMaker, Written, decode, golden, metadata, open, path};

/// The blob with its TOC changed by `change`.
fn with_toc(blob: &[u8], change: impl FnOnce(&mut Toc<'_>)) -> Vec<u8> {
    let opened = open(blob).unwrap();
    let mut toc = Toc::from_json(&opened.json, &Limits::default()).unwrap();
    change(&mut toc);
    let mut changed = blob[..opened.toc_offset as usize].to_vec();
    let mut encoder = Encoder::new(Compression::Gzip { level: 6 }).unwrap();
    let member = toc_member(&toc.to_json()).unwrap();
    encoder.encode_frame(&member, &mut changed).unwrap();
    changed.extend(footer::encode(opened.toc_offset));
    changed
}

pub(crate) fn found(blob: &[u8]) -> Vec<(String, Readings)> {
    let mut found = Vec::new();
    let mut report = |Disagreement { path, readings }: Disagreement| {
        found.push((path.to_string(), readings));
    };
    compare(&decode(blob), blob, &CompareOptions::default(), &mut report).unwrap();
    found
}

fn both<T>(toc: T, tar: T) -> Both<T> {
    Both { toc, tar }
}

fn sample() -> Written {
    let mut maker = TreeMaker::new();
    maker.directory("d", 0o755, 7);
    let file = maker.file("d/file", &[b'a'; 25]);
    maker.name("d/link", file);
    maker.file("d/one", b"1");
    maker.add("sym", metadata(0o777, 0), Node::Symlink((*b"d").into()));
    let device = Device { major: 1, minor: 2 };
    maker.add("dev", metadata(0o600, 0), Node::CharDevice(device));
    maker.write(&Options {
        chunk_size: 10,
        ..Options::default()
    })
}

fn entry<'t, 'a>(toc: &'t mut Toc<'a>, name: &str) -> &'t mut TocEntry<'a> {
    toc.entries
        .iter_mut()
        .find(|entry| entry.name == name)
        .unwrap()
}

/// Changing the entry `name` by `change` makes these disagreements.
#[track_caller]
fn one_change(name: &str, change: impl FnOnce(&mut TocEntry<'_>), expected: &[(&str, Readings)]) {
    let blob = with_toc(&sample().blob, |toc| change(entry(toc, name)));
    let found = found(&blob);
    let found: Vec<_> = found
        .iter()
        .map(|(path, r)| (path.as_str(), r.clone()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn nothing_when_they_agree() {
    assert_eq!(found(&sample().blob), []);
    assert_eq!(found(&with_toc(&sample().blob, |_| ())), []);
}

#[test]
fn attributes() {
    one_change(
        "dev",
        |e| e.mode = 0o666,
        &[("/dev", Readings::Mode(both(0o666, 0o600)))],
    );
    one_change("dev", |e| e.uid = 5, &[("/dev", Readings::Uid(both(5, 0)))]);
    one_change("dev", |e| e.gid = 6, &[("/dev", Readings::Gid(both(6, 0)))]);
    let numbers = both(Device { major: 9, minor: 2 }, Device { major: 1, minor: 2 });
    one_change(
        "dev",
        |e| e.dev_major = 9,
        &[("/dev", Readings::Device(numbers))],
    );
    let times = both(Timestamp::from_seconds(8), Timestamp::from_seconds(7));
    let time = "1970-01-01T00:00:08Z";
    one_change(
        "d/",
        |e| e.modtime = time.into(),
        &[("/d", Readings::Mtime(times.clone()))],
    );
    let times = both(Timestamp::from_seconds(8), Timestamp::EPOCH);
    one_change(
        "./",
        |e| e.modtime = time.into(),
        &[("/", Readings::Mtime(times))],
    );
    let targets = both((*b"/etc").into(), (*b"d").into());
    one_change(
        "sym",
        |e| e.link_name = "/etc".into(),
        &[("/sym", Readings::Target(targets))],
    );
    let kinds = both(FileKind::Fifo, FileKind::CharDevice);
    one_change(
        "dev",
        |e| e.kind = EntryType::Fifo,
        &[("/dev", Readings::Kind(kinds))],
    );
}

#[test]
fn extended_attributes() {
    let blob = with_toc(&sample().blob, |toc| {
        entry(toc, "dev").xattrs = vec![("user.a".into(), "AA==".into())];
    });
    match &found(&blob)[..] {
        [(at, Readings::Xattrs(Both { toc, tar }))] => {
            assert_eq!((at.as_str(), toc.len(), tar.len()), ("/dev", 1, 0));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn paths_of_one_side() {
    let blob = with_toc(&sample().blob, |toc| {
        entry(toc, "dev").name = "dev2".into();
    });
    assert_eq!(
        found(&blob),
        [
            ("/dev".to_owned(), Readings::OnlyInTar(FileKind::CharDevice)),
            (
                "/dev2".to_owned(),
                Readings::OnlyInToc(FileKind::CharDevice)
            ),
        ]
    );
}

#[test]
fn content() {
    let (one, two) = (sha256(b"1"), sha256(b"2"));
    let contents = Readings::Content(both(Some(two), Some(one)));
    one_change(
        "d/one",
        |e| {
            e.digest = two.to_string().into();
            e.chunk_digest = e.digest.clone();
        },
        &[("/d/one", contents)],
    );
    let whole = sha256(&[b'a'; 25]);
    one_change(
        "d/file",
        |e| e.digest = two.to_string().into(),
        &[
            ("/d/file", Readings::Content(both(Some(two), Some(whole)))),
            ("/d/link", Readings::Content(both(Some(two), Some(whole)))),
        ],
    );
    one_change(
        "d/file",
        |e| e.chunk_digest = two.to_string().into(),
        &[
            ("/d/file", Readings::ChunkDigests),
            ("/d/link", Readings::ChunkDigests),
        ],
    );
}

#[test]
fn sizes() {
    // The last chunk of `d/file` is left out.
    let blob = with_toc(&sample().blob, |toc| {
        let last = toc.entries.iter().rposition(|e| e.kind == EntryType::Chunk);
        toc.entries.remove(last.unwrap());
        entry(toc, "d/file").size = 20;
    });
    assert_eq!(
        found(&blob),
        [
            ("/d/file".to_owned(), Readings::Size(both(20, 25))),
            ("/d/link".to_owned(), Readings::Size(both(20, 25))),
        ]
    );
}

#[test]
fn hard_links() {
    let blob = with_toc(&sample().blob, |toc| {
        entry(toc, "d/link").link_name = "d/one".into();
    });
    let found = found(&blob);
    let links = |toc, tar| Readings::Links(both(Some(path(toc)), Some(path(tar))));
    let of = |at: &str| -> Vec<_> {
        let all = found.iter().filter(|(path, _)| path == at);
        all.map(|(_, readings)| readings.clone()).collect()
    };
    assert_eq!(
        of("/d/link"),
        [Readings::Size(both(1, 25)), links("d/link", "d/file")]
    );
    let file = Readings::Links(both(None, Some(path("d/file"))));
    assert_eq!(of("/d/file"), [file]);
    let one = Readings::Links(both(Some(path("d/link")), None));
    assert_eq!(of("/d/one"), [one]);
}

#[test]
fn landmarks() {
    let blob = with_toc(&sample().blob, |toc| {
        toc.entries.remove(0);
    });
    let readings = Readings::Landmark(both(None, Some(Landmark::NoPrefetch)));
    assert_eq!(found(&blob), [("/".to_owned(), readings)]);
    let blob = with_toc(&sample().blob, |toc| {
        toc.entries[0].name = Landmark::Prefetch.name().into();
    });
    let readings = Readings::Landmark(both(Some(Landmark::Prefetch), Some(Landmark::NoPrefetch)));
    assert_eq!(found(&blob), [("/".to_owned(), readings)]);
}

#[test]
fn disagreements_read_well() {
    let blob = with_toc(&sample().blob, |toc| {
        entry(toc, "dev").mode = 0o4777;
        entry(toc, "sym").link_name = "x\ny".into();
        toc.entries.remove(0);
    });
    let mut lines = Vec::new();
    let mut report = |found: Disagreement| lines.push(found.to_string());
    compare(
        &decode(&blob),
        &blob[..],
        &CompareOptions::default(),
        &mut report,
    )
    .unwrap();
    assert_eq!(
        lines,
        [
            "/: landmark none in the TOC, .no.prefetch.landmark in the tar",
            "/dev: mode 4777 in the TOC, 0600 in the tar",
            "/sym: target \"x\\ny\" in the TOC, \"d\" in the tar",
        ]
    );
}

/// What is odd about the tar and read all the same comes back: of members, and of the layer.
#[test]
fn oddities_of_the_tar_inside_are_advisories() {
    let mut blob = Vec::new();
    let mut encoder = Encoder::new(Compression::Gzip { level: 6 }).unwrap();
    let mut tar = tar_stream::TarWriter::new(Vec::new());
    let metadata = metadata(0o755, 0);
    for (at, node) in [
        ("d", Node::<()>::empty_directory()),
        ("l", Node::Symlink((*b"d").into())),
        ("l/below", Node::Fifo),
    ] {
        tar.append(&path(at), &metadata, &node).unwrap();
    }
    let mut tar = tar.finish().unwrap();
    // The second header block: a size for the symbolic link.
    let block = &mut tar[512..1024];
    block[124..136].copy_from_slice(b"00000000001\0");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().copied().map(u32::from).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    encoder.encode_frame(&tar, &mut blob).unwrap();

    let decoded = decode(&sample().blob);
    let found = compare(&decoded, &blob[..], &CompareOptions::default(), &mut |_| {}).unwrap();
    let found: Vec<_> = found.kept().iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "/l: size 1 for a member without content",
            "/l/below: lies below a symbolic link, and is placed where the link leads",
        ]
    );
}

#[test]
fn a_damaged_layer_is_an_error() {
    let blob = golden("vector1.esgz");
    let decoded = decode(&blob);
    let compare = |blob: &[u8]| {
        let report = &mut |found| panic!("{found}");
        compare(&decoded, blob, &CompareOptions::default(), report).unwrap_err()
    };
    let mut flipped = blob.clone();
    flipped[100] ^= 1;
    let error = compare(&flipped);
    assert!(matches!(error, CompareError::Tar(_)), "{error:?}");
    assert_eq!(error.fault(), Fault::Corrupt);
    let error = compare(&blob[..blob.len() - 60]);
    assert_eq!(error.fault(), Fault::Corrupt);
}
