//! Walks over sound and unsound images.
#![allow(clippy::unwrap_used, reason = "test support")]

use crate::common::{Liar, path};
use lazyoci_image_model::walk::{HardLinks, InoSet, Walk, WalkError, copy_tree};
use lazyoci_image_model::{Blame, ChunkedImage, Fault, Ino, Limits, Metadata, Name, Node, Tree};
use proptest::prelude::*;

/// Every path, or the error in its place.
fn visit(image: &Liar, limits: &Limits) -> Vec<String> {
    let mut walk = Walk::new(image, limits);
    let mut seen = Vec::new();
    while let Some(entry) = walk.next_entry() {
        seen.push(match entry {
            Ok(entry) => entry.path.to_string(),
            Err(error) => format!("{:?}: {error}", error.fault()),
        });
    }
    assert!(walk.next_entry().is_none());
    seen
}

#[test]
fn parents_first_and_siblings_by_name() {
    let image = Liar::new(&[
        (0, &[("a", 1), ("a-b", 5), ("c", 3)]),
        (1, &[("x", 2), ("y", 4)]),
        (2, &[]),
        (3, &[("z", 6)]),
    ]);
    let paths = ["/", "/a", "/a/x", "/a/y", "/a-b", "/c", "/c/z"];
    assert_eq!(visit(&image, &Limits::default()), paths);
}

#[test]
fn a_walk_is_an_iterator_of_what_it_lends() {
    let image = Liar::new(&[
        (0, &[("a", 1), ("b", 2)]),
        (1, &[("x", 3)]),
        (2, &[("y", 4)]),
    ]);
    let mut walk = Walk::new(&image, &Limits::default());
    let mut paths = Walk::new(&image, &Limits::default()).into_iter();
    while let Some(entry) = walk.next_entry() {
        let (lent, owned) = (entry.unwrap(), paths.next().unwrap().unwrap());
        assert_eq!(lent.path, &owned.path);
        assert_eq!((lent.ino, lent.depth), (owned.ino, owned.depth));
        assert_eq!(lent.attributes, owned.attributes);
        assert_eq!(lent.entry_kind, owned.entry_kind);
        if owned.path == path("a") {
            walk.skip_children();
            paths.skip_children();
        }
    }
    assert!(paths.next().is_none());
}

#[test]
fn whiteouts_come_first_where_that_is_wanted() {
    let image = Liar::new(&[
        (
            0,
            &[
                ("+p", 1),
                (".wh.+p", 2),
                (".wh..wh..opq", 3),
                (".wh.z", 4),
                ("d", 5),
                ("z", 6),
            ],
        ),
        (5, &[("+q", 7), (".wh.+q", 8)]),
    ]);
    let mut walk = Walk::new(&image, &Limits::default()).whiteouts_first();
    let root = walk.next_entry().unwrap().unwrap();
    let inos: Vec<_> = root.children().map(|child| child.ino.0).collect();
    assert_eq!(inos, [3, 2, 4, 1, 5, 6]);
    let mut seen = Vec::new();
    while let Some(entry) = walk.next_entry() {
        seen.push(entry.unwrap().path.to_string());
    }
    let expected = [
        "/.wh..wh..opq",
        "/.wh.+p",
        "/.wh.z",
        "/+p",
        "/d",
        "/d/.wh.+q",
        "/d/+q",
        "/z",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn entries_know_their_place() {
    let image = Liar::new(&[(0, &[("a", 1), ("b", 2)]), (1, &[("x", 3), ("yy", 4)])]);
    let mut walk = Walk::new(&image, &Limits::default());
    let root = walk.next_entry().unwrap().unwrap();
    assert_eq!((root.depth, root.name()), (0, None));
    let children: Vec<_> = root
        .children()
        .map(|c| (c.name.to_string(), c.ino))
        .collect();
    assert_eq!(children, [("a".into(), Ino(1)), ("b".into(), Ino(2))]);
    let a = walk.next_entry().unwrap().unwrap();
    assert_eq!((a.depth, a.name().unwrap().as_bytes()), (1, &b"a"[..]));
    let children: Vec<_> = a.children().map(|c| (c.name.to_string(), c.ino)).collect();
    assert_eq!(children, [("x".into(), Ino(3)), ("yy".into(), Ino(4))]);
    let x = walk.next_entry().unwrap().unwrap();
    assert_eq!((x.depth, x.children().count()), (2, 0));
}

#[test]
fn directories_can_be_skipped() {
    let image = Liar::new(&[(0, &[("a", 1), ("b", 2)]), (1, &[("x", 3)])]);
    let mut walk = Walk::new(&image, &Limits::default());
    walk.next_entry().unwrap().unwrap();
    walk.next_entry().unwrap().unwrap();
    walk.skip_children();
    assert_eq!(walk.next_entry().unwrap().unwrap().path, &path("b"));
    walk.skip_children();
    assert!(walk.next_entry().is_none());
}

#[test]
fn loops_and_second_names_are_errors_and_the_walk_goes_on() {
    let image = Liar::new(&[
        (0, &[("a", 1), ("b", 1), ("c", 3)]),
        (1, &[("root", 0), ("self", 1), ("z", 4)]),
    ]);
    let expected = [
        "/",
        "/a",
        "Corrupt: /a/root: the directory contains itself (inode 0)",
        "Corrupt: /a/self: the directory contains itself (inode 1)",
        "/a/z",
        "Corrupt: /b: the directory already has another name (inode 1)",
        "/c",
    ];
    assert_eq!(visit(&image, &Limits::default()), expected);
}

#[test]
fn disorder_and_missing_inodes_are_errors() {
    let mut image = Liar::new(&[
        (0, &[("a", 1), ("b", 2), ("c", 7)]),
        (1, &[("y", 4), ("x", 5)]),
        (2, &[("x", 4), ("x", 5)]),
    ]);
    image.missing.push(7);
    let expected = [
        "/",
        "Corrupt: /a: the entry `x` is out of order or a duplicate",
        "Corrupt: /b: the entry `x` is out of order or a duplicate",
        "Misuse: /c: cannot read the inode",
    ];
    assert_eq!(visit(&image, &Limits::default()), expected);
    image.missing = vec![0];
    let expected = ["Misuse: /: cannot read the inode"];
    assert_eq!(visit(&image, &Limits::default()), expected);
}

#[test]
fn depth_is_bounded() {
    let image = Liar::new(&[
        (0, &[("a", 1)]),
        (1, &[("b", 2), ("f", 9)]),
        (2, &[("c", 3)]),
    ]);
    let limits = Limits::default().max_depth(1);
    let expected = [
        "/",
        "/a",
        "Limit: /a/b: directories are nested more than 1 deep",
        "/a/f",
    ];
    assert_eq!(visit(&image, &limits), expected);
}

#[test]
fn names_are_bounded_and_end_the_walk() {
    let image = Liar::new(&[(0, &[("a", 1), ("b", 2)]), (1, &[("x", 3), ("y", 3)])]);
    let limits = Limits::default().max_inodes(3);
    let expected = ["/", "Limit: /a: the image has more than 3 names"];
    assert_eq!(visit(&image, &limits), expected);
}

#[test]
fn hard_link_groups_have_their_least_path_as_bytes_and_no_more_than_fit_are_held() {
    let image = Liar::new(&[
        (0, &[(".wh.x", 9), ("a", 1), ("a-b", 5), ("c", 8), ("d", 9)]),
        (1, &[("x", 5), ("y", 6)]),
        (8, &[("z", 6)]),
    ]);
    let limits = Limits::default();
    let all = HardLinks::collect(&image, &limits, &|_| false).unwrap();
    assert_eq!(all.group(Ino(5)), Some(&path("a-b")));
    assert_eq!(all.group(Ino(6)), Some(&path("a/y")));
    assert_eq!(all.group(Ino(9)), Some(&path(".wh.x")));
    assert_eq!(all.group(Ino(8)), None);
    assert_eq!(all.len(), 3);
    let short = Limits::default().max_metadata_len(9);
    let error = HardLinks::collect(&image, &short, &|_| false).unwrap_err();
    let text = "/a/y: the paths of hard links have more than 9 bytes";
    assert_eq!(error.to_string(), text);
    // Too long together whichever of its names each has.
    let shorter = Limits::default().max_metadata_len(6);
    let error = HardLinks::collect(&image, &shorter, &|_| false).unwrap_err();
    let text = "/d: the paths of hard links have more than 6 bytes";
    assert_eq!(error.to_string(), text);
    let hidden = |name: lazyoci_image_model::NameRef<'_>| name.as_bytes().starts_with(b".wh.");
    let shown = HardLinks::collect(&image, &limits, &hidden).unwrap();
    assert_eq!(shown.group(Ino(9)), None);
    assert_eq!(shown.len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ino_sets_are_sets(inos in prop::collection::vec(0u64..300, 0..100)) {
        let mut naive = std::collections::BTreeSet::new();
        let mut set = InoSet::default();
        for ino in inos {
            prop_assert_eq!(set.contains(Ino(ino)), naive.contains(&ino));
            prop_assert_eq!(set.insert(Ino(ino)), naive.insert(ino));
        }
        prop_assert!(!set.contains(Ino(u64::MAX)) && set.insert(Ino(u64::MAX)));
    }
}

/// In an image inodes may share the bytes of their targets.
#[test]
fn copies_are_bounded() {
    let mut tree = Tree::new(Metadata::implied_directory());
    for name in [b"a", b"b", b"c"] {
        let link = tree.add(Metadata::default(), Node::Symlink([b'x'; 1000].into()));
        tree.link(Tree::<()>::ROOT, Name::new(*name).unwrap(), link)
            .unwrap();
    }
    let tree = tree.map(|_, _, ()| Default::default());
    let image = ChunkedImage::new(tree, Default::default()).unwrap();
    assert_eq!(copy_tree(&image, &Limits::default()).unwrap().len(), 4);
    // The root, and of each link the inode, its name and its target.
    let limits = Limits::default().max_metadata_len(128 + 256 + 3 * (128 + 64 + 1 + 1000));
    assert_eq!(copy_tree(&image, &limits).unwrap().len(), 4);
    let limits = limits.clone().max_metadata_len(limits.max_metadata_len - 1);
    let error = copy_tree(&image, &limits).unwrap_err();
    assert!(matches!(&error, WalkError::Memory { path, .. } if *path == self::path("c")));
    assert_eq!(error.fault(), Fault::Limit);
}
