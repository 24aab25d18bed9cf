//! Layers over layers.

use super::*;

#[test]
fn layers_over_layers() {
    let base = "d d, f d/a, f d/b, d e, f e/x, f f";
    let cases = [
        (base, "", "d d 1, d/a f 2, d/b f 3, e d 4, e/x f 5, f f 6"),
        // Whiteouts of a file, a directory, of nothing; in any order with the layer's own.
        (
            base,
            "f d/.wh.a, f .wh.e, f .wh.zz",
            "d d 1, d/b f 3, f f 6",
        ),
        (
            base,
            "f f, f .wh.f",
            "d d 1, d/a f 2, d/b f 3, e d 4, e/x f 5, f f 11",
        ),
        (
            base,
            "f .wh.f, f f",
            "d d 1, d/a f 2, d/b f 3, e d 4, e/x f 5, f f 12",
        ),
        (
            "f mix/old",
            "d mix, f .wh.mix, f mix/q",
            "mix d 11, mix/q f 13",
        ),
        ("f mix/old", "f mix/q, f .wh.mix", "mix d -, mix/q f 11"),
        // A directory that the layer only implies keeps its attributes.
        (
            base,
            "f d/c",
            "d d 1, d/a f 2, d/b f 3, d/c f 11, e d 4, e/x f 5, f f 6",
        ),
        (
            base,
            "f d/c, d d",
            "d d 12, d/a f 2, d/b f 3, d/c f 11, e d 4, e/x f 5, f f 6",
        ),
        ("d ., f a", "f b", " d 1, a f 2, b f 11"),
        ("d ., f a", "d /, f b", " d 11, a f 2, b f 12"),
        // Opaque directories, wherever the marker comes.
        (
            "f d/a, f d/s/t",
            "f d/.wh..wh..opq, f d/n",
            "d d -, d/n f 12",
        ),
        (
            "f d/a, f d/s/t",
            "d d, f d/n, f d/.wh..wh..opq",
            "d d 11, d/n f 12",
        ),
        (
            "f d/a, f d/s/t",
            "f d/s/u, f d/.wh..wh..opq",
            "d d -, d/s d -, d/s/u f 11",
        ),
        ("f a, d b", "f .wh..wh..opq, f c", "c f 12"),
        // Replaced types.
        ("f a", "d a, f a/b", "a d 11, a/b f 12"),
        ("f d/a", "f d", "d f 11"),
        ("l a -> x", "d a, f a/b", "a d 11, a/b f 12"),
        ("f a", "f .wh.a, f a/b", "a d -, a/b f 12"),
        // Below a whiteout name: hidden. AUFS leftovers: hidden.
        (
            "f dir/file, f file",
            "f .wh.dir/file",
            "dir d -, dir/file f 1, file f 2",
        ),
        (
            "f a",
            "d .wh..wh.plnk, f .wh..wh.plnk/1, h b -> .wh..wh.plnk/1, f .wh..wh.aufs",
            "a f 1, b f 12",
        ),
        // Whiteouts of a lower layer take effect there, and are gone.
        ("f a, f .wh.b", "f b", "a f 1, b f 11"),
        // New directories hold no whiteouts.
        ("f a", "f n/.wh.x, f n/y", "a f 1, n d -, n/y f 12"),
        // Hard links into the lower layer share its inode, also of what the layer hides.
        ("f a", "h b -> a", "a f 1, b f 1 =/a"),
        ("f a", "h b -> a, f .wh.a", "b f 1"),
        (
            "f d/a",
            "h b -> c, h c -> d/a",
            "b f 1, c f 1 =/b, d d -, d/a f 1 =/b",
        ),
        ("f a, h b -> a", "f a", "a f 11, b f 1"),
        ("f a", "h b -> a, f a", "a f 12, b f 12 =/a"),
        ("f a, h b -> a, h c -> a", "f .wh.b", "a f 1, c f 1 =/a"),
    ];
    for (lower, upper, expected) in cases {
        let found = over(lower, upper, strict()).unwrap();
        assert_eq!(found, expected, "{upper} over {lower}");
    }
}

#[test]
fn layers_without_a_place_are_refused() {
    let below = |at: &str, kind| LayerError::BelowNonDirectory {
        path: path(at),
        kind,
    };
    let cases = [
        ("l a -> b", "f a/x/y", dangling("a")),
        ("f d/a", "f d/a/x", below("d/a", FileKind::File)),
        (
            "f a",
            "h d/b -> c",
            LayerError::MissingTarget {
                path: path("d/b"),
                target: path("c"),
            },
        ),
        (
            "d c",
            "h b -> c",
            LayerError::LinkToDirectory {
                path: path("b"),
                target: path("c"),
            },
        ),
    ];
    for (lower, upper, expected) in cases {
        assert_eq!(over(lower, upper, strict()), Err(expected), "{upper}");
    }
}
