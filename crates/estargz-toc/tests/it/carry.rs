//! What a TOC cannot carry, and what is left of a tree without it.

use image_model::metadata::Xattr;
use image_model::{ImagePath, Metadata, Name, Node, Timestamp, Tree, Xattrs};
use lazyoci_estargz_toc::carry::{CannotCarry, Uncarried, reduce};

use crate::common::{Options, TreeMaker, decode, metadata, path};

fn lost(at: &[u8], what: Uncarried) -> CannotCarry {
    CannotCarry {
        path: ImagePath::clean(at).unwrap(),
        what,
    }
}

fn reduced(tree: &mut Tree<Vec<u8>>) -> Vec<CannotCarry> {
    let mut found = Vec::new();
    reduce(tree, &mut |path, what| {
        let path = path.clone();
        found.push(CannotCarry { path, what });
    });
    found
}

#[test]
fn what_cannot_be_carried_is_told_and_taken_out() {
    let mut maker = TreeMaker::new();
    let name = |bytes: &[u8]| Name::new(bytes).unwrap();
    let root = ImagePath::root();

    let directory = maker.0.add(Metadata::default(), Node::empty_directory());
    maker.name_in(&root, name(b"dir\xff"), directory);
    let inside = maker.0.add(Metadata::default(), Node::Fifo);
    maker.0.link(directory, name(b"in"), inside).unwrap();

    let file = maker.file("file", b"content");
    maker.name_in(&root, name(b"file\xfe"), file);

    let bad_name: Box<[u8]> = (*b"user.\xff").into();
    let xattr = |name: &[u8]| Xattr {
        name: name.into(),
        value: (*b"v").into(),
    };
    let far = Metadata {
        mtime: Timestamp {
            seconds: i64::MAX,
            nanoseconds: 1,
        },
        xattrs: Xattrs::new([xattr(&bad_name), xattr(b"user.good")]).unwrap(),
        ..Metadata::default()
    };
    let linked = maker.add("linked", far, Node::Fifo);
    maker.name("linked-too", linked);

    for target in [&b""[..], b"a\0b", b"\xff"] {
        let at = format!("link{}", target.len());
        let node = Node::Symlink(target.into());
        maker.add(&at, metadata(0o777, 0), node);
    }
    maker.add("socket", metadata(0o644, 0), Node::Socket);
    maker.file(".prefetch.landmark", b"x");
    maker.directory("d", 0o755, 0);
    maker.file("d/.prefetch.landmark", b"x");

    let target = |bytes: &[u8]| Uncarried::SymlinkTarget {
        target: bytes.into(),
    };
    let expected = vec![
        lost(b".prefetch.landmark", Uncarried::ReservedName),
        lost(b"dir\xff", Uncarried::Name),
        lost(b"file\xfe", Uncarried::Name),
        lost(b"link0", target(b"")),
        lost(b"link1", target(b"\xff")),
        lost(b"link3", target(b"a\0b")),
        lost(b"linked", Uncarried::Time { seconds: i64::MAX }),
        lost(b"linked", Uncarried::XattrName { name: bad_name }),
        lost(b"socket", Uncarried::Socket),
    ];
    assert_eq!(reduced(&mut maker.0), expected);
    assert_eq!(reduced(&mut maker.0), []);

    let names: Vec<_> = maker
        .names()
        .iter()
        .map(|named| named.path.to_string())
        .collect();
    assert_eq!(
        names,
        [
            "/",
            "/d",
            "/d/.prefetch.landmark",
            "/file",
            "/linked",
            "/linked-too"
        ]
    );
    let linked = maker.0.resolve(b"linked").unwrap();
    let metadata = &maker.0.inode(linked).metadata;
    assert_eq!(metadata.mtime.seconds, 253_402_300_799);
    assert_eq!(metadata.xattrs.len(), 1);

    let written = maker.write(&Options::default());
    let tree = decode(&written.blob).image.tree.clone();
    assert!(tree.resolve(path("linked-too").as_bytes()).is_some());
}

/// Found by fuzzing: such a directory was written, and refused when it was read.
#[test]
fn directories_with_names_of_whiteouts_cannot_be_carried() {
    let mut maker = TreeMaker::new();
    for directory in [".wh.d", ".wh..wh..opq", ".wh..wh.plnk", ".wh.", "d"] {
        maker.directory(directory, 0o755, 0);
    }
    maker.file(".wh.d/inside", b"");
    maker.file("d/.wh.", b"");
    maker.file("d/.wh.file", b"");
    maker.file("d/.wh..wh..opq", b"");
    let expected = [".wh.", ".wh..wh..opq", ".wh.d", "d/.wh."];
    let expected = expected.map(|at| lost(at.as_bytes(), Uncarried::Whiteout));
    assert_eq!(reduced(&mut maker.0), expected);

    let written = maker.write(&Options::default());
    let tree = decode(&written.blob).image.tree.clone();
    for kept in [".wh..wh.plnk", "d/.wh.file", "d/.wh..wh..opq"] {
        assert!(tree.resolve(kept.as_bytes()).is_some(), "{kept}");
    }
}

/// A directory that a layer only implied is gone with what lay in it: an entry of its own would change
/// the one of a lower layer.
#[test]
fn implied_directories_go_with_their_content() {
    let mut maker = TreeMaker::new();
    for at in ["a", "a/b", "a/b/c", "d", "e", "e/f"] {
        maker.directory(at, 0o755, 0);
    }
    for at in ["a/b/c", "d", "e/f"] {
        let id = maker.0.resolve(at.as_bytes()).unwrap();
        let lost = maker.0.add(Metadata::default(), Node::Socket);
        maker.0.link(id, Name::new(*b"s").unwrap(), lost).unwrap();
    }
    for at in ["a", "a/b", "a/b/c", "e/f"] {
        let id = maker.0.resolve(at.as_bytes()).unwrap();
        maker.0.inode_mut(id).metadata = Metadata::implied_directory();
        maker.0.imply(id);
    }
    let lost = [b"a/b/c/s", &b"d/s"[..], b"e/f/s"].map(|at| lost(at, Uncarried::Socket));
    assert_eq!(reduced(&mut maker.0), lost);
    let kept = ["a", "d", "e", "e/f"].map(|at| maker.0.resolve(at.as_bytes()).is_some());
    assert_eq!(kept, [false, true, true, false]);
}

/// Go does not find them in the tar, so the TOC must not have them either.
#[test]
fn extended_attributes_that_tars_hold_for_some_readers_only() {
    let xattr = |name: &[u8]| Xattr {
        name: name.into(),
        value: (*b"v").into(),
    };
    let names: [&[u8]; 4] = [b"user.%25", b"user.%41", b"user.a%3Db", b"user.a=b"];
    let mut maker = TreeMaker::new();
    let with = Metadata {
        xattrs: Xattrs::new(names.map(xattr)).unwrap(),
        ..metadata(0o644, 0)
    };
    maker.add("f", with, Node::Fifo);
    let lost = |name: &[u8]| lost(b"f", Uncarried::XattrName { name: name.into() });
    assert_eq!(
        reduced(&mut maker.0),
        [names[0], names[2], names[3]].map(lost)
    );
}

#[test]
fn the_root_is_repaired_too() {
    let mut maker = TreeMaker::new();
    maker
        .0
        .inode_mut(image_model::InodeId::ROOT)
        .metadata
        .mtime
        .seconds = i64::MIN;
    let seconds = i64::MIN;
    assert_eq!(
        reduced(&mut maker.0),
        [lost(b"", Uncarried::Time { seconds })]
    );
}
