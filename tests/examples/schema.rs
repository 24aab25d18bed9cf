//! What the examples print as JSON is what `examples/README.md` says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::{Fixture, example, run};

const README: &str = include_str!("../../examples/README.md");

/// Keys whose values are as their sources have them: no keys of ours are in them.
const FREE: [&str; 5] = ["annotations", "fields", "toc_entries", "old", "new"];

/// Rows of the table of the README that begins with `header`, without their quotes.
fn table(header: &str) -> Vec<Vec<String>> {
    let (_, table) = README.split_once(header).unwrap();
    let rows = table
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('|'));
    let cell = |cell: &str| cell.trim().to_owned();
    rows.map(|row| row.trim_matches('|').split('|').map(cell).collect())
        .collect()
}

struct Schema {
    types: BTreeMap<String, String>,
    required: BTreeMap<String, Vec<String>>,
    seen: BTreeSet<String>,
}

impl Schema {
    fn of_readme() -> Self {
        let quoted = |text: &str| text.trim_matches('`').to_owned();
        let types = table("| key | type | meaning |\n")
            .into_iter()
            .map(|row| (quoted(&row[0]), row[1].clone()));
        let required = table("| example | keys that are always there |\n")
            .into_iter()
            .map(|row| {
                let keys = row[1].split(' ').map(quoted).collect();
                (quoted(&row[0]), keys)
            });
        Self {
            types: types.collect(),
            required: required.collect(),
            seen: BTreeSet::new(),
        }
    }

    /// Runs `command`, which ends with `code` and prints what the README says of `example`.
    fn check(&mut self, example: &str, command: &mut Command, code: i32) -> Value {
        let stdout = run(command.arg("--json"), code).stdout;
        let text = String::from_utf8(stdout).unwrap();
        assert_eq!(text.matches('\n').count(), 1, "{command:?}: {text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        for key in &self.required[example] {
            assert!(value.get(key).is_some(), "{command:?}: no `{key}`: {text}");
        }
        self.value(&value, &format!("{command:?}"));
        value
    }

    fn value(&mut self, value: &Value, place: &str) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.value(item, place)),
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.key(key, value, &format!("{place}.{key}"));
                }
            }
            _ => {}
        }
    }

    fn key(&mut self, key: &str, value: &Value, place: &str) {
        let wanted = self.types.get(key);
        let wanted = wanted.unwrap_or_else(|| panic!("{place} is not in the README"));
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "text",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let may_be_null = wanted.ends_with('?') && value.is_null();
        let fits = wanted == "any" || wanted.trim_end_matches('?') == found || may_be_null;
        assert!(fits, "{place} is {value}, the README says {wanted}");
        self.seen.insert(key.to_owned());
        if !FREE.contains(&key) {
            self.value(value, place);
        }
    }
}

#[test]
fn every_key_has_the_one_meaning_that_is_written_down() {
    let fixture = Fixture::new();
    let source = fixture.path("source");
    fs::hard_link(source.join("etc/motd"), source.join("again")).unwrap();
    let list = fixture.path("list");
    fs::write(&list, "etc/motd\ngone\n").unwrap();
    let mut schema = Schema::of_readme();

    let mut written = Vec::new();
    for (to, options) in [
        ("rafs-v6", &["--toc", "--prefetch"][..]),
        ("rafs-v5", &["--prefetch"]),
        ("estargz", &["--prefetch"]),
        ("tar", &[]),
        ("tar-gzip", &[]),
        ("tar-zstd", &[]),
    ] {
        let output = fixture.path(to);
        let mut convert = example("convert");
        convert.args(["--to", to]).args(options);
        if !options.is_empty() {
            convert.arg(&list);
        }
        let value = schema.check("convert", convert.arg(&source).arg(&output), 0);
        assert_eq!(value["format"], to);
        written.push((to, output));
    }
    #[cfg(feature = "gzip-index")]
    for (to, layer) in [("rafs-v6-zran", "tar-gzip"), ("rafs-v6-tarfs", "tar")] {
        let mut convert = example("convert");
        convert.args(["--to", to]).arg(fixture.path(layer));
        let value = schema.check("convert", convert.arg(fixture.path(to)), 0);
        assert_eq!(value["format"], to);
    }
    let mut convert = example("convert");
    convert.args(["--to", "rafs-v6"]).args([&source, &source]);
    let value = schema.check("convert", convert.arg(fixture.path("stack")), 0);
    assert_eq!(value["layers"].as_array().map(Vec::len), Some(2));
    let mut merge = example("merge");
    merge.args([
        fixture.bootstrap(),
        fixture.bootstrap(),
        fixture.path("merged"),
    ]);
    let value = schema.check("merge", &mut merge, 0);
    assert_eq!(value["blobs"].as_array().map(Vec::len), Some(1));
    let layout = crate::whole::three_layers(&fixture).name();
    let made = format!("oci:{}:v1", fixture.path("whole").display());
    let mut convert = example("convert");
    schema.check(
        "convert",
        convert.args(["--to", "nydus", &layout, &made]),
        0,
    );
    let platforms = crate::whole::two_platforms(&fixture).name();
    let made = format!("oci:{}:v1", fixture.path("all").display());
    let mut convert = example("convert");
    convert.args(["--to", "oci", "--all-platforms", &platforms, &made]);
    let value = schema.check("convert", &mut convert, 0);
    assert_eq!(value["platforms"].as_array().map(Vec::len), Some(2));
    let registry = registry_double::Registry::new();
    let pushed = format!("docker://{}/app:v1", registry.host());
    let mut convert = example("convert");
    convert.args(["--plain-http", "--to", "oci", &layout, &pushed]);
    schema.check("convert", &mut convert, 0);
    for (to, options) in [
        (
            "zstd-chunked",
            &["--dialect", "a", "--min-chunk-size", "4096"][..],
        ),
        ("zstd-chunked", &[]),
        ("estargz-external-toc", &["--min-chunk-size", "4096"]),
    ] {
        let output = fixture.path(&format!("{to}{}", options.len()));
        let mut convert = example("convert");
        convert.args(["--to", to]).args(options).arg(&source);
        let value = schema.check("convert", convert.arg(&output), 0);
        assert_eq!(value["format"], to);
        let made = value["blob"]["annotations"].as_object().unwrap();
        let ours = |key: &&String| key.starts_with("io.github.containers.");
        assert_eq!(
            made.keys().any(|key| ours(&key)),
            to == "zstd-chunked" && options.is_empty()
        );
        let toc = value["external_toc"]["bytes"].as_u64();
        let written = fs::metadata(fixture.path(&format!("{to}{}.toc", options.len())));
        assert_eq!(toc, written.ok().map(|file| file.len()));
    }
    let made = format!("oci:{}:v2", fixture.path("whole").display());
    let mut convert = example("convert");
    convert.args(["--to", "zstd-chunked", &layout, &made]);
    schema.check("convert", &mut convert, 0);
    let made = format!("oci:{}:v3", fixture.path("whole").display());
    let mut convert = example("convert");
    convert.args(["--to", "estargz-external-toc", &layout, &made]);
    let value = schema.check("convert", &mut convert, 0);
    assert!(value["toc_image"].is_string(), "{value}");
    assert!(value["image_layers"][0]["external_toc"].is_object());
    let erofs = fixture.path("erofs");
    let mut convert = example("convert");
    convert.args(["--to", "erofs", "--verity"]).arg(&source);
    let value = schema.check("convert", convert.arg(&erofs), 0);
    let blocks = value["verity"]["data_blocks"].as_u64().unwrap();
    assert_eq!(value["verity"]["hash_offset"], blocks * 4096);
    written.push(("erofs", erofs));
    let unpacked = fixture.path("unpacked");
    let mut unpack = example("unpack");
    let value = schema.check("unpack", unpack.arg(fixture.bootstrap()).arg(&unpacked), 0);
    assert_eq!(value["format"], "directory");
    let mut unpack = example("unpack");
    unpack.arg(&source).arg(fixture.path("u.tar.gz"));
    assert_eq!(schema.check("unpack", &mut unpack, 0)["format"], "tar-gzip");

    for (to, output) in &written {
        let image = match *to {
            "rafs-v5" | "rafs-v6" => output.join("image.boot"),
            _ => output.clone(),
        };
        let inspected = schema.check("inspect", example("inspect").arg(&image), 0);
        let verified = schema.check("verify", example("verify").arg(&image), 0);
        let digest = schema.check("digest", example("digest").arg(&image), 0);
        let listed = schema.check("ls", example("ls").args(["-l", "-R"]).arg(&image), 0);
        // The same key, the same meaning: every example answers alike.
        for format in [&inspected, &verified, &digest, &listed] {
            assert_eq!(&format["format"], to);
        }
        for key in ["paths", "files", "directories", "content_bytes"] {
            assert_eq!(inspected["counts"][key], verified[key], "{to}: {key}");
        }
        assert_eq!(
            (&verified["files"], &verified["paths"]),
            (&2.into(), &5.into())
        );
        if matches!(*to, "rafs-v5" | "rafs-v6" | "erofs" | "estargz") {
            let mut dump = example("inspect");
            schema.check("inspect --dump", dump.arg("--dump").arg(&image), 0);
        }
    }
    schema.check("inspect", example("inspect").arg(&source), 0);
    let mut dump = example("inspect");
    dump.arg("--dump")
        .arg(crate::chunked::golden("vector-b.tar.zst"));
    schema.check("inspect --dump", &mut dump, 0);
    let mut index = example("index");
    index.args([fixture.path("tar-gzip"), fixture.path("index")]);
    schema.check("index", &mut index, 0);
    let mut dump = example("inspect");
    dump.arg("--dump").arg(fixture.path("index"));
    schema.check("inspect --dump", &mut dump, 0);

    fs::write(unpacked.join("etc/motd"), "another\n").unwrap();
    fs::write(unpacked.join("new"), "").unwrap();
    let mut diff = example("diff");
    schema.check("diff", diff.arg(fixture.bootstrap()).arg(&unpacked), 1);
    schema.check("quickstart", example("quickstart").arg(&source), 0);
    let dictionary = fixture.path("chunks.dict");
    let mut dedup = example("dedup");
    dedup.arg("--write-dict").arg(&dictionary);
    schema.check("dedup", dedup.arg(fixture.bootstrap()), 0);
    let mut convert = example("convert");
    convert
        .args(["--to", "rafs-v6", "--chunk-dict"])
        .arg(&dictionary);
    let output = fixture.path("shared");
    let value = schema.check("convert", convert.arg(&source).arg(output), 0);
    assert_eq!(value["reuse"].as_array().map(Vec::len), Some(1));

    let damaged = fixture.blob();
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[0] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    let found = schema.check("verify", example("verify").arg(fixture.bootstrap()), 1);
    assert_eq!(found["faults"].as_array().unwrap().len(), 2);

    for (name, arguments, code) in [
        ("inspect", &["/no/such/image"][..], 2),
        ("ls", &["--no-such-option", "/"], 2),
        (
            "convert",
            &["--to", "no-such-format", "/", "/no/such/output"],
            2,
        ),
        (
            "digest",
            &[concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")],
            3,
        ),
    ] {
        let value = schema.check("a failure", example(name).args(arguments), code);
        assert_eq!(value["exit_code"], code, "{value}");
    }

    // Those that only other images show: links, devices, bytes that mean nothing.
    const ELSEWHERE: [&str; 4] = ["device", "end", "start", "target"];
    let seen = |key: &str| schema.seen.contains(key) || ELSEWHERE.contains(&key);
    let unseen: Vec<_> = schema.types.keys().filter(|key| !seen(key)).collect();
    assert_eq!(unseen, [""; 0]);
}
