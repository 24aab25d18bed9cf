//! Tar-split of containers/storage, and what is refused in one.

use std::borrow::Cow;

use image_model::{Blame, Fault, Limits};
use lazyoci_estargz_toc::tar_split::{Crc64, Item, TarSplitError, for_each_item};

use crate::common::{golden, inflate_zstd};

fn items(lines: &[u8]) -> Result<Vec<Item<'_>>, TarSplitError> {
    let mut items = Vec::new();
    for_each_item(lines, &Limits::default(), |item| {
        items.push(item);
        Ok::<_, TarSplitError>(())
    })?;
    Ok(items)
}

fn refused(lines: &str) -> TarSplitError {
    let error = items(lines.as_bytes()).unwrap_err();
    assert_eq!(error.fault(), Fault::Corrupt);
    error
}

#[test]
fn the_tar_split_of_skopeo() {
    let blob = golden("vector-b.tar.zst");
    let lines = inflate_zstd(&blob[911..911 + 483], 11_564);
    assert!(lines == golden("vector-b.tar-split"));
    let items = items(&lines).unwrap();
    let mut crc = Crc64::new();
    crc.update(b"hello");
    assert_eq!(
        items[1],
        Item::File {
            name: Cow::Borrowed(b"d/"),
            size: 0,
            crc: None
        }
    );
    assert_eq!(
        items[3],
        Item::File {
            name: Cow::Borrowed(b"d/a"),
            size: 5,
            crc: Some(crc.finish())
        }
    );
    // The reference test `TestTarSizeFromTarSplit`.
    let len: u64 = items
        .iter()
        .map(|item| match item {
            Item::Segment(bytes) => bytes.len() as u64,
            Item::File { size, .. } => *size,
        })
        .sum();
    assert_eq!(len, 10_240);
}

#[test]
fn names_that_are_not_utf8() {
    let lines = br#"{"type":1,"name_raw":"Y2Fm6Q==","payload":null,"position":0}"#;
    let name = Cow::Borrowed(&b"caf\xe9"[..]);
    let file = Item::File {
        name,
        size: 0,
        crc: None,
    };
    assert_eq!(items(lines).unwrap(), [file]);
}

#[test]
fn lines_that_are_no_items() {
    let json = |lines: &str| match refused(lines) {
        TarSplitError::Json { line, source } => (line, source.to_string()),
        other => panic!("{other:?}"),
    };
    let segment = r#"{"type":2,"payload":"","position":0}"#;
    assert_eq!(json("{").0, 0);
    assert_eq!(json(&format!("{segment}\nx")).0, 1);
    assert!(
        json(r#"{"type":2,"type":2,"position":0}"#)
            .1
            .starts_with("duplicate field `type`")
    );
    assert!(
        json(r#"{"payload":"","position":0}"#)
            .1
            .starts_with("missing field `type`")
    );
    assert!(
        json(r#"{"type":2,"payload":""}"#)
            .1
            .starts_with("missing field `position`")
    );
    assert!(
        json(r#"{"Type":2,"position":0}"#)
            .1
            .contains("in case only")
    );
    assert!(
        json(r#"{"type":1,"name":"a","size":-1,"position":0}"#)
            .1
            .starts_with("invalid value")
    );
    assert!(matches!(
        refused(r#"{"type":3,"position":0}"#),
        TarSplitError::Type { line: 0, found: 3 }
    ));
    assert!(matches!(
        refused(&format!("{segment}\n{segment}")),
        TarSplitError::Position { line: 1, found: 0 }
    ));
    for names in ["", r#""name":"a","name_raw":"YQ==","#] {
        let line = format!(r#"{{"type":1,{names}"payload":null,"position":0}}"#);
        assert!(matches!(refused(&line), TarSplitError::Name { line: 0 }));
    }
    for (payload, field) in [
        (r#""payload":"!""#, "payload"),
        (r#""payload":"YQ""#, "payload"),
        (r#""payload":null,"name_raw":"!""#, "name_raw"),
    ] {
        let line = format!(r#"{{"type":1,{payload},"position":0}}"#);
        let error = refused(&line);
        assert!(matches!(error, TarSplitError::Base64 { line: 0, field: found } if found == field));
    }
    for (size, payload, len) in [
        (5, "null", 0),
        (5, "\"YQ==\"", 1),
        (0, "\"PD7u4tgQAAA=\"", 8),
    ] {
        let line =
            format!(r#"{{"type":1,"name":"a","size":{size},"payload":{payload},"position":0}}"#);
        let error = refused(&line);
        assert!(
            matches!(error, TarSplitError::Checksum { line: 0, size: s, len: l } if s == size && l == len)
        );
    }
}

#[test]
fn a_long_one_is_refused_before_it_is_parsed() {
    let limits = Limits::default().max_toc_len(3);
    let error = for_each_item(b"    ", &limits, |_| Ok::<_, TarSplitError>(())).unwrap_err();
    assert!(matches!(error, TarSplitError::TooLong { len: 4, limit: 3 }));
    assert_eq!(error.fault(), Fault::Limit);
}
