//! The TOC of containers/storage: byte for byte, the cases of the reference tests, and what is refused.

use image_model::{Blame, Fault, Limits};
use lazyoci_estargz_toc::containers_toc::{
    ContainersEntry, ContainersToc, MAX_LEN, for_each_entry, to_json,
};
use lazyoci_estargz_toc::error::TocError;
use lazyoci_estargz_toc::toc::EntryType;

use crate::common::{golden, inflate_zstd};

fn parse(json: &str) -> Result<ContainersToc<'_>, TocError> {
    ContainersToc::from_json(json.as_bytes(), &Limits::default())
}

fn error(json: &str) -> String {
    match parse(json) {
        Err(TocError::Json(error)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_toc_of_skopeo_comes_back_byte_for_byte() {
    let blob = golden("vector-b.tar.zst");
    let json = inflate_zstd(&blob[364..364 + 539], 1298);
    assert!(json == golden("vector-b.toc.json"));
    assert_eq!(
        verify::sha256(&blob[364..364 + 539]).to_string(),
        "sha256:0686ec0eb331387870bba68b79594dbb60f2a2f3a44f2431dc3d84b6f5b75738"
    );
    let toc = ContainersToc::from_json(&json, &Limits::default()).unwrap();
    assert_eq!(
        toc.header.tar_split_digest,
        "sha256:0b8efe6495ba9ba3756b57196577b6d465b46937c0bcd6ee188b1c6d61f5a1fb"
    );
    assert_eq!(toc.entries.len(), 8);
    let hole = &toc.entries[4];
    assert_eq!((hole.kind.as_str(), &*hole.name), ("chunk", "z"));
    assert_eq!(
        (hole.offset, hole.chunk_size, hole.chunk_offset),
        (216, 1024, 2)
    );
    assert_eq!(hole.chunk_type, "zeros");
    assert!(toc.to_json() == json);
}

#[test]
fn escapes_of_the_reference_library() {
    let entry = ContainersEntry::new(
        EntryType::Reg,
        "a<b>&\u{2028}\u{8}\u{c}\u{1}\"\\\n\r\t\u{7f}é",
    );
    let json = to_json([Ok::<_, TocError>(entry.clone())], "").unwrap();
    let expected = "{\"version\":1,\"entries\":[{\"type\":\"reg\",\"name\":\"a\\u003cb\\u003e\\u0026\\u2028\\u0008\\u000c\\u0001\\\"\\\\\\n\\r\\t\u{7f}é\"}]}";
    assert_eq!(str::from_utf8(&json), Ok(expected));
    assert_eq!(parse(expected).unwrap().entries, [entry]);
}

#[test]
fn every_field_in_its_place() {
    let json = r#"{"version":1,"entries":[{"type":"reg","name":"f","linkName":"l","mode":1,"size":2,"uid":3,"gid":4,"modtime":"m","accesstime":"a","changetime":"c","devMajor":5,"devMinor":6,"xattrs":{"user.a":"AA=="},"digest":"d","offset":7,"endOffset":8,"chunkSize":9,"chunkOffset":10,"chunkDigest":"e","chunkType":"zeros"}],"tarSplitDigest":"t"}"#;
    let toc = parse(json).unwrap();
    assert_eq!(toc.to_json(), json.as_bytes());
    assert_eq!(
        (toc.entries[0].end_offset, toc.entries[0].chunk_offset),
        (8, 10)
    );
}

#[test]
fn no_entries_are_null() {
    let json = to_json([], "").map_err(|never: TocError| never).unwrap();
    assert_eq!(json, br#"{"version":1,"entries":null}"#);
    assert_eq!(
        parse(r#"{"version":1,"entries":null}"#).unwrap().entries,
        []
    );
}

/// The reference test `TestUnmarshalToc`.
#[test]
fn only_white_space_may_follow() {
    let json = r#"{"version":1,"entries":[{"type":"reg","name":"usr/lib/systemd/system/system-systemd\\x2dcryptsetup.slice"}]}"#;
    let name = r"usr/lib/systemd/system/system-systemd\x2dcryptsetup.slice";
    for tail in ["", "   ", "\n\n", " \t\n"] {
        let text = format!("{json}{tail}");
        assert_eq!(parse(&text).unwrap().entries[0].name, name);
    }
    for tail in ["aaaa", ",", "{}", "[]", "\"aaaa\"", "123"] {
        assert!(
            error(&format!("{json}{tail}")).starts_with("trailing characters"),
            "{tail}"
        );
    }
}

/// The reference reader ignores case and takes the last of repeated keys.
#[test]
fn keys_in_any_case_but_once() {
    let toc = parse(
        r#"{"Version":1,"ENTRIES":[{"Type":"reg","NAME":"a","MODTIME":"m"}],"tarsplitdigest":"t"}"#,
    );
    let toc = toc.unwrap();
    assert_eq!(
        (&*toc.entries[0].name, &*toc.entries[0].modtime),
        ("a", "m")
    );
    assert_eq!(toc.header.tar_split_digest, "t");
    for (json, expected) in [
        (
            r#"{"entries":[{"type":"reg","name":"a","Name":"b"}]}"#,
            "duplicate field `name`",
        ),
        (
            r#"{"entries":[],"Entries":[]}"#,
            "duplicate field `entries`",
        ),
        (
            r#"{"entries":[],"tarSplitDigest":"a","TARSPLITDIGEST":"b"}"#,
            "duplicate field `tarSplitDigest`",
        ),
        (
            r#"{"entries":[{"type":"reg","name":"a","":1}]}"#,
            "an empty key",
        ),
        (r#"{"entries":[{"type":"reg"}]}"#, "missing field `name`"),
        (r#"{"entries":[{"name":"a"}]}"#, "missing field `type`"),
        (r#"{"version":1}"#, "missing field `entries`"),
        ("[]", "invalid type"),
    ] {
        assert!(error(json).starts_with(expected), "{json}: {}", error(json));
    }
}

#[test]
fn unknown_keys_are_skipped() {
    let toc = parse(r#"{"entries":[{"type":"fifo","name":"a","x":[1,{"y":2}]}],"x":{}}"#).unwrap();
    assert_eq!(toc.entries, [ContainersEntry::new(EntryType::Fifo, "a")]);
}

#[test]
fn a_long_toc_is_refused_before_it_is_parsed() {
    let limits = Limits::default().max_toc_len(10);
    let error = for_each_entry(b"{\"entries\":[]}", &limits, |_, _| Ok::<_, TocError>(()));
    let error = error.unwrap_err();
    assert!(matches!(error, TocError::TooLong { len: 14, limit: 10 }));
    assert_eq!(error.fault(), Fault::Limit);
    assert_eq!(MAX_LEN, 157_286_400);
    let long = vec![b' '; MAX_LEN as usize + 1];
    let error = for_each_entry(&long, &Limits::default(), |_, _| Ok::<_, TocError>(()));
    assert!(matches!(
        error,
        Err(TocError::TooLong { limit: MAX_LEN, .. })
    ));
}

#[test]
fn visiting_stops_at_the_first_refusal() {
    let json = br#"{"entries":[{"type":"dir","name":"a"},{"type":"dir","name":"b"},3]}"#;
    let mut seen = Vec::new();
    let result = for_each_entry(json, &Limits::default(), |index, entry| {
        seen.push(entry.name.into_owned());
        if index == 1 { Err(None) } else { Ok(()) }
    });
    assert_eq!(result.map_err(|e: Option<TocError>| e.is_none()), Err(true));
    assert_eq!(seen, ["a", "b"]);
}
