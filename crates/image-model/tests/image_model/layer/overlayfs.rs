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
