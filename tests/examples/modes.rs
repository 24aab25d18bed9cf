//! Modes of nydus, as they are asked for: keys, batches, spans.

use std::fs;
use std::path::Path;

use crate::{Fixture, complaint, example, json, run, text};

/// Key and initial vector, of which no byte is text.
const KEY: [u8; 48] = {
    let mut key = [0; 48];
    let mut at = 0;
    while at < key.len() {
        key[at] = 0x80 + at as u8;
        at += 1;
    }
    key
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether any four bytes of the key are in `said`, as they are or in hexadecimal digits.
fn has_key(said: &[u8]) -> bool {
    KEY.windows(4).any(|part| {
        let digits = hex(part);
        let is_in = |part: &[u8]| {
            said.windows(part.len())
                .any(|at| at.eq_ignore_ascii_case(part))
        };
        is_in(part) || is_in(digits.as_bytes())
    })
}

fn digest(fixture: &Fixture, image: &str) -> String {
    let bootstrap = fixture.path(image).join("image.boot");
    text(example("digest").arg(bootstrap))
}

fn blob(image: &Path) -> Vec<u8> {
    let mut blobs = fs::read_dir(image.join("blobs")).unwrap();
    fs::read(blobs.next().unwrap().unwrap().path()).unwrap()
}

#[test]
fn a_key_is_48_bytes_or_their_digits() {
    let fixture = Fixture::new();
    let key = fixture.path("key");
    let mut blobs = Vec::new();
    for (name, content) in [
        ("raw", KEY.to_vec()),
        ("hex", hex(&KEY).into_bytes()),
        (
            "line",
            format!("{}\n", hex(&KEY).to_uppercase()).into_bytes(),
        ),
    ] {
        fs::write(&key, content).unwrap();
        let image = fixture.path(name);
        let mut convert = example("convert");
        convert.args(["--to", "rafs-v6", "--json", "--encrypt-key"]);
        convert.args([&key, &fixture.path("source"), &image]);
        let said = run(&mut convert, 0);
        assert!(!has_key(&said.stdout) && !has_key(&said.stderr), "{name}");
        assert_eq!(digest(&fixture, name), digest(&fixture, "image"));
        blobs.push(blob(&image));
    }
    assert!(blobs[0] == blobs[1] && blobs[0] == blobs[2]);
    let plain = blob(&fixture.path("image"));
    assert!(blobs[0] != plain);
    // The bootstrap has the key; nothing that is said of it does.
    let bootstrap = fixture.path("raw").join("image.boot");
    assert!(has_key(&fs::read(&bootstrap).unwrap()));
    for (name, options) in [
        ("inspect", &["--json"][..]),
        ("inspect", &["--dump"]),
        ("inspect", &["--dump", "--json"]),
        ("verify", &["--json"]),
    ] {
        let said = run(example(name).args(options).arg(&bootstrap), 0);
        assert!(!has_key(&said.stdout) && !has_key(&said.stderr), "{name}");
    }
}

#[test]
fn what_is_no_key_is_refused_and_not_shown() {
    let fixture = Fixture::new();
    let (key, output) = (fixture.path("key"), fixture.path("none"));
    let refused = |content: &[u8]| {
        fs::write(&key, content).unwrap();
        let mut convert = example("convert");
        convert.args(["--to", "rafs-v6", "--encrypt-key"]);
        let said = complaint(convert.args([&key, &fixture.path("source"), &output]), 2);
        assert!(!output.exists());
        assert!(!has_key(said.as_bytes()), "{said}");
        let start = format!("error: {}: ", key.display());
        said.strip_prefix(&start).unwrap().to_owned()
    };
    let length = "a key file has 48 bytes, or 96 hexadecimal digits\n";
    assert_eq!(refused(&KEY[..47]), length);
    assert_eq!(refused(&[&KEY[..], b"\n"].concat()), length);
    assert_eq!(refused(hex(&KEY[..47]).as_bytes()), length);
    let digits = hex(&KEY);
    assert_eq!(refused(format!("{digits}0").as_bytes()), length);
    assert_eq!(refused(digits.replacen('8', "+", 1).as_bytes()), length);
    assert_eq!(refused(digits.replacen('8', "g", 1).as_bytes()), length);
    let weak = [&KEY[..16], &KEY[..16], &KEY[32..]].concat();
    assert_eq!(refused(&weak), "both halves of a key must differ\n");
    let mut convert = example("convert");
    convert.args(["--to", "rafs-v6", "--encrypt-key"]);
    let missing = fixture.path("missing");
    let said = complaint(
        convert.args([&missing, &fixture.path("source"), &output]),
        2,
    );
    let expected = "No such file or directory (os error 2)\n";
    assert_eq!(said, format!("error: {}: {expected}", missing.display()));
    let mut convert = example("convert");
    convert.args(["--to", "rafs-v5", "--encrypt-key"]);
    let said = complaint(convert.args([&key, &fixture.path("source"), &output]), 2);
    assert!(said.contains("--encrypt-key"), "{said}");
}

#[test]
fn small_files_share_batches() {
    let fixture = Fixture::new();
    for number in 0..20 {
        let content = format!("file {number}\n").repeat(100);
        fs::write(fixture.path(&format!("source/{number}")), content).unwrap();
    }
    let convert = |name: &str, options: &[&str]| {
        let mut convert = example("convert");
        convert.args(["--to", "rafs-v6"]).args(options);
        convert.args([&fixture.path("source"), &fixture.path(name)]);
        json(&mut convert)
    };
    convert("plain", &[]);
    convert("batches", &["--batch-size", "64KiB"]);
    assert_eq!(digest(&fixture, "batches"), digest(&fixture, "plain"));
    let [batches, plain] = ["batches", "plain"].map(|name| blob(&fixture.path(name)).len());
    assert!(batches < plain, "{batches} of {plain}");
    let bootstrap = fixture.path("batches").join("image.boot");
    run(example("verify").arg(bootstrap), 0);
    let none = fixture.path("none");
    for size in ["0", "2KiB", "5000", "2MiB", "many"] {
        let mut convert = example("convert");
        convert.args(["--to", "rafs-v6", "--batch-size", size]);
        complaint(convert.args([&fixture.path("source"), &none]), 2);
        assert!(!none.exists(), "{size}");
    }
}

#[cfg(feature = "gzip-index")]
#[test]
fn spans_have_at_most_16_mib() {
    let fixture = Fixture::new();
    let layer = fixture.path("layer");
    let mut convert = example("convert");
    convert.args(["--to", "tar-gzip"]);
    run(convert.args([&fixture.path("source"), &layer]), 0);
    let convert = |span: &str, output: &Path| {
        let mut convert = example("convert");
        convert.args(["--to", "rafs-v6-zran", "--zran-span", span]);
        convert.arg(&layer).arg(output);
        convert
    };
    let none = fixture.path("none");
    let said = complaint(&mut convert("17MiB", &none), 2);
    assert_eq!(said, "error: spans of a layer are at most 16 MiB long\n");
    assert!(!none.exists());
    complaint(&mut convert("0", &none), 2);
    for (name, span) in [("long", "16MiB"), ("short", "64KiB")] {
        run(&mut convert(span, &fixture.path(name)), 0);
        assert_eq!(digest(&fixture, name), digest(&fixture, "image"));
        let bootstrap = fixture.path(name).join("image.boot");
        run(example("verify").arg(bootstrap), 0);
    }
}
