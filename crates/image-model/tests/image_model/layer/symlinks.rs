//! Entries below symbolic links, and for the root.

use super::*;

/// containerd and podman resolve the parents of an entry, and of a hard link's target, inside the
/// root.
#[test]
fn entries_below_a_symlink_lie_where_it_leads() {
    let cases = [
        ("l a -> b, d b, f a/x", "b d 2, b/x f 3", 1),
        // Merged /usr.
        (
            "d usr/lib, l lib -> usr/lib, f lib/x, f lib/y/z",
            "usr d -, usr/lib d 1, usr/lib/x f 3, usr/lib/y d -, usr/lib/y/z f 4",
            2,
        ),
        (
            "d b/c, d d, l d/a -> ../../../b/./c/, f d/a/x",
            "b d -, b/c d 1, b/c/x f 4, d d 2",
            1,
        ),
        ("l a -> /, f a/x", "x f 2", 1),
        (
            "l a -> b, d b, d a/x, f a/x/y",
            "b d 2, b/x d 3, b/x/y f 4",
            2,
        ),
        // Hard links through symbolic ones, before and after their target.
        (
            "f b/x, l a -> b, h y -> a/x",
            "b d -, b/x f 1, y f 1 =/b/x",
            1,
        ),
        (
            "l a -> b, h y -> a/x, f b/x",
            "b d -, b/x f 3, y f 3 =/b/x",
            1,
        ),
        // What is missing on the way to a target is taken by its name.
        (
            "f etc/p, l l -> gone/../etc, h p -> l/p",
            "etc d -, etc/p f 1, p f 1 =/etc/p",
            1,
        ),
        // The last component is never followed.
        ("l a -> b, f a", "a f 2", 0),
        ("l a -> b, d a, f a/x", "a d 2, a/x f 3", 0),
    ];
    for (entries, expected, advisories) in cases {
        let layer = build(entries, 1, strict()).unwrap();
        assert_eq!(layer.advisories().count(), advisories, "{entries}");
        let tree = layer.into_tree().unwrap();
        let listed = list(&tree);
        let others = listed.split(", ").filter(|line| !line.contains(" l "));
        assert_eq!(others.collect::<Vec<_>>().join(", "), expected, "{entries}");
    }
    let found = over("l a -> b, d b", "f a/x/y, h z -> a/x/y", strict());
    assert_eq!(
        found.unwrap(),
        "a l 1, b d 2, b/x d -, b/x/y f 11, z f 11 =/b/x/y"
    );
}

/// What leads through a symbolic link of a lower layer is told as within one layer.
#[test]
fn symbolic_links_of_lower_layers_are_advisories() {
    let (below, target) = (Oddity::BelowSymlink, Oddity::TargetBelowSymlink);
    let cases = [
        (
            "f a/x, f a/y",
            vec![("a/x", below.clone()), ("a/y", below.clone())],
        ),
        (
            "d a/x, f a/x/y",
            vec![("a/x", below.clone()), ("a/x/y", below.clone())],
        ),
        ("f a/d/x", vec![("a/d/x", below.clone())]),
        ("h z -> a/f", vec![("z", target)]),
        // The directory replaces the link.
        ("d a, f a/x", vec![]),
        ("f b/x", vec![]),
        ("h z -> b/f", vec![]),
    ];
    for (upper, expected) in cases {
        let mut found = Advisories::default();
        let mut tree = Tree::implied();
        for entries in ["l a -> b, d b, f b/f, d b/d", upper] {
            let layer = build(entries, 1, strict()).unwrap();
            assert_eq!(layer.advisories().count(), 0);
            tree = layer.apply_to(tree, &mut found).unwrap();
        }
        let found = found
            .kept()
            .iter()
            .map(|a| (a.path.clone().unwrap(), a.what.clone()));
        let expected = expected.into_iter().map(|(at, what)| (path(at), what));
        assert_eq!(
            found.collect::<Vec<_>>(),
            expected.collect::<Vec<_>>(),
            "{upper}"
        );
    }
}

/// containerd makes what the link leads to; podman, GNU tar and bsdtar fail.
#[test]
fn entries_below_a_dangling_symlink_are_refused() {
    for entries in [
        "l a -> b, f a/x",
        "d b, l a -> b/c, f a/x",
        "d b, l a -> gone/../b, f a/x",
        "l a -> b, l b -> c, f a/x",
    ] {
        let error = build(entries, 1, strict()).unwrap_err();
        assert_eq!((error.fault(), error), (Fault::Limit, dangling("a/x")));
        let layer = build(entries, 1, lenient()).unwrap();
        assert_eq!(layer.advisories().count(), 1, "{entries}");
    }
    let layer = build("d b, l a -> gone/../b, f a/x", 1, lenient()).unwrap();
    let tree = layer.into_tree().unwrap();
    assert_eq!(list(&tree), "a l 2, b d 1, b/x f 3");
}

/// In an index, names are looked up.
#[test]
fn nothing_is_listed_below_a_symlink_or_over_the_root() {
    let below = |kind| LayerError::BelowNonDirectory {
        path: path("a/x"),
        kind,
    };
    let root = |kind| LayerError::RootNotDirectory { kind };
    for (entries, expected) in [
        ("l a -> b, d b, f a/x", below(FileKind::Symlink)),
        ("f .", root(FileKind::File)),
        ("l / -> etc", root(FileKind::Symlink)),
        ("f a, h / -> a", root(FileKind::File)),
    ] {
        let error = build(entries, 1, listed()).unwrap_err();
        assert_eq!(error, expected, "{entries}");
    }
}

/// containerd: "ignored: resolved to root".
#[test]
fn entries_for_the_root_that_are_no_directories_are_ignored() {
    for (entries, kind) in [
        ("f ., f a", FileKind::File),
        ("l / -> etc, f a", FileKind::Symlink),
        ("l .. -> etc, f a", FileKind::Symlink),
        ("p /, h / -> a, f a", FileKind::Fifo),
    ] {
        for options in [strict(), lenient()] {
            let layer = build(entries, 1, options).unwrap();
            let first = &layer.advisories().kept()[0];
            assert_eq!(first.what, Oddity::Root { kind });
            assert!(list(&layer.into_tree().unwrap()).starts_with("a f "));
        }
    }
}

#[test]
fn lenient_layers_follow_symbolic_links_inside_the_root() {
    let cases = [
        ("l a -> b, d b, f a/x", "a l 1, b d 2, b/x f 3"),
        ("l a -> /b/./c/, f a/x", "a l 1, b d -, b/c d -, b/c/x f 2"),
        (
            "d d, l d/a -> ../../../b, f d/a/x",
            "b d -, b/x f 3, d d 1, d/a l 2",
        ),
        (
            "l a -> b, l b -> c, f a/x/y",
            "a l 1, b l 2, c d -, c/x d -, c/x/y f 3",
        ),
        (
            "l usr -> x, d usr/bin, f usr/bin/f",
            "usr l 1, x d -, x/bin d 2, x/bin/f f 3",
        ),
        ("l a -> /, f a/x", "a l 1, x f 2"),
        // The last component is never followed.
        ("l a -> b, f a", "a f 2"),
        ("l a -> b, d a", "a d 2"),
        (
            "l a -> b, f b/x, h y -> a/x",
            "a l 1, b d -, b/x f 2, y f 2 =/b/x",
        ),
        (
            "l a -> b, h y -> a/x, f b/x",
            "a l 1, b d -, b/x f 3, y f 3 =/b/x",
        ),
        ("d .wh.a", ".wh.a d 1"),
    ];
    for (entries, expected) in cases {
        let layer = build(entries, 1, lenient()).unwrap();
        assert_eq!(list(&layer.into_tree().unwrap()), expected, "{entries}");
    }
    let cases = [
        (
            "l a -> b, d b",
            "f a/x/y",
            "a l 1, b d 2, b/x d -, b/x/y f 11",
        ),
        ("l a -> ../b", "f a/x", "a l 1, b d -, b/x f 11"),
        (
            "l a -> b, f b/x",
            "h y -> a/x",
            "a l 1, b d -, b/x f 2, y f 2 =/b/x",
        ),
        (
            "l a -> b, f b/x",
            "f a/.wh.x, f a/y",
            "a l 1, b d -, b/y f 12",
        ),
    ];
    for (lower, upper, expected) in cases {
        let found = over(lower, upper, lenient()).unwrap();
        assert_eq!(found, expected, "{upper} over {lower}");
    }
}
