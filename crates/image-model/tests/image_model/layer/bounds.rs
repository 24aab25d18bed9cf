//! What a layer may take.

use super::*;

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
