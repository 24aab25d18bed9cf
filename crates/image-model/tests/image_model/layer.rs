//! Layers out of entries, and layers over layers: tables of cases.
#![allow(clippy::unwrap_used, reason = "test support")]

use std::collections::BTreeMap;

use crate::common::path;
use lazyoci_image_model::advisory::Oddity;
use lazyoci_image_model::layer::{Entries, Layer, LayerBuilder, LayerError, LayerOptions};
use lazyoci_image_model::metadata::Xattr;
use lazyoci_image_model::{
    Blame, Fault, FileKind, ImagePath, InodeId, Limits, Metadata, Node, Timestamp, Tree, Xattrs,
};

/// Entries, one per line or comma: `d PATH`, `f PATH`, `p PATH`, `l PATH -> TARGET` (symlink),
/// `h PATH -> TARGET` (hard link). Entry `n`, counted from `first`, has mtime `n`.
fn build(entries: &str, first: i64, options: LayerOptions) -> Result<Layer<i64>, LayerError> {
    let mut builder = LayerBuilder::new(options);
    let entries = entries.split([',', '\n']).map(str::trim);
    for (time, entry) in (first..).zip(entries.filter(|e| !e.is_empty())) {
        let (kind, rest) = entry.split_at(1);
        let (at, target) = rest.split_once("->").unwrap_or((rest, ""));
        let (at, target) = (path(at.trim()), target.trim());
        let metadata = Metadata {
            mode: 0o644,
            mtime: Timestamp::from_seconds(time),
            ..Metadata::default()
        };
        let node = match kind {
            "d" => Node::empty_directory(),
            "f" => Node::File {
                size: 1,
                content: time,
            },
            "l" => Node::Symlink(target.as_bytes().into()),
            "p" => Node::Fifo,
            "h" => {
                builder.link(&at, &path(target))?;
                continue;
            }
            other => panic!("{other}"),
        };
        builder.add(&at, metadata, node)?;
    }
    builder.finish()
}

fn strict() -> LayerOptions {
    LayerOptions::default()
}

fn lenient() -> LayerOptions {
    LayerOptions {
        lenient: true,
        ..strict()
    }
}

/// As the index of a layer.
fn listed() -> LayerOptions {
    LayerOptions {
        entries: Entries::Listed,
        ..strict()
    }
}

fn dangling(at: &str) -> LayerError {
    LayerError::BelowDanglingSymlink { path: path(at) }
}

/// `PATH KIND MTIME`, and ` =PATH` for the later names of a hard-linked inode, in order of the
/// bytes of the paths. The root only if it is not implied.
fn list(tree: &Tree<i64>) -> String {
    let mut paths = BTreeMap::from([(ImagePath::root(), InodeId::ROOT)]);
    let mut pending = vec![(ImagePath::root(), InodeId::ROOT)];
    while let Some((at, inode)) = pending.pop() {
        for (name, &child) in tree.directory(inode).into_iter().flatten() {
            paths.insert(at.join(name.as_ref()), child);
            if tree.directory(child).is_some() {
                pending.push((at.join(name.as_ref()), child));
            }
        }
    }
    assert_eq!(tree.link_counts().iter().filter(|&&n| n == 0).count(), 0);
    let mut first: BTreeMap<InodeId, ImagePath> = BTreeMap::new();
    let mut lines = Vec::new();
    for (at, inode) in paths {
        let (metadata, node) = (&tree.inode(inode).metadata, &tree.inode(inode).node);
        let implied = *metadata == Metadata::implied_directory();
        if at.is_root() && implied {
            continue;
        }
        // What no entry described is marked, through any overlay.
        assert_eq!(tree.inode(inode).is_implied(), implied, "{at}");
        let time = if implied {
            "-".into()
        } else {
            metadata.mtime.seconds.to_string()
        };
        let known = first.entry(inode).or_insert_with(|| at.clone());
        let link = if *known == at {
            String::new()
        } else {
            format!(" ={known}")
        };
        let kind = node.kind().letter();
        lines.push(format!(
            "{} {kind} {time}{link}",
            at.to_string().trim_start_matches('/')
        ));
    }
    lines.join(", ")
}

fn alone(entries: &str) -> String {
    list(&build(entries, 1, strict()).unwrap().into_tree().unwrap())
}

/// The upper layer's mtimes count from 11.
fn over(lower: &str, upper: &str, options: LayerOptions) -> Result<String, LayerError> {
    let empty = Tree::new(Metadata::implied_directory());
    let below = build(lower, 1, strict()).unwrap().apply_to(empty).unwrap();
    Ok(list(&build(upper, 11, options)?.apply_to(below)?))
}

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

#[test]
fn limits_are_kept() {
    let limits = |max_inodes, max_depth| LayerOptions {
        limits: Limits {
            max_inodes,
            max_depth,
            ..Limits::default()
        },
        ..strict()
    };
    let too_many = |at| LayerError::TooManyInodes {
        path: path(at),
        limit: 3,
    };
    assert!(build("f a/b", 1, limits(3, 9)).is_ok());
    assert_eq!(build("f a/b/c", 1, limits(3, 9)), Err(too_many("a/b/c")));
    assert_eq!(
        build("f a/b, h c -> x", 1, limits(3, 9)),
        Err(too_many("c"))
    );
    assert_eq!(over("f a", "f b/c", limits(3, 9)), Err(too_many("")));
    let too_deep = |at| LayerError::TooDeep {
        path: path(at),
        limit: 2,
    };
    assert!(build("f a/b/c", 1, limits(9, 2)).is_ok());
    assert!(build("d a/b", 1, limits(9, 2)).is_ok());
    assert_eq!(build("d a/b/c", 1, limits(9, 2)), Err(too_deep("a/b/c")));
    assert_eq!(
        build("f a/b/c/d", 1, limits(9, 2)),
        Err(too_deep("a/b/c/d"))
    );
    let deep = format!("f {}x", "d/".repeat(300_000));
    let error = build(&deep, 1, strict()).unwrap_err();
    assert!(matches!(error, LayerError::TooDeep { limit: 10_000, .. }));
}

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

#[test]
fn lenient_layers_have_bounds_too() {
    let error = build("l a -> a, f a/x", 1, lenient()).unwrap_err();
    let expected = LayerError::TooManySymlinks {
        path: path("a/x"),
        limit: 40,
    };
    assert_eq!(error, expected);
    assert_eq!(over("l a -> b, l b -> a", "f a/x", lenient()), {
        Err(LayerError::TooManySymlinks {
            path: path("a"),
            limit: 40,
        })
    });
    let error = build("f a, f a/x", 1, lenient()).unwrap_err();
    let expected = LayerError::BelowNonDirectory {
        path: path("a/x"),
        kind: FileKind::File,
    };
    assert_eq!(error, expected);
    let long = format!("l a -> {}, f a/x", "b/".repeat(3000));
    let error = build(&long, 1, lenient()).unwrap_err();
    let expected = LayerError::BelowNonDirectory {
        path: path("a/x"),
        kind: FileKind::Symlink,
    };
    assert_eq!(error, expected);
}

#[test]
fn deep_layers_go_over_deep_layers() {
    // Many levels with a sibling directory and an open link each, over themselves.
    let mut entries = String::new();
    let mut at = String::new();
    for _ in 0..200 {
        at.push_str("d/");
        entries += &format!("d {at}, d {at}s, h {at}l -> x,");
    }
    entries.push_str("f x");
    let names = over(&entries, &entries, strict()).unwrap();
    assert_eq!(names.matches("=/d").count(), 200);
}

fn in_memory(max_metadata_len: u64) -> LayerOptions {
    LayerOptions {
        limits: Limits {
            max_metadata_len,
            ..Limits::default()
        },
        ..strict()
    }
}

#[test]
fn what_a_layer_takes_in_memory_is_limited() {
    const INODE: u64 = 128;
    const NAME: u64 = 64;
    const DIRECTORY: u64 = 256;
    for (entries, len, guilty) in [
        ("f 12345, f 678901", 2 * (INODE + NAME) + 11, "678901"),
        ("d a, f b", 2 * (INODE + NAME + 1) + DIRECTORY, "b"),
        ("l a -> 1234567890", INODE + NAME + 1 + 10, "a"),
        // A hard link is a name, but for one that waits for its target.
        ("f a, h b -> a", INODE + 2 * (NAME + 1), "b"),
        ("h a -> 1234567890", INODE + NAME + 1 + 10, "a"),
        // What is replaced counts on.
        ("f a, f a", 2 * (INODE + NAME + 1), "a"),
        // Directories that are implied, and one that is there already.
        ("f a/bc/d", 3 * (INODE + NAME) + 2 * DIRECTORY + 4, "a/bc/d"),
        ("f a/b, f a/c", 3 * (INODE + NAME + 1) + DIRECTORY, "a/c"),
    ] {
        assert!(build(entries, 1, in_memory(len)).is_ok(), "{entries}");
        let limit = len - 1;
        let too_much = LayerError::TooMuchMetadata {
            path: path(guilty),
            limit,
        };
        let refused = build(entries, 1, in_memory(limit));
        assert_eq!(refused, Err(too_much), "{entries}");
    }

    let mut builder = LayerBuilder::new(in_memory(INODE + NAME + 1 + 2 * (64 + 5)));
    let xattr = |name: &[u8; 3]| Xattr {
        name: (*name).into(),
        value: [0; 2].into(),
    };
    let metadata = Metadata {
        xattrs: Xattrs::new([xattr(b"u.a"), xattr(b"u.b")]).unwrap(),
        ..Metadata::default()
    };
    let fifo = || Node::<i64>::Fifo;
    builder.add(&path("a"), metadata.clone(), fifo()).unwrap();
    let error = builder.add(&path("b"), metadata, fifo()).unwrap_err();
    assert!(matches!(error, LayerError::TooMuchMetadata { .. }));
}

#[test]
fn a_long_path_does_not_make_directories_without_bound() {
    let limit = 1 << 20;
    let mut builder = LayerBuilder::new(in_memory(limit));
    let deep = |number: u32| path(&format!("{number}{}", "/a".repeat(999)));
    let mut add = |number| builder.add(&deep(number), Metadata::default(), Node::<i64>::Fifo);
    // 449 bytes for a directory with a name of one byte: two thousand and some fit in.
    assert_eq!(add(0), Ok(()));
    assert_eq!(add(1), Ok(()));
    let path = deep(2);
    assert_eq!(add(2), Err(LayerError::TooMuchMetadata { path, limit }));
}

/// A twentieth of a layer of a million files, under a twentieth of the default.
#[test]
fn a_million_files_are_no_problem() {
    let mut builder = LayerBuilder::new(in_memory(Limits::default().max_metadata_len / 20));
    for directory in 0..5_000 {
        let directory = format!("usr/lib/python3/dist-packages/package-{directory}");
        for file in 0..10 {
            let path = path(&format!("{directory}/{}-{file}.py", "module".repeat(8)));
            let node = Node::File {
                size: 1,
                content: 0,
            };
            builder.add(&path, Metadata::default(), node).unwrap();
        }
    }
    let tree = builder.finish().unwrap().into_tree().unwrap();
    assert_eq!(tree.len(), 55_005);
}
