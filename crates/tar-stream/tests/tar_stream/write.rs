//! New members from the model.

use std::io::Write;

use image_model::metadata::Xattr;
use image_model::{Blame, Device, Fault, ImagePath, Limits, Metadata, Node, Timestamp, Xattrs};
use lazyoci_tar_stream::pax::is_portable;
use lazyoci_tar_stream::{Member, TarReader, TarWriter, WriteError};
use proptest::prelude::*;

use crate::tape::*;

fn path(bytes: &[u8]) -> ImagePath {
    ImagePath::clean(bytes).unwrap()
}

fn symlink(target: &[u8]) -> Node<()> {
    Node::Symlink(target.into())
}

fn written(name: &[u8], metadata: &Metadata, node: &Node<()>) -> Vec<u8> {
    let mut writer = TarWriter::new(Vec::new());
    writer.append(&path(name), metadata, node).unwrap();
    writer.finish().unwrap()
}

#[test]
fn a_plain_member_is_one_ustar_block() {
    let metadata = Metadata {
        mode: 0o4755,
        uid: 1000,
        gid: 0o7_777_777,
        mtime: Timestamp::from_seconds(0o77_777_777_777),
        xattrs: Xattrs::default(),
    };
    let node = Node::File {
        size: 5,
        content: (),
    };
    let mut writer = TarWriter::new(Vec::new());
    writer
        .append(&path(b"usr/bin/tool"), &metadata, &node)
        .unwrap();
    writer.write_all(b"hello").unwrap();
    assert_eq!(writer.position(), 517);
    let expected = Tape::new()
        .member(
            header(b"usr/bin/tool", b'0')
                .octal(MODE, 0o4755)
                .octal(UID, 1000)
                .octal(GID, 0o7_777_777)
                .octal(MTIME, 0o77_777_777_777),
            b"hello",
        )
        .end();
    assert_eq!(writer.finish().unwrap(), expected);
}

#[test]
fn every_kind_has_its_typeflag() {
    let device = Device { major: 8, minor: 1 };
    let numbers = |head: Header| head.octal(DEVMAJOR, 8).octal(DEVMINOR, 1);
    let cases = [
        (Node::empty_directory(), header(b"a/", b'5')),
        (symlink(b"../x"), header(b"a", b'2').put(LINK, b"../x")),
        (Node::CharDevice(device), numbers(header(b"a", b'3'))),
        (Node::BlockDevice(device), numbers(header(b"a", b'4'))),
        (Node::Fifo, header(b"a", b'6')),
    ];
    for (node, expected) in cases {
        let tar = written(b"a", &Metadata::default(), &node);
        assert_eq!(tar, Tape::new().header(expected).end());
    }
    let root = written(b"", &Metadata::default(), &Node::empty_directory());
    assert_eq!(root, Tape::new().header(header(b"./", b'5')).end());

    let mut writer = TarWriter::new(Vec::new());
    let target = path(b"b/c");
    writer
        .append_link(&path(b"a"), &Metadata::default(), &target)
        .unwrap();
    let expected = Tape::new()
        .header(header(b"a", b'1').put(LINK, b"b/c"))
        .end();
    assert_eq!(writer.finish().unwrap(), expected);
}

#[test]
fn sockets_are_refused() {
    let mut writer = TarWriter::new(Vec::new());
    let error = writer
        .append(&path(b"s"), &Metadata::default(), &Node::<()>::Socket)
        .unwrap_err();
    assert_eq!(
        (error.to_string(), error.fault()),
        (
            "/s: sockets cannot be stored in a tar".into(),
            Fault::Unsupported
        )
    );
    assert_eq!(writer.position(), 0);
}

#[test]
fn names_are_split_like_go_splits_them() {
    let (n, p) = ("n".repeat(100), "p".repeat(155));
    let block = |name: &str, prefix: &str| {
        let head = header(name.as_bytes(), b'6').put(PREFIX, prefix.as_bytes());
        Tape::new().header(head).end()
    };
    let cases = [
        (n.clone(), block(&n, "")),
        (format!("{p}/{n}"), block(&n, &p)),
    ];
    for (name, expected) in cases {
        assert_eq!(
            written(name.as_bytes(), &Metadata::default(), &Node::Fifo),
            expected
        );
    }
    // As late as it can be.
    let long = "d/".repeat(100) + "f";
    let tar = written(long.as_bytes(), &Metadata::default(), &Node::Fifo);
    assert_eq!(tar.len(), 1536);
    assert_eq!(tar[PREFIX][..155], long.as_bytes()[..155]);
    assert_eq!(entry(&tar).path, long.as_bytes());
}

#[test]
fn a_name_that_does_not_fit_is_a_pax_record() {
    let name = "n".repeat(101);
    let tar = written(
        name.as_bytes(),
        &Metadata::default(),
        &symlink(&[b't'; 101]),
    );
    let records = [("linkpath", &*"t".repeat(101)), ("path", &*name)];
    let payload = records
        .map(|(k, v)| record(k.as_bytes(), v.as_bytes()))
        .concat();
    let pax_name = format!("PaxHeaders.0/{}", "n".repeat(87));
    let expected = Tape::new()
        .member(header(pax_name.as_bytes(), b'x').octal(MODE, 0), &payload)
        .header(header(&[b'n'; 100], b'2').put(LINK, &[b't'; 100]))
        .end();
    assert_eq!(tar, expected);
}

#[test]
fn numbers_that_do_not_fit_are_pax_records_and_base_256() {
    let metadata = Metadata {
        mode: 0,
        uid: u32::MAX,
        gid: 1 << 21,
        mtime: Timestamp {
            seconds: -2,
            nanoseconds: 500_000_000,
        },
        xattrs: Xattrs::default(),
    };
    let device = Device {
        major: 1 << 21,
        minor: u32::MAX,
    };
    let tar = written(b"a", &metadata, &Node::CharDevice(device));
    let expected = Tape::new()
        .pax(&[("gid", "2097152"), ("mtime", "-1.5"), ("uid", "4294967295")])
        .header(
            header(b"a", b'3')
                .binary(UID, u32::MAX.into())
                .binary(GID, 1 << 21)
                .binary(MTIME, -2)
                .binary(DEVMAJOR, 1 << 21)
                .binary(DEVMINOR, u32::MAX.into()),
        )
        .end();
    assert_eq!(tar[512..], expected[512..]);
    assert_eq!(tar[NAME][..15], *b"PaxHeaders.0/a\0");

    let size = 8 << 30;
    let mut writer = TarWriter::new(Vec::new());
    writer
        .append(
            &path(b"a"),
            &Metadata::default(),
            &Node::File { size, content: () },
        )
        .unwrap();
    let Err(WriteError::PayloadMissing { left, .. }) = writer.finish() else {
        panic!("nothing was written");
    };
    assert_eq!(left, size);
}

#[test]
fn text_that_is_not_utf_8_is_announced() {
    let name = [&[b'n'; 100][..], b"\xe9"].concat();
    let tar = written(&name, &Metadata::default(), &Node::Fifo);
    let payload = [record(b"hdrcharset", b"BINARY"), record(b"path", &name)].concat();
    assert_eq!(tar[512..512 + payload.len()], payload);
    assert_eq!(entry(&tar).path, name);
    // In a ustar block a name is bytes.
    let tar = written(b"caf\xe9", &Metadata::default(), &Node::Fifo);
    assert_eq!(tar, Tape::new().header(header(b"caf\xe9", b'6')).end());
}

fn xattrs(list: &[(&[u8], &[u8])]) -> Xattrs {
    let list = list.iter().map(|(name, value)| Xattr {
        name: (*name).into(),
        value: (*value).into(),
    });
    Xattrs::new(list).unwrap()
}

#[test]
fn attributes_are_records() {
    let metadata = Metadata {
        xattrs: xattrs(&[
            (b"security.capability", b"\x01\0\0\x02\n\xff"),
            (b"user.empty", b""),
        ]),
        ..Metadata::default()
    };
    let tar = written(b"a", &metadata, &Node::Fifo);
    let payload = [
        record(b"SCHILY.xattr.security.capability", b"\x01\0\0\x02\n\xff"),
        record(b"SCHILY.xattr.user.empty", b""),
    ]
    .concat();
    assert_eq!(tar[512..512 + payload.len()], payload);
    assert_eq!(entry(&tar).xattrs, metadata.xattrs);
}

#[test]
fn attributes_that_readers_do_not_find_are_refused() {
    for name in [&b"user.a=b"[..], b"user.c%25", b"user.d%3D"] {
        let metadata = Metadata {
            xattrs: xattrs(&[(name, b"1")]),
            ..Metadata::default()
        };
        let mut tar = TarWriter::new(Vec::new());
        let appended = tar.append(&path(b"a"), &metadata, &Node::<()>::Fifo);
        match appended {
            Err(WriteError::XattrName { name: found, .. }) => assert_eq!(*found, *name),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn records_beyond_what_readers_take_are_refused() {
    let metadata = Metadata {
        xattrs: xattrs(&[(b"user.a", &vec![7; 1 << 20])]),
        ..Metadata::default()
    };
    let mut writer = TarWriter::new(Vec::new());
    let error = writer
        .append(&path(b"a"), &metadata, &Node::<()>::Fifo)
        .unwrap_err();
    assert!(
        matches!(error, WriteError::ExtensionTooLong { len: 1_048_605, .. }),
        "{error}"
    );
    assert_eq!(writer.position(), 0);
}

#[test]
fn payloads_must_be_complete() {
    let node = Node::File {
        size: 3,
        content: (),
    };
    let mut writer = TarWriter::new(Vec::new());
    writer
        .append(&path(b"a"), &Metadata::default(), &node)
        .unwrap();
    writer.write_all(b"12").unwrap();
    let error = writer
        .append(&path(b"b"), &Metadata::default(), &node)
        .unwrap_err();
    assert!(matches!(
        error,
        WriteError::PayloadMissing {
            offset: 514,
            left: 1
        }
    ));
    assert_eq!(error.fault(), Fault::Misuse);
}

fn any_name() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("no part of a name", |b| !matches!(b, 0 | b'/'));
    prop::collection::vec(byte, 1..120)
        .prop_filter("every directory has them", |n| n != b"." && n != b"..")
}

fn any_path() -> impl Strategy<Value = ImagePath> {
    prop::collection::vec(any_name(), 1..4).prop_map(|names| path(&names.join(&b'/')))
}

fn any_metadata() -> impl Strategy<Value = Metadata> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    let key = prop::collection::vec(1..=255u8, 1..20)
        .prop_filter("readers find it", |key| is_portable(key));
    let xattrs = prop::collection::btree_map(key, bytes(), 0..3).prop_map(|map| {
        let list = map.into_iter().map(|(name, value)| Xattr {
            name: name.into(),
            value: value.into(),
        });
        Xattrs::new(list).unwrap()
    });
    let time = (any::<i64>(), prop_oneof![Just(0), 0u32..1_000_000_000]);
    let seconds = prop_oneof![0..2_000_000_000i64, any::<i64>()];
    (
        0..0o10000u16,
        any::<u32>(),
        0..70_000u32,
        time,
        seconds,
        xattrs,
    )
        .prop_map(
            |(mode, uid, gid, (_, nanoseconds), seconds, xattrs)| Metadata {
                mode,
                uid,
                gid,
                mtime: Timestamp {
                    seconds: seconds.max(i64::MIN + 1),
                    nanoseconds,
                },
                xattrs,
            },
        )
}

fn any_node() -> impl Strategy<Value = Node<()>> {
    let device = (any::<u32>(), any::<u32>()).prop_map(|(major, minor)| Device { major, minor });
    let target = prop::collection::vec(1..=255u8, 1..300);
    prop_oneof![
        (0..2000u64).prop_map(|size| Node::File { size, content: () }),
        target.prop_map(|target| Node::Symlink(target.into())),
        device.clone().prop_map(Node::CharDevice),
        device.prop_map(Node::BlockDevice),
        Just(Node::Fifo),
        Just(Node::empty_directory()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// What is written is read back, strictly, and no other bytes say the same.
    #[test]
    fn what_is_written_is_read_back(
        members in prop::collection::vec((any_path(), any_metadata(), any_node()), 0..5),
        link in (any_path(), any_path()),
    ) {
        let write = || {
            let mut writer = TarWriter::new(Vec::new());
            for (path, metadata, node) in &members {
                writer.append(path, metadata, node).unwrap();
                if let Node::File { size, .. } = node {
                    writer.write_all(&vec![7; *size as usize]).unwrap();
                }
            }
            writer.append_link(&link.0, &Metadata::default(), &link.1).unwrap();
            writer.finish().unwrap()
        };
        let tar = write();
        prop_assert!(write() == tar);
        let mut reader = TarReader::new(&tar[..], strict());
        for (path, metadata, node) in &members {
            let entry = reader.next_entry().unwrap().unwrap();
            let mut content = vec![0; entry.payload_len as usize];
            reader.read_payload_exact(&mut content).unwrap();
            prop_assert!(content.iter().all(|b| *b == 7));
            let member = entry.into_member(&Limits::default()).unwrap();
            let Member::Node { path: found, metadata: read, node: file } = member else {
                panic!("{member:?}");
            };
            prop_assert_eq!((&found, &read), (path, metadata));
            let same = match (&file, node) {
                (Node::File { size, .. }, Node::File { size: expected, .. }) => size == expected,
                (Node::Symlink(target), Node::Symlink(expected)) => target == expected,
                (file, node) => file.kind() == node.kind() && file.device() == node.device(),
            };
            prop_assert!(same, "{file:?} {node:?}");
        }
        let member = reader.next_entry().unwrap().unwrap().into_member(&Limits::default());
        let expected = Member::HardLink { path: link.0, target: link.1 };
        prop_assert_eq!(member.unwrap(), expected);
        prop_assert_eq!(reader.next_entry().unwrap(), None);
    }
}

#[test]
fn a_fraction_of_more_than_a_second_is_refused() {
    for seconds in [i64::MIN, -1, 0, i64::MAX] {
        let metadata = |nanoseconds| Metadata {
            mtime: Timestamp {
                seconds,
                nanoseconds,
            },
            ..Metadata::default()
        };
        written(b"f", &metadata(999_999_999), &Node::Fifo);
        for nanoseconds in [1_000_000_000, u32::MAX] {
            let mut writer = TarWriter::new(Vec::new());
            let appended = writer.append(&path(b"f"), &metadata(nanoseconds), &Node::<()>::Fifo);
            let error = appended.unwrap_err();
            assert_eq!(error.fault(), Fault::Unsupported);
            assert!(
                matches!(error, WriteError::Time { mtime, .. } if mtime.nanoseconds == nanoseconds)
            );
            // Nothing was written of it.
            assert_eq!(writer.finish().unwrap(), [0; 1024]);
        }
    }
}
