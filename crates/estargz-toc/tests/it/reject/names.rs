//! Names, links, and what has no place in the tree.

use image_model::layer::LayerError;
use image_model::name::NameError;
use image_model::path::PathError;
use image_model::{FileKind, Limits};
use lazyoci_estargz_toc::error::{EntryFault, TocError};
use lazyoci_estargz_toc::image::{ImageOptions, Prefetch};

use super::{DIR, FILE, accepted, decode, decode_with, refused, refused_with};
use crate::common::path;

#[test]
fn names_that_are_none() {
    let nul = PathError {
        offset: 2,
        source: NameError::Byte { byte: 0, offset: 1 },
    };
    let entry = r#"{"name": "a/b\u0000", "type": "fifo"}"#;
    refused(entry, 0, "a/b\0", &EntryFault::Name(nul.clone()));
    let entry = r#"{"name": "h", "type": "hardlink", "linkName": "a/b\u0000"}"#;
    refused(entry, 0, "h", &EntryFault::Target(nul));
    let long = "x".repeat(256);
    let entry = format!(r#"{{"name": "{long}", "type": "fifo"}}"#);
    let too_long = PathError {
        offset: 0,
        source: NameError::TooLong { len: 256 },
    };
    refused(&entry, 0, &long, &EntryFault::Name(too_long));
}

#[test]
fn dots_are_cleaned_at_the_root() {
    let decoded = accepted(
        r#"{"name": "../../etc//./x/../passwd", "type": "fifo"},
           {"name": "/l", "type": "hardlink", "linkName": "../etc/passwd"}"#,
    );
    let tree = &decoded.image.tree;
    let passwd = tree.resolve(b"etc/passwd");
    assert!(passwd.is_some());
    assert_eq!(tree.resolve(b"l"), passwd);
    assert_eq!(tree.resolve(b"etc/x"), None);
}

#[test]
fn something_else_than_a_directory_at_the_root() {
    for (name, kind, found) in [
        ("/", "fifo", FileKind::Fifo),
        ("./", "reg", FileKind::File),
        ("..", "symlink", FileKind::Symlink),
        ("", "hardlink", FileKind::File),
    ] {
        let entry = format!(r#"{{"name": "{name}", "type": "{kind}", "linkName": "a"}}"#);
        let fault = LayerError::RootNotDirectory { kind: found }.into();
        refused(&entry, 0, name, &fault);
    }
}

#[test]
fn the_name_of_the_toc() {
    let entry = r#"{"name": "./stargz.index.json", "type": "reg"}"#;
    refused(entry, 0, "./stargz.index.json", &EntryFault::ReservedName);
    accepted(r#"{"name": "d/stargz.index.json", "type": "reg"}"#);
}

#[test]
fn a_landmark_that_is_no_file() {
    for kind in ["dir", "symlink", "hardlink", "fifo"] {
        let entry =
            format!(r#"{{"name": "/.prefetch.landmark", "type": "{kind}", "linkName": "a"}}"#);
        refused(&entry, 0, "/.prefetch.landmark", &EntryFault::LandmarkKind);
    }
}

/// It would go with the directory, which is no file of the image.
#[test]
fn an_entry_below_a_landmark() {
    for kind in ["reg", "dir", "hardlink"] {
        for landmark in [".prefetch.landmark", ".no.prefetch.landmark"] {
            let name = format!("{landmark}/evil");
            let entry = format!(r#"{{"name": "{name}", "type": "{kind}", "linkName": "a"}}"#);
            refused(&entry, 0, &name, &EntryFault::LandmarkKind);
        }
    }
    accepted(r#"{"name": ".prefetch.landmarks/a", "type": "fifo"}"#);
    accepted(r#"{"name": "d/.prefetch.landmark/a", "type": "fifo"}"#);
}

#[test]
fn messages_repeat_the_start_of_long_names() {
    let long = "x".repeat(100_000);
    let error = decode(&format!(r#"{{"name": "{long}", "type": "fifo"}}"#)).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("xxx... (100000 bytes)"), "{message}");
    assert!(message.len() < 1_200);
}

#[test]
fn landmarks() {
    let prefetch =
        r#"{"name": "./.prefetch.landmark", "type": "reg", "size": 1, "offset": 90, $D}"#;
    let nothing =
        r#"{"name": ".no.prefetch.landmark", "type": "reg", "size": 1, "offset": 95, $D}"#;
    let below = r#"{"name": "d/.prefetch.landmark", "type": "reg", "size": 1, "offset": 97, $D}"#;
    for (entries, expected) in [
        (prefetch.to_owned(), Some(Prefetch::UpTo(90))),
        (nothing.to_owned(), Some(Prefetch::Nothing)),
        (format!("{prefetch}, {nothing}"), Some(Prefetch::Nothing)),
        (below.to_owned(), None),
    ] {
        assert_eq!(accepted(&entries).prefetch, expected);
    }
    let both = format!("{prefetch}, {nothing}, {below}");
    let tree = accepted(&both).image.tree.clone();
    assert_eq!(tree.resolve(b".prefetch.landmark"), None);
    assert_eq!(tree.resolve(b".no.prefetch.landmark"), None);
    assert!(tree.resolve(b"d/.prefetch.landmark").is_some());
    let fault = EntryFault::Conflict {
        existing: FileKind::File,
    };
    refused(
        &format!("{prefetch}, {prefetch}"),
        1,
        "./.prefetch.landmark",
        &fault,
    );
}

#[test]
fn two_entries_of_one_path() {
    let conflict = |existing| EntryFault::Conflict { existing };
    let twice = format!(r#"{FILE}, {{"name": "./f", "type": "fifo"}}"#);
    refused(&twice, 1, "./f", &conflict(FileKind::File));
    let twice = format!(r#"{FILE}, {{"name": "f/", "type": "dir"}}"#);
    refused(&twice, 1, "f/", &conflict(FileKind::File));
    let twice = format!(r#"{DIR}, {{"name": "d", "type": "symlink", "linkName": "x"}}"#);
    refused(&twice, 1, "d", &conflict(FileKind::Directory));
    let link = r#"{"name": "h", "type": "hardlink", "linkName": "f"}"#;
    refused(
        &format!("{link}, {FILE}, {link}"),
        2,
        "h",
        &conflict(FileKind::File),
    );
    // Directories merge.
    let decoded = accepted(&format!(
        r#"{DIR}, {{"name": "d/x", "type": "fifo"}}, {{"name": "d", "type": "dir", "mode": 448}}"#
    ));
    let tree = &decoded.image.tree;
    let directory = tree.resolve(b"d").unwrap();
    assert_eq!(tree.inode(directory).metadata.mode, 0o700);
    assert!(tree.resolve(b"d/x").is_some());
}

#[test]
fn a_parent_that_is_no_directory() {
    let below = |kind| {
        EntryFault::from(LayerError::BelowNonDirectory {
            path: path("f/x"),
            kind,
        })
    };
    let child = r#"{"name": "f/x", "type": "fifo"}"#;
    refused(
        &format!("{FILE}, {child}"),
        1,
        "f/x",
        &below(FileKind::File),
    );
    let symlink = r#"{"name": "f", "type": "symlink", "linkName": "d"}"#;
    refused(
        &format!("{DIR}, {symlink}, {child}"),
        2,
        "f/x",
        &below(FileKind::Symlink),
    );
    let link = r#"{"name": "f", "type": "hardlink", "linkName": "d"}"#;
    refused(
        &format!("{link}, {child}, {DIR}"),
        1,
        "f/x",
        &below(FileKind::File),
    );
    // The other way round: a file in the place of a directory that entries imply.
    let fault = EntryFault::Conflict {
        existing: FileKind::Directory,
    };
    refused(&format!(r#"{child}, {FILE}, {DIR}"#), 1, "f", &fault);
}

#[test]
fn hard_links_that_lead_nowhere() {
    let link = |name: &str, target: &str| {
        format!(r#"{{"name": "{name}", "type": "hardlink", "linkName": "{target}"}}"#)
    };
    let missing = LayerError::TargetOutsideLayer {
        path: path("h"),
        target: path("nowhere"),
    };
    refused(
        &format!("{DIR}, {}, {FILE}", link("h", "nowhere")),
        1,
        "h",
        &missing.into(),
    );
    let looped = |at: &str, target: &str| {
        EntryFault::from(LayerError::LinkLoop {
            path: path(at),
            target: path(target),
        })
    };
    refused(&link("h", "./h"), 0, "h", &looped("h", "h"));
    let cycle = format!("{}, {}, {}", link("a", "b"), link("b", "c"), link("c", "a"));
    match decode(&cycle) {
        Err(TocError::Entry {
            fault: EntryFault::Place(LayerError::LinkLoop { .. }),
            name,
            index,
        }) => assert_eq!(["a", "b", "c"][index], &*name),
        other => panic!("{other:?}"),
    }
    let directory = |at: &str| {
        EntryFault::from(LayerError::LinkToDirectory {
            path: path(at),
            target: path("d"),
        })
    };
    refused(
        &format!("{DIR}, {}", link("h", "d")),
        1,
        "h",
        &directory("h"),
    );
    refused(
        &format!("{}, {DIR}", link("h", "d/")),
        0,
        "h",
        &directory("h"),
    );
    let root = LayerError::LinkToDirectory {
        path: path("h"),
        target: path(""),
    };
    refused(&link("h", ".."), 0, "h", &root.into());
}

#[test]
fn a_long_chain_of_hard_links_is_no_recursion() {
    let mut entries = String::new();
    for n in 0..5000 {
        entries += &format!(
            r#"{{"name": "l{n}", "type": "hardlink", "linkName": "l{}"}}, "#,
            n + 1
        );
    }
    entries += r#"{"name": "l5000", "type": "fifo"}"#;
    let tree = accepted(&entries).image.tree.clone();
    assert_eq!(tree.resolve(b"l0"), tree.resolve(b"l5000"));
}

#[test]
fn depth_and_inodes_are_limited() {
    let options = ImageOptions::default().limits(Limits::default().max_depth(3).max_inodes(5));
    let entry = |name: &str| format!(r#"{{"name": "{name}", "type": "dir"}}"#);
    decode_with(&entry("a/b/c"), &options).unwrap();
    let deep = LayerError::TooDeep {
        path: path("a/b/c/d"),
        limit: 3,
    };
    refused_with(&entry("a/b/c/d"), &options, 0, "a/b/c/d", &deep.into());
    let many = LayerError::TooManyInodes {
        path: path("e"),
        limit: 5,
    };
    let entries = ["a", "b", "c", "d", "e"].map(entry).join(",");
    refused_with(&entries, &options, 4, "e", &many.into());
}

#[test]
fn whiteouts_that_are_none() {
    for name in [".wh.", "d/.wh.", ".wh./f"] {
        let fault = EntryFault::from(LayerError::EmptyWhiteout { path: path(name) });
        let entry = format!(r#"{{"name": "{name}", "type": "reg"}}"#);
        refused(&entry, 0, name, &fault);
        let entry = format!(r#"{FILE}, {{"name": "{name}", "type": "hardlink", "linkName": "f"}}"#);
        refused(&entry, 1, name, &fault);
    }
    for name in [".wh.x/", "d/.wh..wh..opq"] {
        let entry = format!(r#"{DIR}, {{"name": "{name}", "type": "dir"}}"#);
        let fault = LayerError::WhiteoutDirectory { path: path(name) };
        refused(&entry, 1, name, &fault.into());
    }
    accepted(r#"{"name": "d/.wh.x", "type": "reg"}, {"name": ".wh..wh.x/", "type": "dir"}"#);
}

#[test]
fn what_the_tree_takes_is_limited() {
    let limit = 10_000;
    let options = ImageOptions::default().limits(Limits::default().max_metadata_len(limit));
    let entry = |name: &str| format!(r#"{{"name": "{name}", "type": "fifo"}}"#);
    let fault = |name: &str| {
        EntryFault::from(LayerError::TooMuchMetadata {
            path: path(name),
            limit,
        })
    };
    // The entry itself takes 193 bytes, each directory on the way to it 449.
    let deep = |number: u32, depth| format!("{number}{}", "/a".repeat(depth));
    let (fits, too_much) = (deep(0, 21), deep(0, 22));
    decode_with(&entry(&fits), &options).unwrap();
    let error = fault(&too_much);
    refused_with(&entry(&too_much), &options, 0, &too_much, &error);
    let (first, second) = (deep(0, 15), deep(1, 15));
    let entries = [&*first, &second].map(entry).join(",");
    refused_with(&entries, &options, 1, &second, &fault(&second));
    // Files come into the tree when their last chunk is known.
    let file = entry(&too_much).replace("fifo", "reg");
    let entries = format!("{file}, {DIR}");
    refused_with(&entries, &options, 0, &too_much, &error);
}
