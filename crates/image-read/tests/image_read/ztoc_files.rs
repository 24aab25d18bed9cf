//! What a zTOC lists of a tar, and what it cannot.

use bytes::Bytes;
use image_model::{Blame, Device, Fault, Limits, Node, Timestamp};
use lazyoci_image_read::soci_ztoc::{FileMetadata, FileType, PaxRecord};
use lazyoci_image_read::{LayerIndex, LayerIndexError, OpenOptions, Unlisted, ZtocOptions};
use proptest::prelude::*;
use tar_stream::TarReadOptions;

use crate::indexed::{digest, found, gzip, open};
use crate::support::tar;
use crate::ztoc::build;

const NAME: std::ops::Range<usize> = 0..100;
const MODE: std::ops::Range<usize> = 100..108;
const UID: std::ops::Range<usize> = 108..116;
const GID: std::ops::Range<usize> = 116..124;
const TYPE: usize = 156;
const LINK: std::ops::Range<usize> = 157..257;
const GNU_MAGIC: &[u8] = b"ustar  \0";

/// Writes `bytes` into a field of a header, and zeros behind.
fn put(header: &mut [u8], field: std::ops::Range<usize>, bytes: &[u8]) {
    let field = &mut header[field];
    field.fill(0);
    field[..bytes.len()].copy_from_slice(bytes);
}

/// What the zTOC of `tar` lists.
fn listed(tar: &[u8]) -> Vec<FileMetadata> {
    build(tar, 1_000).unwrap().ztoc().unwrap().files.clone()
}

/// A file of the zTOC with what each member of [`tar::Builder`] has.
fn file(name: &'static [u8], kind: FileType, offset: u64, mode: i64) -> FileMetadata {
    FileMetadata::new(name, kind)
        .offset(offset)
        .mode(mode)
        .modified(Timestamp::from_seconds(1_600_000_000))
}

fn records(list: &[(&'static str, &'static str)]) -> Vec<PaxRecord> {
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    let record = |&(key, value)| PaxRecord {
        key: bytes(key),
        value: bytes(value),
    };
    list.iter().map(record).collect()
}

/// Whiteouts and what eStargz puts into layers are files like others, as in the reference writer.
#[test]
fn each_kind_of_member_is_listed() {
    let mut tar = tar::Builder::new();
    tar.changed("root", b"", |header| {
        put(header, NAME, b"./");
        header[TYPE] = b'5';
    });
    tar.directory("d");
    tar.file("d/f", &[1; 700]);
    tar.link("d/h", "d/f");
    tar.symlink("d/l", "../d/f");
    let device = Device { major: 8, minor: 1 };
    tar.node("c", &Node::CharDevice(device));
    tar.node("b", &Node::BlockDevice(device));
    tar.node("p", &Node::Fifo);
    tar.file("d/.wh.gone", b"");
    tar.file("d/.wh..wh..opq", b"");
    tar.file(".no.prefetch.landmark", b"\x0f");
    tar.file("stargz.index.json", b"{}");
    let found = listed(&tar.finish());
    let devices = |file: FileMetadata| file.devmajor(8).devminor(1);
    let link = file(b"d/h", FileType::HardLink, 3_072, 0)
        .link_target(&b"d/f"[..])
        .modified(Timestamp::EPOCH);
    let expected = [
        file(b"./", FileType::Directory, 512, 0o644),
        file(b"d/", FileType::Directory, 1_024, 0o755),
        file(b"d/f", FileType::Regular, 1_536, 0o644).size(700),
        link,
        file(b"d/l", FileType::Symlink, 3_584, 0o777).link_target(&b"../d/f"[..]),
        devices(file(b"c", FileType::CharDevice, 4_096, 0o600)),
        devices(file(b"b", FileType::BlockDevice, 4_608, 0o600)),
        file(b"p", FileType::Fifo, 5_120, 0o600),
        file(b"d/.wh.gone", FileType::Regular, 5_632, 0o644),
        file(b"d/.wh..wh..opq", FileType::Regular, 6_144, 0o644),
        file(b".no.prefetch.landmark", FileType::Regular, 6_656, 0o644).size(1),
        file(b"stargz.index.json", FileType::Regular, 7_680, 0o644).size(2),
    ];
    assert_eq!(found, expected);
}

#[test]
fn types_that_are_spelled_otherwise_are_those_they_are_read_as() {
    let mut tar = tar::Builder::new();
    for (name, typeflag) in [("old", 0), ("contiguous", b'7'), ("directory/", 0)] {
        tar.changed("f", b"", |header| {
            put(header, NAME, name.as_bytes());
            header[TYPE] = typeflag;
        });
    }
    let expected = [
        file(b"old", FileType::Regular, 512, 0o644),
        file(b"contiguous", FileType::Regular, 1_024, 0o644),
        file(b"directory/", FileType::Directory, 1_536, 0o644),
    ];
    assert_eq!(listed(&tar.finish()), expected);
}

/// Extension headers are no files: what they say is that of the file behind them, and its records are in order of their
/// keys.
#[test]
fn extension_headers_belong_to_the_file_behind_them() {
    let mut tar = tar::Builder::new();
    tar.pax(
        b'x',
        &[
            ("path", "long name"),
            ("mtime", "1600000000.25"),
            ("SCHILY.xattr.user.x", "v"),
            ("comment", "c"),
        ],
    );
    tar.file("short", b"abc");
    tar.extension(b'L', b"a name\xff of GNU\0");
    tar.extension(b'K', b"a target\0");
    tar.changed("short", b"", |header| {
        header[TYPE] = b'2';
        put(header, LINK, b"short");
    });
    tar.changed("last", b"", |header| put(header, NAME, b"\xfe"));
    let time = Timestamp {
        seconds: 1_600_000_000,
        nanoseconds: 250_000_000,
    };
    let with_records = file(b"long name", FileType::Regular, 1_536, 0o644)
        .size(3)
        .modified(time)
        .records(records(&[
            ("SCHILY.xattr.user.x", "v"),
            ("comment", "c"),
            ("mtime", "1600000000.25"),
            ("path", "long name"),
        ]));
    let expected = [
        with_records,
        file(b"a name\xff of GNU", FileType::Symlink, 4_608, 0o644).link_target(&b"a target"[..]),
        file(b"\xfe", FileType::Regular, 5_120, 0o644),
    ];
    assert_eq!(listed(&tar.finish()), expected);
}

/// As in the reference writer: modes with the bits of the type, and the low 32 bits of owners.
#[test]
fn numbers_are_listed_as_they_are_stored() {
    let mut tar = tar::Builder::new();
    tar.changed("f", b"", |header| {
        put(header, MODE, b"0104755");
        put(header, UID, &[0x80, 0, 0, 1, 0, 0, 0, 7]);
        put(header, GID, &[0xff; 8]);
    });
    let expected = file(b"f", FileType::Regular, 512, 0o104_755)
        .uid(7)
        .gid(u32::MAX);
    assert_eq!(listed(&tar.finish()), [expected]);
}

/// A tar with what `add` adds behind a file; the zTOC that is built is refused there.
fn unlisted(add: impl FnOnce(&mut tar::Builder), lenient: bool) -> Unlisted {
    let mut tar = tar::Builder::new();
    tar.file("first", &[1; 600]);
    let at = tar.position();
    add(&mut tar);
    tar.file("last", b"");
    let tar = tar.finish();
    let options = TarReadOptions::default().lenient(lenient);
    let built = [&tar, &gzip(&tar)].map(|layer| {
        let built = LayerIndex::build_ztoc(&layer[..], &ZtocOptions::default(), &options, &mut ());
        let error = built.unwrap_err();
        assert_eq!(error.fault(), Fault::Unsupported);
        match error {
            LayerIndexError::Unlisted { offset, reason } => {
                assert_eq!(offset, at);
                reason
            }
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(built[0], built[1]);
    built[0]
}

#[test]
fn members_that_are_no_files_are_not_listed() {
    // Those of vendors, and those of GNU: dumped directories, parts of files, long names of old, volume labels.
    for typeflag in [b'A', b'Q', b'Z', b'D', b'M', b'N', b'V', b'8', 0xff] {
        let add = |tar: &mut tar::Builder| {
            tar.changed("odd", b"content", |header| header[TYPE] = typeflag);
        };
        assert_eq!(unlisted(add, true), Unlisted::Kind { typeflag });
    }
}

/// Their content is at other places than the zTOC would say. Even a map without holes counts.
#[test]
fn sparse_members_are_not_listed() {
    let map = |regions: &str| {
        let mut map = regions.as_bytes().to_vec();
        map.resize(512, 0);
        [map, b"abc".to_vec()].concat()
    };
    for (regions, len) in [("1\n5\n3\n", "8"), ("1\n0\n3\n", "3")] {
        let in_payload = |tar: &mut tar::Builder| {
            let version = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0")];
            let about = [("GNU.sparse.name", "s"), ("GNU.sparse.realsize", len)];
            tar.pax(b'x', &[version, about].concat());
            tar.file("GNUSparseFile.0/s", &map(regions));
        };
        assert_eq!(unlisted(in_payload, false), Unlisted::Sparse);
    }
    let count = ("GNU.sparse.numblocks", "1");
    let joined = |tar: &mut tar::Builder| {
        let map = [("GNU.sparse.map", "5,3"), ("GNU.sparse.name", "s")];
        tar.pax(b'x', &[("GNU.sparse.size", "8"), count, map[0], map[1]]);
        tar.file("s", b"abc");
    };
    assert_eq!(unlisted(joined, false), Unlisted::Sparse);
    let in_turn = |tar: &mut tar::Builder| {
        let map = [("GNU.sparse.offset", "5"), ("GNU.sparse.numbytes", "3")];
        tar.pax(b'x', &[("GNU.sparse.size", "8"), count, map[0], map[1]]);
        tar.file("s", b"abc");
    };
    assert_eq!(unlisted(in_turn, false), Unlisted::Sparse);
    let old = |tar: &mut tar::Builder| {
        tar.changed("s", b"abc", |header| {
            header[TYPE] = b'S';
            put(header, 257..265, GNU_MAGIC);
            put(header, 386..482, b"00000000005\x0000000000003");
            put(header, 483..495, b"00000000010");
        });
    };
    assert_eq!(unlisted(old, false), Unlisted::Sparse);
}

#[test]
fn nothing_is_listed_behind_a_header_for_all_members() {
    let comment = [("comment", "0123456789abcdef")];
    let global = |tar: &mut tar::Builder| {
        tar.pax(b'g', &comment);
        tar.file("f", b"");
    };
    assert_eq!(unlisted(global, false), Unlisted::Global);
    // The headers of the member itself come behind it.
    let both = |tar: &mut tar::Builder| {
        tar.pax(b'g', &comment);
        tar.pax(b'x', &comment);
        tar.file("f", b"");
    };
    assert_eq!(unlisted(both, false), Unlisted::Global);
    // Behind the last member there is nobody to whom it could say anything.
    let mut tar = tar::Builder::new();
    tar.file("f", b"abc");
    tar.pax(b'g', &comment);
    let tar = tar.finish();
    let f = file(b"f", FileType::Regular, 512, 0o644).size(3);
    assert_eq!(listed(&tar), [f]);
    let index = build(&tar, 1_000).unwrap();
    assert_eq!(index.decoded_len(), tar.len() as u64);
    assert_eq!(found(&tar, index), [""; 0]);
}

/// A member of a tar.
#[derive(Debug, Clone, Copy)]
enum Member {
    File(&'static str, usize),
    Directory(&'static str),
    Symlink(&'static str),
    Link(&'static str, &'static str),
    Attributes,
}

fn member() -> impl Strategy<Value = Member> {
    let name = || {
        prop::sample::select(vec![
            "a",
            "b",
            "a/x",
            "a/y",
            "c/d/e",
            "c/d",
            "b/.wh.z",
            ".wh.a",
            "a/.wh..wh..opq",
        ])
    };
    prop_oneof![
        4 => (name(), prop_oneof![Just(0), 1..3_000_usize]).prop_map(|(name, len)| Member::File(name, len)),
        2 => name().prop_map(Member::Directory),
        1 => name().prop_map(Member::Symlink),
        2 => (name(), name()).prop_map(|(name, target)| Member::Link(name, target)),
        1 => Just(Member::Attributes),
    ]
}

fn tar_of(members: &[Member]) -> Vec<u8> {
    let mut tar = tar::Builder::new();
    for (nth, member) in (0..).zip(members) {
        match *member {
            Member::File(name, len) => tar.file(name, &crate::support::text(len, nth)),
            Member::Directory(name) => tar.directory(name),
            Member::Symlink(name) => tar.symlink(name, "a/x"),
            Member::Link(name, target) => tar.link(name, target),
            Member::Attributes => {
                tar.pax(b'x', &[("SCHILY.xattr.user.x", "v"), ("mtime", "7.5")]);
                tar.file("attributes", b"some");
            }
        }
    }
    tar.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The image is the same with a zTOC and without: missing parents, names that come again, links to what is later.
    #[test]
    fn any_tar_is_the_same_image(
        members in prop::collection::vec(member(), 0..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        span_size in 1..5_000_u64,
    ) {
        let tar = tar_of(&members);
        let mut cuts = cuts.iter().map(|cut| cut.index(tar.len())).collect::<Vec<_>>();
        cuts.extend([0, tar.len()]);
        cuts.sort_unstable();
        let compressed = cuts.windows(2).flat_map(|cut| gzip(&tar[cut[0]..cut[1]])).collect();
        for layer in [tar, compressed] {
            let bytes = build(&layer, span_size).unwrap().bytes().clone();
            let index = LayerIndex::from_bytes(bytes, &Limits::default()).unwrap();
            let plain = open(&layer, &OpenOptions::default());
            let by_index = open(&layer, &OpenOptions::default().index(index.clone()));
            match (plain, by_index) {
                (Ok((plain, _)), Ok((by_index, _))) => {
                    prop_assert_eq!(digest(&plain), digest(&by_index));
                    prop_assert_eq!(found(&layer, index), [""; 0]);
                }
                (Err(plain), Err(by_index)) => prop_assert_eq!(plain.fault(), by_index.fault()),
                (plain, by_index) => prop_assert!(false, "{plain:?} {by_index:?}"),
            }
        }
    }
}
