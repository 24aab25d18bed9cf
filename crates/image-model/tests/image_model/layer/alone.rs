//! One layer: what its entries make.

use super::*;

#[test]
fn entries_make_a_tree() {
    let cases = [
        ("", ""),
        ("d a, f a/b", "a d 1, a/b f 2"),
        // Parents may be missing or come later.
        ("f a/b/c", "a d -, a/b d -, a/b/c f 1"),
        ("f a/b/c, d a/b", "a d -, a/b d 2, a/b/c f 1"),
        // The root, in each of its spellings.
        ("d ./, f a", " d 1, a f 2"),
        ("f a, d /", " d 2, a f 1"),
        // Duplicates: the last one counts, by the cleaned path.
        ("f a, f ./a", "a f 2"),
        ("f a, f /a, p a", "a p 3"),
        ("d a, f a/b, d a", "a d 3, a/b f 2"),
        ("d a, f a/b, f a", "a f 3"),
        ("d a, f a/b, l a -> x, d a", "a d 4"),
        ("f a, d a, f a/b", "a d 2, a/b f 3"),
        // The directory of the entry before is not the same any more.
        (
            "f a/b/c, l a -> x, d a, f a/b/d",
            "a d 3, a/b d -, a/b/d f 4",
        ),
        (
            "d a, l s -> a, f a/b/c, p s/b, d a/b, f a/b/d",
            "a d 1, a/b d 5, a/b/d f 6, s l 2",
        ),
        ("f a/b, p a/b, f a/c", "a d -, a/b p 2, a/c f 3"),
        // Climbing out of the root is cleaned at the root.
        (
            "f ../victim/dotdot, f /../victim/slash-dotdot",
            "victim d -, victim/dotdot f 1, victim/slash-dotdot f 2",
        ),
        ("f ..gitme", "..gitme f 1"),
        // Whiteouts and AUFS leftovers are files like any others.
        (
            "f a, f .wh.a, f d/.wh..wh..opq, d .wh..wh.plnk, f .wh..wh.plnk/1, h b -> .wh..wh.plnk/1",
            ".wh..wh.plnk d 4, .wh..wh.plnk/1 f 5, .wh.a f 2, a f 1, \
             b f 5 =/.wh..wh.plnk/1, d d -, d/.wh..wh..opq f 3",
        ),
    ];
    for (entries, expected) in cases {
        assert_eq!(alone(entries), expected, "{entries}");
    }
}

#[test]
fn hard_links_are_bound() {
    let cases = [
        ("f a, h b -> a", "a f 1, b f 1 =/a"),
        ("f a, h b -> /a, h c -> ./b", "a f 1, b f 1 =/a, c f 1 =/a"),
        // Before the target, in chains, with missing parents.
        ("h b -> a, f a", "a f 2, b f 2 =/a"),
        (
            "h a -> b, h b -> c, h d/e -> a, f c",
            "a f 4, b f 4 =/a, c f 4 =/a, d d -, d/e f 4 =/a",
        ),
        // To a symbolic link: the link itself.
        ("l s -> x, h t -> s", "s l 1, t l 1 =/s"),
        // A link keeps the inode that its target named when it came.
        ("f a, h b -> a, f a", "a f 3, b f 1"),
        ("f d/a, h b -> d/a, f d", "b f 1, d f 3"),
        // A replaced link is gone; so is one below a replaced directory.
        ("h b -> nowhere, f b", "b f 2"),
        ("h d/b -> nowhere, f d", "d f 2"),
        ("f a, f b, h a -> b", "a f 2, b f 2 =/a"),
        // The target that comes in the end counts for a link that came before all.
        ("h b -> a, f a, f a", "a f 3, b f 3 =/a"),
    ];
    for (entries, expected) in cases {
        assert_eq!(alone(entries), expected, "{entries}");
    }
}

#[test]
fn entries_without_a_place_are_refused() {
    let below = |at: &str, kind| LayerError::BelowNonDirectory {
        path: path(at),
        kind,
    };
    let is_loop = |at: &str, target: &str| LayerError::LinkLoop {
        path: path(at),
        target: path(target),
    };
    let to_directory = |at: &str, target: &str| LayerError::LinkToDirectory {
        path: path(at),
        target: path(target),
    };
    let cases = [
        ("f a, f a/b", below("a/b", FileKind::File), Fault::Corrupt),
        ("l a -> /etc, f a/b/c", dangling("a/b/c"), Fault::Limit),
        (
            "h a -> b, f a/c",
            below("a/c", FileKind::File),
            Fault::Corrupt,
        ),
        ("d a, h b -> a", to_directory("b", "a"), Fault::Corrupt),
        ("h b -> a, d a", to_directory("b", "a"), Fault::Corrupt),
        ("h b -> /", to_directory("b", ""), Fault::Corrupt),
        ("f a, h a -> a", is_loop("a", "a"), Fault::Corrupt),
        ("f d/a, h d -> d/a", is_loop("d", "d/a"), Fault::Corrupt),
        ("h a -> b, h b -> a", is_loop("a", "b"), Fault::Corrupt),
        (
            "h z -> a, h a -> b, h b -> a",
            is_loop("a", "b"),
            Fault::Corrupt,
        ),
        (
            "f a/.wh.",
            LayerError::EmptyWhiteout {
                path: path("a/.wh."),
            },
            Fault::Corrupt,
        ),
        (
            "f .wh./a",
            LayerError::EmptyWhiteout {
                path: path(".wh./a"),
            },
            Fault::Corrupt,
        ),
        (
            "f a/.wh..",
            LayerError::EmptyWhiteout {
                path: path("a/.wh.."),
            },
            Fault::Corrupt,
        ),
        (
            "f b, h a/.wh... -> b",
            LayerError::EmptyWhiteout {
                path: path("a/.wh..."),
            },
            Fault::Corrupt,
        ),
        (
            "d .wh.a",
            LayerError::WhiteoutDirectory {
                path: path(".wh.a"),
            },
            Fault::Limit,
        ),
    ];
    for (entries, expected, fault) in cases {
        let error = build(entries, 1, strict()).unwrap_err();
        assert_eq!((error.fault(), &error), (fault, &expected), "{entries}");
    }
}

#[test]
fn a_layer_alone_has_no_lower_links() {
    let error = build("f a, h d/b -> lower", 1, strict())
        .unwrap()
        .into_tree();
    let error = error.unwrap_err();
    assert_eq!(
        error,
        LayerError::TargetOutsideLayer {
            path: path("d/b"),
            target: path("lower")
        }
    );
    assert_eq!(error.fault(), Fault::Unsupported);
    assert_eq!(
        error.to_string(),
        "/d/b: hard link to /lower, which this layer does not hold"
    );
}
