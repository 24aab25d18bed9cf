//! Entries in the words of the model.

use image_model::layer::{LayerBuilder, LayerOptions, Whiteout};
use image_model::name::NameError;
use image_model::path::PathError;
use image_model::{Blame, Device, Fault, FileKind, ImagePath, Limits, Node};
use lazyoci_tar_stream::block::Field;
use lazyoci_tar_stream::{Member, MemberError, MemberFault};

use crate::tape::*;

fn member(head: Header) -> Result<Member, MemberError> {
    let tar = Tape::new().file("first", b"").header(head).end();
    let entry = entries(&tar, lenient()).unwrap().remove(1);
    entry.into_member(&Limits::default())
}

fn path(text: &str) -> ImagePath {
    ImagePath::clean(text.as_bytes()).unwrap()
}

#[test]
fn every_kind_becomes_its_node() {
    let device = Device { major: 8, minor: 1 };
    let cases = [
        (b'2', Node::Symlink((*b"../target").into())),
        (b'3', Node::CharDevice(device)),
        (b'4', Node::BlockDevice(device)),
        (b'5', Node::empty_directory()),
        (b'6', Node::Fifo),
    ];
    for (typeflag, expected) in cases {
        let head = header(b"./a/../b/", typeflag)
            .put(LINK, b"../target")
            .octal(DEVMAJOR, 8)
            .octal(DEVMINOR, 1)
            .octal(MODE, 0o107_755)
            .binary(UID, 0xffff_ffff);
        let Ok(Member::Node {
            path: found,
            metadata,
            node,
        }) = member(head)
        else {
            panic!("{typeflag}");
        };
        assert_eq!((found, node), (path("b"), expected));
        assert_eq!((metadata.mode, metadata.uid), (0o7755, u32::MAX));
    }
}

#[test]
fn files_know_where_their_bytes_are() {
    let tar = Tape::new().file("f", b"hello").end();
    let member = entry(&tar).into_member(&Limits::default()).unwrap();
    assert_eq!(member.path(), &path("f"));
    let Member::Node {
        node: Node::File { size: 5, content },
        ..
    } = member
    else {
        panic!("{member:?}");
    };
    assert_eq!(content.as_slice()[0].source_offset, 512);
}

#[test]
fn hard_links_start_at_the_root_and_their_attributes_do_not_count() {
    let head = header(b"/dir/link", b'1')
        .put(LINK, b"./other/../file")
        .binary(UID, -1);
    let expected = Member::HardLink {
        path: path("dir/link"),
        target: path("file"),
    };
    assert_eq!(member(head), Ok(expected));
}

#[test]
fn what_no_tree_holds_is_refused_with_path_and_offset() {
    let long = [b'n'; 100];
    let too_long = |len| PathError {
        offset: 0,
        source: NameError::TooLong { len },
    };
    let number = |field, value| MemberFault::Number { field, value };
    let cases = [
        (header(b"a", b'0').binary(UID, -1), number(Field::Uid, -1)),
        (
            header(b"a", b'0').binary(UID, 1 << 32),
            number(Field::Uid, 1 << 32),
        ),
        (header(b"a", b'5').binary(GID, -7), number(Field::Gid, -7)),
        (
            header(b"a", b'3').binary(DEVMAJOR, -1),
            number(Field::DevMajor, -1),
        ),
        (
            header(b"a", b'4').binary(DEVMINOR, 1 << 40),
            number(Field::DevMinor, 1 << 40),
        ),
        (header(b"a", b'2'), MemberFault::EmptySymlink),
        (header(b"a", b'V'), MemberFault::Kind { typeflag: b'V' }),
    ];
    for (head, reason) in cases {
        let error = member(head).unwrap_err();
        let expected = MemberError {
            offset: 512,
            path: (*b"a").into(),
            reason,
        };
        assert_eq!(error, expected);
        assert_ne!(error.fault(), Fault::Misuse);
    }

    let name = long.repeat(3);
    let tar = Tape::new().long(b'L', &name).file("a", b"").end();
    let error = entry(&tar).into_member(&Limits::default()).unwrap_err();
    assert_eq!((error.offset, error.path.len()), (1024, 300));
    assert_eq!(error.reason, MemberFault::Path(too_long(300)));

    let tar = Tape::new()
        .long(b'K', &name)
        .header(header(b"a", b'1'))
        .end();
    let error = entry(&tar).into_member(&Limits::default()).unwrap_err();
    assert_eq!(error.reason, MemberFault::Target(too_long(300)));

    let target = vec![b't'; 4097];
    let tar = Tape::new()
        .long(b'K', &target)
        .header(header(b"a", b'2'))
        .end();
    let error = entry(&tar).into_member(&Limits::default()).unwrap_err();
    let reason = MemberFault::SymlinkTooLong {
        len: 4097,
        limit: 4096,
    };
    assert_eq!((error.fault(), error.reason), (Fault::Limit, reason));
}

#[test]
fn whiteouts_are_told_by_their_names() {
    let cases: [(&[u8], Option<Whiteout<'_>>); 9] = [
        (b"etc/passwd", None),
        (b"./", None),
        (b"etc/.wh.passwd", Some(Whiteout::Name(b"passwd"))),
        (b"etc/.wh.dir/", Some(Whiteout::Name(b"dir"))),
        (b"etc/.wh.dir/.", Some(Whiteout::Name(b"dir"))),
        (b".wh..wh..opq", Some(Whiteout::Opaque)),
        (b"a/.wh..wh.plnk", Some(Whiteout::Leftover)),
        (b"a/.wh.", Some(Whiteout::Leftover)),
        (b".wh.dir/file", None),
    ];
    for (name, expected) in cases {
        let tar = Tape::new().header(header(name, b'5')).end();
        assert_eq!(entry(&tar).whiteout(), expected, "{}", name.escape_ascii());
    }
}

/// The way of a layer into a tree: `./` and absolute names, `..` at the root, parents that are
/// missing, a hard link before its target, a name that comes twice.
#[test]
fn entries_make_a_tree() {
    let tar = Tape::new()
        .header(header(b"./", b'5').octal(MODE, 0o700))
        .header(header(b"link", b'1').put(LINK, b"/usr/bin/tool"))
        .file("/usr/bin/tool", b"old")
        .file("../usr/bin/./tool", b"newer")
        .header(header(b"usr//lib/so", b'2').put(LINK, b"../bin"))
        .end();
    let mut builder = LayerBuilder::new(LayerOptions::default());
    for entry in entries(&tar, strict()).unwrap() {
        match entry.into_member(&Limits::default()).unwrap() {
            Member::Node {
                path,
                metadata,
                node,
            } => builder.add(&path, metadata, node).unwrap(),
            Member::HardLink { path, target } => builder.link(&path, &target).unwrap(),
        }
    }
    let tree = builder.finish().unwrap().into_tree().unwrap();
    assert_eq!(tree.inode(image_model::InodeId::ROOT).metadata.mode, 0o700);
    let tool = tree.resolve(b"usr/bin/tool").unwrap();
    assert_eq!(tree.resolve(b"link"), Some(tool));
    assert_eq!(tree.inode(tool).node.size(), 5);
    let link = tree.resolve(b"usr/lib/so").unwrap();
    assert_eq!(tree.inode(link).node.kind(), FileKind::Symlink);
}

/// A name can have a mebibyte.
#[test]
fn errors_cut_long_names() {
    let tar = Tape::new()
        .long(b'L', &[b'a'; 1_000_000])
        .header(header(b"a", b'0'))
        .end();
    let error = entry(&tar).into_member(&Limits::default()).unwrap_err();
    let said = error.to_string();
    assert!(said.len() < 1_200, "{} bytes", said.len());
    assert!(said.contains("aaa... (1000000 bytes)"), "{said}");
}
