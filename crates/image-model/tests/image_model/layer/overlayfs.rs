//! Layers whose whiteouts are those of overlayfs, or that have none.

use super::*;

fn overlayfs() -> LayerOptions {
    strict().whiteouts(Whiteouts::Overlayfs)
}

#[test]
fn devices_and_attributes_hide() {
    let base = "d d, f d/a, f d/b, d e, f e/x, f f";
    let cases = [
        (base, "c f, c e, c zz", "d d 1, d/a f 2, d/b f 3"),
        (base, "d d, c d/a", "d d 11, d/b f 3, e d 4, e/x f 5, f f 6"),
        (
            base,
            "o d, f d/c",
            "d d 11, d/c f 12, e d 4, e/x f 5, f f 6",
        ),
        // Opaque where there is nothing below, in the root, and over a file.
        ("", "o d, f d/c", "d d 11, d/c f 12"),
        (base, "o ., f n", " d 11, n f 12"),
        ("f f", "o f, f f/n", "f d 11, f/n f 12"),
        // Names are names.
        ("f f", "f .wh.f", ".wh.f f 11, f f 1"),
    ];
    for (lower, upper, expected) in cases {
        let found = over(lower, upper, overlayfs());
        assert_eq!(found.as_deref(), Ok(expected), "{upper} over {lower}");
    }
}

#[test]
fn no_attribute_is_left_that_hid_something() {
    let layer = build("o d, f d/a", 1, overlayfs()).unwrap();
    let tree = layer
        .apply_to(Tree::implied(), &mut Advisories::default())
        .unwrap();
    let directory = tree.resolve(b"/d").unwrap();
    assert!(tree.inode(directory).metadata.xattrs.is_empty());

    // A value that is not `y` means nothing, neither do attributes without these whiteouts.
    let layer = build("o d, f d/a", 1, strict()).unwrap();
    let tree = layer
        .apply_to(Tree::implied(), &mut Advisories::default())
        .unwrap();
    let directory = tree.resolve(b"/d").unwrap();
    assert_eq!(tree.inode(directory).metadata.xattrs.len(), 1);
}

#[test]
fn nothing_hides_where_there_are_no_whiteouts() {
    let nothing = strict().whiteouts(Whiteouts::Nothing);
    let found = over("f f, f g", "f .wh.f, c g", nothing);
    assert_eq!(found.as_deref(), Ok(".wh.f f 11, f f 1, g c 12"));
}

/// The layer alone, as overlayfs has it, and what it makes of `lower`.
#[test]
fn whiteouts_become_those_of_overlayfs() {
    let base = "d d, f d/a, d d/b, f d/b/x, f f, d e, f e/y";
    let opaque = "d d\nf d/.wh..wh..opq\nf d/c";
    for (upper, expected) in [
        ("d d, f d/.wh.a, f .wh.f", "d d 1, d/a c 2, f c 3"),
        (opaque, "d d 1, d/c f 3"),
        // Beside what replaces it: a file hides by itself, a directory becomes opaque.
        ("f .wh.f, f f", "f f 2"),
        ("d e, f e/z, f .wh.e", "e d 1, e/z f 2"),
        // Of what is not there, of AUFS, and a hard link of one.
        ("f .wh.none", "none c 1"),
        ("f .wh..wh.plnk, f n", "n f 2"),
        ("f .wh.f, h .wh.d -> .wh.f", "d c 1, f c 1"),
        // A file that shares its inode with a whiteout stays one.
        ("f n, h .wh.f -> n", "f c 1, n f 1"),
    ] {
        let layer = build(upper, 1, strict()).unwrap();
        let below = || {
            let layer = build(base, 100, strict()).unwrap();
            let empty = Tree::new(Metadata::implied_directory());
            layer.apply_to(empty, &mut Advisories::default()).unwrap()
        };
        let applied = |layer: Layer<i64>| {
            let tree = layer.apply_to(below(), &mut Advisories::default());
            list(&tree.unwrap())
        };
        let tree = layer.clone().into_overlay_tree().unwrap();
        assert_eq!(list(&tree), expected, "{upper}");
        let by_overlayfs = applied(Layer::from_tree(tree, overlayfs()));
        assert_eq!(by_overlayfs, applied(layer), "{upper}");
    }
}

#[test]
fn directories_that_hide_are_marked() {
    for upper in ["d d, f d/.wh..wh..opq", "f .wh.d, d d", "o d, f .wh.d"] {
        let layer = build(upper, 1, strict()).unwrap();
        let tree = layer.into_overlay_tree().unwrap();
        let directory = tree.resolve(b"/d").unwrap();
        let xattrs = &tree.inode(directory).metadata.xattrs;
        let opaque = Xattr {
            name: (*b"trusted.overlay.opaque").into(),
            value: (*b"y").into(),
        };
        assert!(xattrs.iter().eq([&opaque]), "{upper}");
    }
}

/// A layer that has a directory of such a name is read leniently only.
#[test]
fn directories_called_like_whiteouts_are_hidden() {
    let layer = build("d .wh.f, f .wh.f/x, f n", 1, lenient()).unwrap();
    assert_eq!(list(&layer.into_overlay_tree().unwrap()), "n f 3");
}
