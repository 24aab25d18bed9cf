//! What a layer may take.

use lazyoci_image_model::advisory::Advisories;
use lazyoci_image_model::layer::ContentCost;
use lazyoci_image_model::tree::Span;

use super::*;

#[test]
fn limits_are_kept() {
    let limits = |max_inodes, max_depth| {
        strict().limits(
            Limits::default()
                .max_inodes(max_inodes)
                .max_depth(max_depth),
        )
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
    // A symbolic link leads further down, and a lower layer may have had another bound.
    let below = over("d a/b, l s -> a/b", "f s/c/d", limits(9, 2));
    assert_eq!(below, Err(too_deep("s/c")));
    assert!(over("d a/b, l s -> a", "f s/c/d", limits(9, 2)).is_ok());
    let layer = build("f a/b/c/d", 1, limits(9, 3)).unwrap();
    let layer = Layer::from_tree(layer.into_tree().unwrap(), limits(9, 2));
    assert_eq!(
        layer.apply_to(Tree::implied(), &mut Advisories::default()),
        Err(too_deep("a/b/c"))
    );
    let deep = format!("f {}x", "d/".repeat(300_000));
    let error = build(&deep, 1, strict()).unwrap_err();
    assert!(matches!(error, LayerError::TooDeep { limit: 10_000, .. }));
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
    strict().limits(Limits::default().max_metadata_len(max_metadata_len))
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

/// A layer under these limits, of `entries` paths that lie `depth` directories deep, each in a tree of
/// its own.
fn deep_paths(entries: usize, depth: usize, limits: Limits) -> Result<Layer<i64>, LayerError> {
    let mut builder = LayerBuilder::new(strict().limits(limits));
    for entry in 0..entries {
        let deep = format!("{entry}{}/f", "/d".repeat(depth - 1));
        builder.add(&path(&deep), Metadata::default(), Node::Fifo)?;
    }
    builder.finish()
}

#[test]
fn implied_directories_are_proportional_to_the_entries() {
    let limits = || Limits::default().max_depth(1_000);
    // One path may be as deep as any.
    for (entries, depth) in [(1, 999), (1_000, 16), (62, 32)] {
        let layer = deep_paths(entries, depth, limits()).unwrap();
        let inodes = 1 + entries * (depth + 1);
        assert_eq!(layer.into_tree().unwrap().len(), inodes);
    }
    let refused = deep_paths(63, 32, limits()).unwrap_err();
    assert_eq!(refused.fault(), Fault::Limit);
    let limit = 1_000 + 63 * 16;
    assert!(matches!(refused, LayerError::TooManyImplied { limit: found, .. } if found == limit));
}

#[test]
fn components_of_followed_links_are_proportional_to_the_entries() {
    // Each entry is 2,000 components away.
    let detour = format!("{}d", "d/../".repeat(800));
    let mut builder = LayerBuilder::new(lenient());
    let mut add = |at: String, node| builder.add(&path(&at), Metadata::default(), node);
    add("d".into(), Node::<i64>::empty_directory()).unwrap();
    add("l".into(), Node::Symlink(detour.into_bytes().into())).unwrap();
    let steps = 1_601;
    let mut added = 0u64;
    let refused = loop {
        match add(format!("l/{added}"), Node::Fifo) {
            Ok(()) => added += 1,
            Err(error) => break error,
        }
    };
    let LayerError::TooManySteps { limit, .. } = refused else {
        panic!("{refused}")
    };
    assert_eq!(refused.fault(), Fault::Limit);
    assert_eq!(limit, (1 << 20) + (added + 3) * 256);
    assert!(
        added * steps <= limit && (added + 1) * steps > limit,
        "{added}"
    );
}

#[test]
fn what_files_hold_is_limited() {
    let limits = Limits::default()
        .max_content_len(1_000_000)
        .max_hole_len(10_000)
        .max_metadata_len(2_000);
    let options = strict().limits(limits);
    let cost = |len, holes, memory| ContentCost { len, holes, memory };
    let charged = |costs: &[ContentCost]| {
        let mut builder = LayerBuilder::<i64>::new(options.clone());
        let mut charge = |cost: &ContentCost| builder.charge_content(&path("f"), *cost);
        costs.iter().try_for_each(&mut charge)
    };
    let too_much = |holes, limit| LayerError::TooMuchContent {
        path: path("f"),
        holes,
        limit,
    };
    assert_eq!(charged(&[cost(1_000_000, 0, 0)]), Ok(()));
    let refused = charged(&[cost(1_000_000, 0, 0), cost(1, 0, 0)]);
    assert_eq!(refused, Err(too_much(false, 1_000_000)));
    // Holes count beyond 64 times the data of all files.
    assert_eq!(charged(&[cost(10_000, 10_000, 0)]), Ok(()));
    assert_eq!(charged(&[cost(100, 0, 0), cost(16_300, 16_300, 0)]), Ok(()));
    for costs in [
        &[cost(10_001, 10_001, 0)][..],
        &[cost(100, 0, 0), cost(16_301, 16_301, 0)],
    ] {
        assert_eq!(charged(costs), Err(too_much(true, 10_000)));
    }
    // Lists of data regions count as metadata.
    let refused = charged(&[cost(1, 0, 2_001)]).unwrap_err();
    assert!(matches!(refused, LayerError::TooMuchMetadata { .. }));
    let span = |file_offset| Span {
        file_offset,
        source_offset: 0,
        len: 1,
    };
    assert_eq!(
        ContentCost::of_spans(10, &[span(0), span(5)]),
        cost(10, 8, 48)
    );
}

#[test]
fn messages_repeat_the_start_of_long_paths() {
    let long = vec!["x".repeat(250); 400].join("/");
    let error = LayerError::EmptyWhiteout { path: path(&long) };
    let message = error.to_string();
    assert!(
        message.contains("xxx... (100399 bytes): a whiteout"),
        "{message}"
    );
    assert!(message.len() < 1_200);
    assert_eq!(path(&long).to_string().len(), 1 + long.len());
}
