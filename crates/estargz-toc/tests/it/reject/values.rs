//! Values of single fields.

use image_model::metadata::XattrError;
use image_model::{Blame, Fault, FileKind, Limits};
use lazyoci_estargz_toc::error::{EntryFault, TocError};
use lazyoci_estargz_toc::image::ImageOptions;

use super::{DIR, accepted, decode_json, decode_with, refused, refused_with};

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

/// What an entry of some type has no use for is looked at all the same.
#[test]
fn fields_that_mean_nothing() {
    for kind in ["dir", "fifo", "chunk", "hardlink"] {
        for field in ["size", "offset", "innerOffset", "devMinor"] {
            let other = r#"{"name": "f", "type": "reg"}"#;
            let link = r#""linkName": "f""#;
            let entry = format!(r#"{{"name": "n", "type": "{kind}", "{field}": -1, {link}}}"#);
            let entries = format!("{other}, {entry}");
            refused(&entries, 1, "n", &EntryFault::Negative { field, value: -1 });
        }
    }
    let link = r#"{"name": "l", "type": "hardlink", "linkName": "f", "modtime": "never"}"#;
    let entries = format!(r#"{{"name": "f", "type": "fifo"}}, {link}"#);
    let found = "never".into();
    refused(&entries, 1, "l", &EntryFault::Time { found });
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
    let options = ImageOptions::default().limits(Limits::default().max_xattr_len(305));
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
fn a_document_beyond_the_limit() {
    let options = ImageOptions::default().limits(Limits::default().max_metadata_len(10));
    match decode_with("", &options) {
        Err(error @ TocError::TooLong { limit: 10, .. }) => assert_eq!(error.fault(), Fault::Limit),
        other => panic!("{other:?}"),
    }
}

#[test]
fn documents_that_are_none() {
    for (json, why) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        (
            "[]",
            "invalid type: sequence, expected a TOC object at line 1 column 0",
        ),
        (
            "null",
            "invalid type: null, expected a TOC object at line 1 column 4",
        ),
        ("{}", "missing field `entries` at line 1 column 2"),
        (
            r#"{"entries": {}}"#,
            "invalid type: map, expected a list of TOC entries at line 1 column 14",
        ),
        (
            r#"{"entries": []} x"#,
            "trailing characters at line 1 column 17",
        ),
        (
            r#"{"entries": [],"#,
            "EOF while parsing a value at line 1 column 15",
        ),
        (
            r#"{"entries": [1]}"#,
            "invalid type: integer `1`, expected a TOC entry at line 1 column 14",
        ),
        (
            r#"{"version": "1", "entries": []}"#,
            "invalid type: string \"1\", expected i64 at line 1 column 15",
        ),
    ] {
        match decode_json(json.as_bytes(), &ImageOptions::default()) {
            Err(TocError::Json(error)) => assert_eq!(error.to_string(), why, "{json}"),
            other => panic!("{json}: {other:?}"),
        }
    }
}

/// Writers always say 1, readers never look.
#[test]
fn any_version() {
    let json = br#"{"version": 77, "entries": null}"#;
    let decoded = decode_json(json, &ImageOptions::default()).unwrap();
    assert!(decoded.image.tree.is_empty());
}

#[test]
fn json_nested_deeply_is_no_recursion() {
    let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
    accepted(&format!(
        r#"{{"name": "f", "type": "reg", "unknown": {open}{close}}}"#
    ));
    let entry = format!(r#"{{"name": {open}{close}, "type": "reg"}}"#);
    match decode_with(&entry, &ImageOptions::default()) {
        Err(error @ TocError::Json(_)) => assert_eq!(error.fault(), Fault::Corrupt),
        other => panic!("{other:?}"),
    }
}

#[test]
fn short_attributes_count_too() {
    let entry = |kind: &str, count: usize| {
        let xattrs = vec![r#""":"""#; count].join(",");
        format!(r#"{{"xattrs": {{{xattrs}}}, "type": "{kind}", "linkName": "f", "name": "p"}}"#)
    };
    let options = ImageOptions::default().limits(Limits::default().max_xattr_len(1000));
    let fault = EntryFault::XattrsTooLong {
        len: 1001,
        limit: 1000,
    };
    // Whether or not anybody wants them.
    for kind in ["fifo", "dir", "hardlink", "chunk", "reg"] {
        for count in [1001, 100_000] {
            let entries = format!(r#"{{"name": "f", "type": "fifo"}}, {}"#, entry(kind, count));
            refused_with(&entries, &options, 1, "p", &fault);
        }
    }
    let name = XattrError::Name { name: [].into() };
    refused_with(&entry("fifo", 1000), &options, 0, "p", &name.into());
}

#[test]
fn a_toc_has_a_limit_of_its_own() {
    let limits = |max_toc_len, max_metadata_len| {
        ImageOptions::default().limits(
            Limits::default()
                .max_toc_len(max_toc_len)
                .max_metadata_len(max_metadata_len),
        )
    };
    // All of it counts, white space too.
    let entries = " ".repeat(1000);
    let len = 1000 + 29;
    decode_with(&entries, &limits(len, 1 << 20)).unwrap();
    decode_with(&entries, &limits(1 << 20, len)).unwrap();
    for options in [limits(len - 1, 1 << 20), limits(1 << 20, len - 1)] {
        match decode_with(&entries, &options) {
            Err(TocError::TooLong { len: found, limit }) => {
                assert_eq!((found, limit), (len, len - 1));
            }
            other => panic!("{other:?}"),
        }
    }
}
