//! Conversions that copy stored frames.

use std::fs;

use crate::{Fixture, complaint, example, json, text};

#[test]
fn frames_are_copied_where_they_fit() {
    let fixture = Fixture::new();
    let convert = |to: &str, arguments: &[&str], image: &str, output: &str| {
        let mut convert = example("convert");
        convert.args(["--to", to]).args(arguments);
        convert.arg(fixture.path(image)).arg(fixture.path(output));
        convert
    };
    // A TOC has no fractions of seconds: the headers behind a chunk, in the same frame, would be other ones.
    for path in ["big", "etc/motd", "etc", ""] {
        let file = fs::File::open(fixture.path("source").join(path)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    let inline = json(&mut convert("estargz", &[], "source", "inline"));
    assert_eq!(
        (&inline["copied_chunks"], &inline["copied_bytes"]),
        (&0.into(), &0.into())
    );
    let keep = ["--keep-frames", "--compressor", "gzip:9"];
    let external = "estargz-external-toc";
    let kept = json(&mut convert(external, &keep, "inline", "external"));
    let stored = inline["stored_chunks"].as_u64().unwrap();
    // But for the byte of the landmark.
    assert_eq!(kept["copied_chunks"], stored - 1);
    assert!(kept["copied_bytes"].as_u64() > Some(0), "{kept}");
    assert!(kept["compressed_bytes"].as_u64() > Some(0), "{kept}");
    let said = text(&mut convert(
        external,
        &[&keep[..], &["--force"]].concat(),
        "inline",
        "external",
    ));
    let line = format!("{} chunks copied (", stored - 1);
    assert!(said.contains(&line), "{said}");
    let digests =
        ["source", "inline"].map(|image| text(example("digest").arg(fixture.path(image))));
    assert_eq!(digests[0], digests[1]);

    for (arguments, why) in [
        (
            &["--keep-frames", "--min-chunk-size", "4096"][..],
            "cannot be combined with --min-chunk-size",
        ),
        (&["--keep-frames", "source"], "takes one image"),
    ] {
        let said = complaint(&mut convert("estargz", arguments, "inline", "other"), 2);
        assert!(said.contains(why), "{said}");
    }
}
