//! Blobs whose TOC and tar do not say the same.

use std::io::Write as _;

use estargz_toc::compare::{Both, CompareError, CompareOptions, Disagreement, Readings, compare};
use estargz_toc::toc::{EntryType, Toc, TocEntry};
use estargz_toc::write::toc_member;
use estargz_toc::{Landmark, footer};
use frame_codec::{Compression, Encoder};
use image_model::{Blame, Device, Fault, FileKind, Limits, Node, Timestamp};

use tar_stream::TarWriter;
use verify::sha256;

use crate::common::{
    Options, TreeMaker, Written, content_at, decode, golden, metadata, open, path,
};

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

fn found(blob: &[u8]) -> Vec<(String, Readings)> {
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

/// A header of a file.
fn header(name: &str, mode: u16, size: u64) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    let node: Node<()> = Node::File { size, content: () };
    tar.append(&path(name), &metadata(mode, 0), &node).unwrap();
    tar.write_all(&vec![0; size as usize]).unwrap();
    tar.finish().unwrap()[..512].to_vec()
}

fn link(name: &str, target: &str) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    tar.append_link(&path(name), &metadata(0o644, 0), &path(target))
        .unwrap();
    tar.finish().unwrap()[..512].to_vec()
}

/// Content and its padding.
fn padded(content: &[u8]) -> Vec<u8> {
    let mut padded = content.to_vec();
    padded.resize(content.len().next_multiple_of(512), 0);
    padded
}

/// A blob of these members; `entries` is told where they are.
fn blob_of(members: &[Vec<u8>], entries: impl Fn(&[usize]) -> String) -> Vec<u8> {
    let mut encoder = Encoder::new(Compression::Gzip { level: 6 }).unwrap();
    let (mut blob, mut offsets) = (Vec::new(), Vec::new());
    for member in members {
        offsets.push(blob.len());
        encoder.encode_frame(member, &mut blob).unwrap();
    }
    let toc_offset = blob.len() as u64;
    let json = format!(r#"{{"version":1,"entries":[{}]}}"#, entries(&offsets));
    let member = toc_member(json.as_bytes()).unwrap();
    encoder.encode_frame(&member, &mut blob).unwrap();
    blob.extend(footer::encode(toc_offset));
    blob
}

/// A file of two chunks of two bytes each: its TOC entries.
fn two_chunks(name: &str, whole: &[u8], chunks: [(&[u8], usize); 2]) -> String {
    let [(first, at), (second, then)] = chunks;
    let (whole, first, second) = (sha256(whole), sha256(first), sha256(second));
    format!(
        r#"{{"name":"{name}","type":"reg","size":4,"mode":420,"offset":{at},"chunkSize":2,
            "digest":"{whole}","chunkDigest":"{first}"}},
        {{"name":"{name}","type":"chunk","offset":{then},"chunkOffset":2,"chunkDigest":"{second}"}}"#
    )
}

/// What a lazy reader gets of `b` is nowhere among the files of the tar, whatever the TOC claims of
/// the whole file.
#[test]
fn chunks_of_a_file_whose_content_the_tar_has_elsewhere() {
    let decoy = |first: &[&[u8]], name: &str| -> Vec<Vec<u8>> {
        let start = first.concat();
        let decoy = header(name, 0, 4);
        let rest = padded(b"YY")[..510].to_vec();
        vec![start, decoy, b"XX".to_vec(), rest]
    };
    let file = Readings::ChunkDigests;

    // By a hard link to what only looks like a landmark.
    let landmark = header(Landmark::NoPrefetch.name(), 0, 4);
    let target = link("b", Landmark::NoPrefetch.name());
    let members = decoy(&[&landmark, &padded(b"AAAA"), &target], "stargz.index.json");
    let blob = blob_of(&members, |at| {
        let b = two_chunks("b", b"AAAA", [(b"XX", at[2]), (b"YY", at[3])]);
        format!(
            r#"{{"name":"{}","type":"reg"}},{b}"#,
            Landmark::NoPrefetch.name()
        )
    });
    assert_eq!(content_at(&decode(&blob), &blob, "b"), b"XXYY");
    let found = found(&blob);
    assert!(
        found.contains(&("/b".to_owned(), file.clone())),
        "{found:?}"
    );
    let index = (
        "/stargz.index.json".to_owned(),
        Readings::OnlyInTar(FileKind::File),
    );
    assert!(found.contains(&index), "{found:?}");

    // By a hard link to a file that is replaced later.
    let (a, b) = (header("a", 0o644, 4), link("b", "a"));
    let members = [
        [&a[..], &padded(b"AAAA"), &b, &a].concat(),
        b"BB".to_vec(),
        [&padded(b"BB")[..510], &[0; 1024]].concat(),
        b"XX".to_vec(),
        b"YY".to_vec(),
    ];
    let blob = blob_of(&members, |at| {
        let a = two_chunks("a", b"BBBB", [(b"BB", at[1]), (b"BB", at[2])]);
        let b = two_chunks("b", b"AAAA", [(b"XX", at[3]), (b"YY", at[4])]);
        format!("{a},{b}")
    });
    assert_eq!(content_at(&decode(&blob), &blob, "b"), b"XXYY");
    let expected = [
        ("/".to_owned(), Readings::BehindEnd),
        ("/b".to_owned(), file),
    ];
    assert_eq!(self::found(&blob), expected);
}

#[test]
fn landmarks_and_tocs_that_are_none() {
    let evil = header(Landmark::NoPrefetch.name(), 0o4755, 600);
    let index = header("stargz.index.json", 0o4755, 2);
    let members = [[&evil[..], &padded(&[7; 600]), &index, &padded(b"{}")].concat()];
    let blob = blob_of(&members, |_| {
        format!(
            r#"{{"name":"{}","type":"reg"}}"#,
            Landmark::NoPrefetch.name()
        )
    });
    let only_in_tar = |path: &str| (path.to_owned(), Readings::OnlyInTar(FileKind::File));
    let landmark = Readings::Landmark(both(Some(Landmark::NoPrefetch), None));
    let expected = [
        ("/".to_owned(), landmark),
        only_in_tar("/.no.prefetch.landmark"),
        only_in_tar("/stargz.index.json"),
    ];
    assert_eq!(found(&blob), expected);
}

#[test]
fn members_behind_the_end() {
    let fifo = |name: &str| {
        let mut tar = TarWriter::new(Vec::new());
        let node: Node<()> = Node::Fifo;
        tar.append(&path(name), &metadata(0o644, 0), &node).unwrap();
        tar.finish().unwrap()
    };
    let entry = r#"{"name":"a","type":"fifo","mode":420}"#;
    let of = |members: &[Vec<u8>]| found(&blob_of(members, |_| entry.into()));
    let behind = [("/".to_owned(), Readings::BehindEnd)];
    // As the reference implementation's library writes it when it keeps a tar as it was.
    assert_eq!(of(&[fifo("a")]), []);
    assert_eq!(of(&[fifo("a"), vec![0; 8192]]), []);
    assert_eq!(of(&[fifo("a"), fifo("hidden")]), behind);
    assert_eq!(of(&[fifo("a"), b"x".to_vec()]), behind);
    let another = [header("stargz.index.json", 0, 2), padded(b"{}")].concat();
    assert_eq!(of(&[fifo("a"), another]), behind);
    // The TOC twice, once behind the end.
    let json = format!(r#"{{"version":1,"entries":[{entry}]}}"#);
    let inside = toc_member(json.as_bytes()).unwrap();
    let start = fifo("a")[..512].to_vec();
    assert_eq!(of(&[start, inside]), behind);
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
