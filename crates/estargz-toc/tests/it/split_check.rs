//! The TOC of containers/storage against its tar-split: every difference is told.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image_model::Limits;
use lazyoci_estargz_toc::tar_split::{
    SplitDifference, SplitMismatch, TarSplit, TarSplitError, check_entries,
};

use crate::common::golden;

fn differences(json: &str, lines: &[u8]) -> Vec<(String, SplitDifference)> {
    let limits = Limits::default();
    let split = TarSplit::from_lines(lines, &limits).unwrap();
    let mut found = Vec::new();
    check_entries(json.as_bytes(), &split, &limits, &mut |mismatch| {
        let SplitMismatch { name, what } = mismatch;
        found.push((String::from_utf8_lossy(&name).into_owned(), what));
    })
    .unwrap();
    found
}

fn toc() -> String {
    String::from_utf8(golden("vector-b.toc.json")).unwrap()
}

fn split() -> Vec<u8> {
    golden("vector-b.tar-split")
}

#[test]
fn skopeos_agree() {
    assert_eq!(differences(&toc(), &split()), []);
    let json = String::from_utf8(golden("odd-b.toc.json")).unwrap();
    assert_eq!(differences(&json, &golden("odd-b.tar-split")), []);
}

#[test]
fn every_field_counts() {
    for (from, to, field) in [
        (r#""mode":420,"size":5"#, r#""mode":421,"size":5"#, "mode"),
        (r#""size":5"#, r#""size":6"#, "size"),
        (r#""uid":1000"#, r#""uid":1001"#, "uid"),
        (r#""gid":1000"#, r#""gid":1001"#, "gid"),
        (
            r#"12:26:40Z","digest""#,
            r#"12:26:41Z","digest""#,
            "modtime",
        ),
        (
            r#"12:26:40Z","digest""#,
            r#"12:26:40.5Z","digest""#,
            "modtime",
        ),
        (r#"12:26:40Z","digest""#, r#"soon","digest""#, "modtime"),
        (
            r#""digest":"sha256:2c"#,
            r#""accesstime":"2020-09-13T12:26:40Z","digest":"sha256:2c"#,
            "accesstime",
        ),
        (
            r#""digest":"sha256:2c"#,
            r#""changetime":"2020-09-13T12:26:40Z","digest":"sha256:2c"#,
            "changetime",
        ),
        (
            r#""digest":"sha256:2c"#,
            r#""devMajor":1,"digest":"sha256:2c"#,
            "devMajor",
        ),
        (
            r#""digest":"sha256:2c"#,
            r#""devMinor":1,"digest":"sha256:2c"#,
            "devMinor",
        ),
        (
            r#""digest":"sha256:2c"#,
            r#""xattrs":{"user.a":"AA=="},"digest":"sha256:2c"#,
            "xattrs",
        ),
        (
            r#""digest":"sha256:2c"#,
            r#""xattrs":{"user.a":"!"},"digest":"sha256:2c"#,
            "xattrs",
        ),
        (
            r#""digest":"sha256:2c"#,
            r#""linkName":"x","digest":"sha256:2c"#,
            "linkName",
        ),
    ] {
        let changed = toc().replacen(from, to, 1);
        assert_ne!(changed, toc());
        let expected = ("d/a".to_owned(), SplitDifference::Field(field));
        assert_eq!(differences(&changed, &split()), [expected], "{to}");
    }
    let link = toc().replacen(
        r#""name":"l","linkName":"d/a""#,
        r#""name":"l","linkName":"d/b""#,
        1,
    );
    let expected = ("l".to_owned(), SplitDifference::Field("linkName"));
    assert_eq!(differences(&link, &split()), [expected]);
    let kind = toc().replacen(r#""type":"symlink""#, r#""type":"fifo""#, 1);
    let expected = ("l".to_owned(), SplitDifference::Field("type"));
    assert_eq!(differences(&kind, &split()), [expected]);
}

#[test]
fn times_that_are_none_are_the_same() {
    for time in [
        "0001-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "1970-01-01T09:00:00+09:00",
        "",
    ] {
        let json = toc().replace("1970-01-01T00:00:00Z", time);
        assert_eq!(differences(&json, &split()), [], "{time}");
    }
    let zone = toc().replace("2020-09-13T12:26:40Z", "2020-09-13T21:26:40+09:00");
    assert_eq!(differences(&zone, &split()), []);
}

#[test]
fn entries_are_the_same_ones() {
    let e = r#"{"type":"reg","name":"e","mode":420,"modtime":"1970-01-01T00:00:00Z"},"#;
    let without = toc().replacen(e, "", 1);
    let only = ("e".to_owned(), SplitDifference::OnlyInSplit);
    assert_eq!(differences(&without, &split()), [only]);
    let other = e.replace(r#""name":"e""#, r#""name":"x""#);
    let with = toc().replacen(e, &format!("{e}{other}"), 1);
    let only = ("x".to_owned(), SplitDifference::OnlyInToc);
    assert_eq!(differences(&with, &split()), [only]);
    // Names count as they are stored, and paths only once.
    let spelled = e.replace(r#""name":"e""#, r#""name":"./e""#);
    let twice = toc().replacen(e, &format!("{e}{spelled}"), 1);
    let expected = [
        ("./e".to_owned(), SplitDifference::Duplicate),
        ("./e".to_owned(), SplitDifference::OnlyInToc),
    ];
    assert_eq!(differences(&twice, &split()), expected);
}

/// The lines for files against the headers in the segments.
#[test]
fn files_stand_at_their_headers() {
    let lines = String::from_utf8(split()).unwrap();
    let renamed = lines.replacen(r#""name":"d/a""#, r#""name":"d/b""#, 1);
    let expected = [("d/a".to_owned(), SplitDifference::File)];
    assert_eq!(differences(&toc(), renamed.as_bytes()), expected);
    // A tar that ends within its first header.
    let header = STANDARD.encode([0; 1024]);
    let only_end = format!("{{\"type\":2,\"payload\":\"{header}\",\"position\":0}}\n");
    let missing = differences(&toc(), only_end.as_bytes());
    assert_eq!(missing.len(), 6);
    assert!(
        missing
            .iter()
            .all(|(_, what)| *what == SplitDifference::OnlyInToc)
    );
}

#[test]
fn a_long_tar_is_refused() {
    let limits = Limits::default().max_layer_len(10_239);
    let error = TarSplit::from_lines(&split(), &limits).unwrap_err();
    assert!(matches!(
        error,
        TarSplitError::TarTooLong {
            len: 10_240,
            limit: 10_239
        }
    ));
    let all = TarSplit::from_lines(golden("vector-b.tar-split").leak(), &Limits::default());
    assert_eq!(all.unwrap().tar_len(), 10_240);
}
