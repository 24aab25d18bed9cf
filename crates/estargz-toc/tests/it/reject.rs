//! TOCs that are refused, each with entry, name and reason.

use estargz_toc::error::{EntryFault, TocError};
use estargz_toc::image::{EstargzImage, ImageOptions, Prefetch, TocBlob, decode_image};
use image_model::layer::LayerError;
use image_model::metadata::XattrError;
use image_model::name::NameError;
use image_model::path::PathError;
use image_model::{Blame, Fault, FileKind, Limits};

use crate::common::{blob_id, path, sha256};

const CONTENT_LEN: u64 = 10_000;

fn decode_with(entries: &str, options: &ImageOptions) -> Result<EstargzImage, TocError> {
    let one = sha256(b"1").to_string();
    let json = format!(r#"{{"version": 1, "entries": [{entries}]}}"#)
        .replace(
            "$D",
            &format!(r#""digest": "{one}", "chunkDigest": "{one}""#),
        )
        .replace("$C", &format!(r#""chunkDigest": "{one}""#))
        .replace("$W", &format!(r#""digest": "{one}""#));
    let blob = TocBlob {
        id: blob_id(),
        len: CONTENT_LEN + 1000,
        content_len: CONTENT_LEN,
    };
    decode_image(json.as_bytes(), blob, options)
}

fn decode(entries: &str) -> Result<EstargzImage, TocError> {
    decode_with(entries, &ImageOptions::default())
}

/// `entries` are refused at the entry `index` called `name`, for `fault`.
#[track_caller]
fn refused(entries: &str, index: usize, name: &str, fault: &EntryFault) {
    refused_with(entries, &ImageOptions::default(), index, name, fault);
}

#[track_caller]
fn refused_with(
    entries: &str,
    options: &ImageOptions,
    index: usize,
    name: &str,
    fault: &EntryFault,
) {
    match decode_with(entries, options) {
        Err(TocError::Entry {
            index: found_index,
            name: found_name,
            fault: found,
        }) => {
            assert_eq!((&found, found_index, &*found_name), (fault, index, name));
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn accepted(entries: &str) -> EstargzImage {
    decode(entries).unwrap()
}

const DIR: &str = r#"{"name": "d/", "type": "dir"}"#;
const FILE: &str = r#"{"name": "f", "type": "reg", "size": 1, "offset": 5, $D}"#;

#[test]
fn an_unknown_type() {
    let entries = format!(r#"{DIR}, {{"name": "x", "type": "socket"}}"#);
    let fault = EntryFault::UnknownType {
        found: "socket".into(),
    };
    refused(&entries, 1, "x", &fault);
    assert_eq!(fault.fault(), Fault::Unsupported);
}

#[test]
fn numbers_below_zero() {
    for field in [
        "size",
        "offset",
        "innerOffset",
        "chunkOffset",
        "chunkSize",
        "mode",
        "uid",
        "gid",
    ] {
        // The last one of two equal keys would be refused before: leave the other out.
        let others: String = [("size", 1), ("offset", 5)]
            .into_iter()
            .filter(|(other, _)| *other != field)
            .map(|(other, value)| format!(r#""{other}": {value}, "#))
            .collect();
        let entry = format!(r#"{{"name": "f", "type": "reg", {others}"{field}": -7, $D}}"#);
        refused(&entry, 0, "f", &EntryFault::Negative { field, value: -7 });
    }
    for field in ["devMajor", "devMinor"] {
        let entry = format!(r#"{{"name": "c", "type": "char", "{field}": -1}}"#);
        refused(&entry, 0, "c", &EntryFault::Negative { field, value: -1 });
    }
}

#[test]
fn numbers_beyond_their_range() {
    for (field, kind) in [
        ("uid", "dir"),
        ("gid", "fifo"),
        ("devMajor", "char"),
        ("devMinor", "block"),
    ] {
        let value = 1 << 32;
        let entry = format!(r#"{{"name": "n", "type": "{kind}", "{field}": {value}}}"#);
        let max = u32::MAX.into();
        refused(&entry, 0, "n", &EntryFault::TooLarge { field, value, max });
        let entry = entry.replace("4294967296", "4294967295");
        accepted(&entry);
    }
}

#[test]
fn file_type_bits_of_the_mode_are_masked() {
    let decoded = accepted(r#"{"name": "d", "type": "dir", "mode": 16877}"#);
    let tree = &decoded.image.tree;
    let inode = tree.inode(tree.resolve(b"d").unwrap());
    assert_eq!(
        (inode.metadata.mode, inode.node.kind()),
        (0o755, FileKind::Directory)
    );
}

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
    let tree = accepted(&both).image.tree;
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
    let tree = accepted(&entries).image.tree;
    assert_eq!(tree.resolve(b"l0"), tree.resolve(b"l5000"));
}

#[test]
fn depth_and_inodes_are_limited() {
    let options = ImageOptions {
        limits: Limits {
            max_depth: 3,
            max_inodes: 5,
            ..Limits::default()
        },
        ..ImageOptions::default()
    };
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
fn symbolic_links_without_a_usable_target() {
    for target in ["", r"a\u0000b"] {
        let entry = format!(r#"{{"name": "l", "type": "symlink", "linkName": "{target}"}}"#);
        refused(&entry, 0, "l", &EntryFault::SymlinkTarget);
    }
    let entry = format!(
        r#"{{"name": "l", "type": "symlink", "linkName": "{}"}}"#,
        "x".repeat(4097)
    );
    let fault = EntryFault::SymlinkTooLong {
        len: 4097,
        limit: 4096,
    };
    refused(&entry, 0, "l", &fault);
}

#[test]
fn a_time_that_is_none() {
    let entry = r#"{"name": "p", "type": "fifo", "modtime": "2020-13-01T00:00:00Z"}"#;
    let found = "2020-13-01T00:00:00Z".into();
    refused(entry, 0, "p", &EntryFault::Time { found });
}

#[test]
fn extended_attributes() {
    for value in ["AAE", "AA=E", "A A=", "____", "AAF="] {
        let entry =
            format!(r#"{{"name": "p", "type": "fifo", "xattrs": {{"user.a": "{value}"}}}}"#);
        let name = "user.a".into();
        refused(&entry, 0, "p", &EntryFault::XattrValue { name });
    }
    let twice = r#"{"name": "p", "type": "fifo", "xattrs": {"user.a": "", "user.a": "AA=="}}"#;
    let fault = XattrError::Duplicate {
        name: (*b"user.a").into(),
    };
    refused(twice, 0, "p", &fault.into());
    let empty = r#"{"name": "p", "type": "fifo", "xattrs": {"": "AA=="}}"#;
    refused(empty, 0, "p", &XattrError::Name { name: [].into() }.into());
    let long = format!(
        r#"{{"name": "p", "type": "fifo", "xattrs": {{"user.a": "{}"}}}}"#,
        "AAAA".repeat(100)
    );
    let options = ImageOptions {
        limits: Limits {
            max_xattr_len: 305,
            ..Limits::default()
        },
        ..ImageOptions::default()
    };
    let fault = EntryFault::XattrsTooLong {
        len: 306,
        limit: 305,
    };
    refused_with(&long, &options, 0, "p", &fault);
    let decoded = accepted(&long.replace(r#""user.a""#, r#""user.b": "AP8=", "user.a""#));
    let tree = &decoded.image.tree;
    let xattrs = &tree.inode(tree.resolve(b"p").unwrap()).metadata.xattrs;
    assert_eq!(xattrs.value(b"user.b"), Some(&b"\0\xff"[..]));
}

#[test]
fn digests_that_are_none() {
    let short = "sha256:abcd";
    let upper = sha256(b"").to_string().to_uppercase().replace("SHA", "sha");
    for text in [short, &upper, "abcd"] {
        let entry = format!(r#"{{"name": "f", "type": "reg", "digest": "{text}"}}"#);
        let found = text.into();
        let field = "digest";
        refused(&entry, 0, "f", &EntryFault::Digest { field, found });
    }
    for algorithm in ["sha512", "blake3", "md5"] {
        let text = format!("{algorithm}:{}", sha256(b"").hex());
        let entry = format!(
            r#"{{"name": "f", "type": "reg", "size": 1, "offset": 5, "chunkDigest": "{text}"}}"#
        );
        let fault = EntryFault::DigestAlgorithm {
            field: "chunkDigest",
            algorithm: algorithm.into(),
        };
        refused(&entry, 0, "f", &fault);
        assert_eq!(fault.fault(), Fault::Unsupported);
    }
}

#[test]
fn chunks_without_digest() {
    let none = r#"{"name": "f", "type": "reg", "size": 1, "offset": 5}"#;
    refused(none, 0, "f", &EntryFault::DigestMissing { chunk_offset: 0 });
    // Of a file with several chunks the whole digest says nothing about one of them.
    let several = r#"{"name": "f", "type": "reg", "size": 2, "offset": 5, "chunkSize": 1, $D},
                     {"name": "f", "type": "chunk", "offset": 6, "chunkOffset": 1}"#;
    refused(
        several,
        1,
        "f",
        &EntryFault::DigestMissing { chunk_offset: 1 },
    );
    let first = r#"{"name": "f", "type": "reg", "size": 2, "offset": 5, "chunkSize": 1, $W},
                   {"name": "f", "type": "chunk", "offset": 6, "chunkOffset": 1, $C}"#;
    refused(
        first,
        0,
        "f",
        &EntryFault::DigestMissing { chunk_offset: 0 },
    );
    let only_whole = r#"{"name": "f", "type": "reg", "size": 1, "offset": 5, $W}"#;
    assert_eq!(
        accepted(only_whole).image.chunks[0].digest,
        Some(sha256(b"1"))
    );

    let options = ImageOptions {
        without_digests: true,
        ..ImageOptions::default()
    };
    let decoded = decode_with(none, &options).unwrap();
    assert_eq!(decoded.image.chunks[0].digest, None);
}

#[test]
fn digests_that_contradict_each_other() {
    let (one, nothing) = (sha256(b"1"), sha256(b""));
    let entry = format!(
        r#"{{"name": "f", "type": "reg", "size": 1, "offset": 5, "digest": "{nothing}", $C}}"#
    );
    let fault = EntryFault::DigestsDiffer {
        file: nothing,
        chunk: one,
    };
    refused(&entry, 0, "f", &fault);
    let fault = EntryFault::DigestsDiffer {
        file: one,
        chunk: nothing,
    };
    refused(r#"{"name": "f", "type": "reg", $W}"#, 0, "f", &fault);
}

#[test]
fn chunks_in_the_wrong_place() {
    let chunk = r#"{"name": "f", "type": "chunk", "offset": 6, "chunkOffset": 1, $C}"#;
    refused(chunk, 0, "f", &EntryFault::ChunkWithoutFile);
    refused(
        &format!("{DIR}, {chunk}"),
        1,
        "f",
        &EntryFault::ChunkWithoutFile,
    );
    let link = r#"{"name": "h", "type": "hardlink", "linkName": "f"}"#;
    let entries = format!("{FILE}, {link}, {chunk}");
    refused(&entries, 2, "f", &EntryFault::ChunkWithoutFile);
    refused(
        &format!("{FILE}, {chunk}"),
        1,
        "f",
        &EntryFault::ChunkAfterEnd { size: 1 },
    );
    let empty = r#"{"name": "f", "type": "reg"}"#;
    refused(
        &format!("{empty}, {chunk}"),
        1,
        "f",
        &EntryFault::ChunkAfterEnd { size: 0 },
    );
    let long = r#"{"name": "./f", "type": "reg", "size": 2, "chunkSize": 1, "offset": 5, $D}"#;
    accepted(&format!("{long}, {chunk}"));
    let other = chunk.replace(r#""f""#, r#""g""#);
    let file = "./f".into();
    refused(
        &format!("{long}, {other}"),
        1,
        "g",
        &EntryFault::ChunkName { file },
    );
}

#[test]
fn chunks_that_do_not_make_up_the_file() {
    let file = |size: u64, chunk_size: u64| {
        format!(
            r#"{{"name": "f", "type": "reg", "size": {size}, "chunkSize": {chunk_size}, "offset": 5, $C}}"#
        )
    };
    let chunk = |offset: u64, chunk_offset: u64, chunk_size: u64| {
        format!(
            r#"{{"name": "f", "type": "chunk", "offset": {offset}, "chunkOffset": {chunk_offset},
                 "chunkSize": {chunk_size}, $C}}"#
        )
    };
    let gap = format!("{}, {}", file(10, 4), chunk(6, 5, 5));
    let order = |expected, found| EntryFault::ChunkOrder { expected, found };
    refused(&gap, 1, "f", &order(4, 5));
    let overlap = format!("{}, {}", file(10, 4), chunk(6, 3, 5));
    refused(&overlap, 1, "f", &order(4, 3));
    let swapped = format!("{}, {}, {}", file(10, 4), chunk(6, 8, 2), chunk(7, 4, 4));
    refused(&swapped, 1, "f", &order(4, 8));
    let late = r#"{"name": "f", "type": "reg", "size": 3, "chunkOffset": 1, "offset": 5, $C}"#;
    refused(late, 0, "f", &order(0, 1));
    let beyond = format!("{}, {}", file(10, 4), chunk(6, 4, 7));
    let fault = EntryFault::ChunkBeyondEnd {
        chunk_offset: 4,
        len: 7,
        size: 10,
    };
    refused(&beyond, 1, "f", &fault);
    let fault = EntryFault::ChunkBeyondEnd {
        chunk_offset: 0,
        len: 11,
        size: 10,
    };
    refused(&file(10, 11), 0, "f", &fault);
    let missing = EntryFault::ChunksMissing {
        covered: 8,
        size: 10,
    };
    let cut = format!("{}, {}", file(10, 4), chunk(6, 4, 4));
    refused(&cut, 0, "f", &missing);
    refused(&format!("{cut}, {DIR}"), 0, "f", &missing);
    let huge = file(i64::MAX as u64, 4);
    let chunk = chunk(6, 4, i64::MAX as u64);
    let fault = EntryFault::ChunkBeyondEnd {
        chunk_offset: 4,
        len: i64::MAX as u64,
        size: i64::MAX as u64,
    };
    refused(&format!("{huge}, {chunk}"), 1, "f", &fault);
}

#[test]
fn bytes_outside_the_blob_or_too_many() {
    let file = |name: &str, offset: u64, inner: u64, size: u64| {
        format!(
            r#"{{"name": "{name}", "type": "reg", "size": {size}, "offset": {offset}, "innerOffset": {inner}, $C}}"#
        )
    };
    for offset in [CONTENT_LEN, CONTENT_LEN + 1, i64::MAX as u64] {
        let fault = EntryFault::OutsidePayload {
            offset,
            end: CONTENT_LEN,
        };
        refused(&file("f", offset, 0, 1), 0, "f", &fault);
    }
    accepted(&file("f", CONTENT_LEN - 1, 0, 1));

    let limit = Limits::default().max_frame_len;
    for (inner, size, len) in [
        (0, 1 << 40, 1 << 40),
        (u64::from(limit), 1, u64::from(limit) + 1),
        (i64::MAX as u64, i64::MAX as u64, u64::MAX - 1),
    ] {
        let fault = EntryFault::FrameTooLong {
            offset: 5,
            len,
            limit,
        };
        refused(&file("f", 5, inner, size), 0, "f", &fault);
        assert_eq!(fault.fault(), Fault::Limit);
    }
    accepted(&file("f", 5, 0, limit.into()));

    let options = ImageOptions {
        limits: Limits {
            max_chunks: 1,
            ..Limits::default()
        },
        ..ImageOptions::default()
    };
    let two = format!("{}, {}", file("f", 5, 0, 1), file("g", 6, 0, 1));
    let fault = EntryFault::TooManyChunks { limit: 1 };
    refused_with(&two, &options, 1, "g", &fault);
}

#[test]
fn chunks_that_share_bytes_or_go_back() {
    let file = |name: &str, offset: u64, inner: u64| {
        format!(
            r#"{{"name": "{name}", "type": "reg", "size": 10, "offset": {offset}, "innerOffset": {inner}, $C}}"#
        )
    };
    let back = format!("{}, {}", file("f", 50, 0), file("g", 49, 0));
    let fault = EntryFault::OffsetOrder {
        offset: 49,
        previous: 50,
    };
    refused(&back, 1, "g", &fault);
    for inner_offset in [0, 9] {
        let same = format!("{}, {}", file("f", 50, 0), file("g", 50, inner_offset));
        let fault = EntryFault::Overlap {
            offset: 50,
            inner_offset,
            end: 10,
        };
        refused(&same, 1, "g", &fault);
    }
    let shared = format!("{}, {}", file("f", 0, 512), file("g", 0, 522));
    let image = accepted(&shared).image;
    assert_eq!((image.frames.len(), image.frames[0].len), (1, 532));
    assert_eq!(image.frames[0].stored_len, CONTENT_LEN as u32);
}

#[test]
fn a_member_of_four_gigabytes() {
    let json = format!(
        r#"{{"entries": [{{"name": "f", "type": "reg", "size": 1, "offset": 5, "digest": "{}"}},
            {{"name": "d", "type": "dir"}}]}}"#,
        sha256(b"1")
    );
    let content_len = 5 + (1u64 << 32);
    let blob = |content_len| TocBlob {
        id: blob_id(),
        len: content_len + 100,
        content_len,
    };
    let options = ImageOptions::default();
    assert!(decode_image(json.as_bytes(), blob(content_len - 1), &options).is_ok());
    match decode_image(json.as_bytes(), blob(content_len), &options) {
        Err(TocError::Entry {
            index: 0,
            fault: EntryFault::StoredTooLong { offset: 5, len },
            ..
        }) => assert_eq!(len, 1 << 32),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_document_beyond_the_limit() {
    let options = ImageOptions {
        limits: Limits {
            max_metadata_len: 10,
            ..Limits::default()
        },
        ..ImageOptions::default()
    };
    match decode_with("", &options) {
        Err(error @ TocError::TooLong { limit: 10, .. }) => assert_eq!(error.fault(), Fault::Limit),
        other => panic!("{other:?}"),
    }
}
