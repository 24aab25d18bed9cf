//! Indexes of gzip layers.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Fixture, complaint, example, json, noise, run, text};

/// A gzip layer of several spans, and its index.
fn indexed(fixture: &Fixture) -> (PathBuf, PathBuf) {
    fs::write(fixture.path("source/noise"), noise(300_000)).unwrap();
    let (layer, index) = (fixture.path("layer"), fixture.path("layer.index"));
    let mut convert = example("convert");
    convert.args(["--to", "tar-gzip"]);
    run(convert.arg(fixture.path("source")).arg(&layer), 0);
    let mut make = example("index");
    let made = json(make.args(["--span", "64KiB"]).args([&layer, &index]));
    assert_eq!(made["layer_bytes"], fs::metadata(&layer).unwrap().len());
    assert_eq!(made["bytes"], fs::metadata(&index).unwrap().len());
    assert!(made["spans"].as_u64().unwrap() > 4, "{made}");
    let digest = |path: &Path| lazyoci::verify::sha256(&fs::read(path).unwrap()).to_string();
    assert_eq!(made["digest"], digest(&index));
    assert_eq!(made["layer_digest"], digest(&layer));
    (layer, index)
}

#[test]
fn a_layer_is_the_same_by_its_index() {
    let fixture = Fixture::new();
    let (layer, index) = indexed(&fixture);
    for (name, arguments) in [
        ("digest", &[][..]),
        ("ls", &["-l", "-R"]),
        ("cat", &["/etc/motd"]),
        ("verify", &["--json"]),
        ("inspect", &[]),
    ] {
        let plain = text(example(name).arg(&layer).args(arguments));
        let mut lazy = example(name);
        lazy.arg("--index").arg(&index).arg(&layer).args(arguments);
        match name {
            // They also tell what was read.
            "verify" | "inspect" => run(&mut lazy, 0).stdout.clear(),
            _ => assert_eq!(text(&mut lazy), plain, "{name}"),
        }
    }
    let mut cat = example("cat");
    cat.arg("--stats").arg("--index").args([&index, &layer]);
    let stats = complaint(cat.arg("/etc/motd"), 0);
    assert!(stats.contains("1 request"), "{stats}");
}

#[test]
fn what_is_converted_does_not_depend_on_the_index_or_the_threads() {
    let fixture = Fixture::new();
    let (layer, index) = indexed(&fixture);
    for to in ["rafs-v6", "tar", "estargz", "erofs"] {
        let output = |name: &str, options: &[&str]| {
            let output = fixture.path(&format!("{to}-{name}"));
            let mut convert = example("convert");
            convert.args(["--to", to]).args(options);
            if name != "plain" {
                convert.arg("--index").arg(&index);
            }
            run(convert.arg(&layer).arg(&output), 0);
            match to {
                "rafs-v6" => {
                    let blobs = fs::read_dir(output.join("blobs")).unwrap();
                    let mut names = blobs
                        .map(|blob| blob.unwrap().file_name())
                        .collect::<Vec<_>>();
                    names.sort();
                    (fs::read(output.join("image.boot")).unwrap(), names)
                }
                _ => (fs::read(&output).unwrap(), Vec::new()),
            }
        };
        let plain = output("plain", &[]);
        assert!(output("one", &["--threads", "1"]) == plain, "{to}");
        assert!(output("three", &["--threads", "3"]) == plain, "{to}");
    }
}

#[test]
fn a_layer_is_the_same_by_its_ztoc() {
    let fixture = Fixture::new();
    let (layer, _) = indexed(&fixture);
    let tar = fixture.path("layer.tar");
    let mut convert = example("convert");
    run(convert.args(["--to", "tar"]).args([&layer, &tar]), 0);
    for layer in [&layer, &tar] {
        let index = layer.with_extension("ztoc");
        let mut make = example("index");
        make.args(["--format", "soci", "--span", "64KiB"]);
        let made = json(make.args([layer, &index]));
        assert_eq!(made["format"], "soci");
        assert!(made["spans"].as_u64().unwrap() > 4, "{made}");
        for (name, arguments) in [("digest", &[][..]), ("cat", &["/noise"])] {
            let plain = run(example(name).arg(layer).args(arguments), 0).stdout;
            let mut lazy = example(name);
            lazy.arg("--index").arg(&index).arg(layer).args(arguments);
            assert!(run(&mut lazy, 0).stdout == plain, "{name}");
        }
        let mut verify = example("verify");
        run(verify.arg("--index").args([&index, layer]), 0);
        let output = |name: &str, options: &[&Path]| {
            let output = layer.with_extension(name);
            let mut convert = example("convert");
            convert.args(["--to", "rafs-v6"]).args(options);
            run(convert.args([layer, &output]), 0);
            fs::read(output.join("image.boot")).unwrap()
        };
        let plain = output("plain", &[]);
        assert!(output("lazy", &["--index".as_ref(), &index]) == plain);
        let mut cache = example("convert");
        cache.args(["--to", "erofs", "--index"]).arg(&index);
        cache.arg("--layer-cache").arg(fixture.path("cache"));
        let said = complaint(cache.arg(layer), 2);
        assert!(said.contains("a zTOC ends with its last file"), "{said}");
        fs::remove_file(&index).unwrap();
        for made in ["plain", "lazy"] {
            fs::remove_dir_all(layer.with_extension(made)).unwrap();
        }
    }
}

#[test]
fn an_index_comes_from_stdin_and_goes_to_stdout() {
    let fixture = Fixture::new();
    let (layer, index) = indexed(&fixture);
    let mut make = example("index");
    make.args(["--span", "64KiB", "-", "-"]);
    make.stdin(fs::File::open(&layer).unwrap());
    assert!(run(&mut make, 0).stdout == fs::read(&index).unwrap());
    let mut again = example("index");
    let said = complaint(again.args([&layer, &index]), 2);
    assert!(said.contains("exists (--force replaces it)"), "{said}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let fixture = Fixture::new();
    let (layer, index) = indexed(&fixture);
    let mut other = fs::read(&layer).unwrap();
    other.push(0);
    let longer = fixture.path("longer");
    fs::write(&longer, other).unwrap();
    let mut digest = example("digest");
    let said = complaint(digest.arg("--index").args([&index, &longer]), 1);
    assert!(said.contains("the index is of a layer of"), "{said}");
    let mut convert = example("convert");
    convert.args(["--to", "rafs-v6", "--index"]).arg(&index);
    let said = complaint(convert.args([&longer, &fixture.path("none")]), 1);
    assert!(said.contains("the index is of a layer of"), "{said}");
    assert!(!fixture.path("none").exists());
    let mut convert = example("convert");
    convert.args(["--to", "rafs-v6", "--index"]).arg(&index);
    convert.args([&layer, &layer, &fixture.path("none")]);
    let said = complaint(&mut convert, 2);
    assert!(said.contains("--index needs a single gzip layer"), "{said}");
    let mut whole = example("ls");
    whole.arg("--index").arg(&index);
    let layout = crate::whole::three_layers(&fixture).name();
    let said = complaint(whole.arg(layout), 2);
    assert!(said.contains("--index needs a single gzip layer"), "{said}");
    // Not an index, and not a layer.
    let mut digest = example("digest");
    complaint(digest.arg("--index").args([&layer, &layer]), 1);
    let mut make = example("index");
    complaint(make.args([&index, &fixture.path("none")]), 3);
    assert!(!fixture.path("none").exists());
    for span in ["0", "4095", "33MiB", "5GiB"] {
        let mut make = example("index");
        make.args(["--span", span]);
        complaint(make.args([&layer, &fixture.path("none")]), 2);
    }
}

#[test]
fn damage_is_found() {
    let fixture = Fixture::new();
    let (layer, index) = indexed(&fixture);
    let mut bytes = fs::read(&layer).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&layer, bytes).unwrap();
    let mut cat = example("cat");
    cat.arg("--index").args([&index, &layer]);
    complaint(cat.arg("/noise"), 1);
    let mut verify = example("verify");
    complaint(verify.arg("--index").args([&index, &layer]), 1);
    let mut convert = example("convert");
    convert.args(["--to", "rafs-v6", "--index"]).arg(&index);
    let said = complaint(convert.args([&layer, &fixture.path("none")]), 1);
    assert!(said.contains("corrupt"), "{said}");
    let mut bytes = fs::read(&index).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&index, bytes).unwrap();
    let mut digest = example("digest");
    let said = complaint(digest.arg("--index").args([&index, &layer]), 1);
    assert!(said.contains("digest in the gzip index"), "{said}");
}

/// A layer of one short file, and its index of this format.
fn small(fixture: &Fixture, format: &str) -> (PathBuf, PathBuf) {
    let (source, layer) = (fixture.path("small"), fixture.path("small.layer"));
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("noise"), noise(1000)).unwrap();
    let mut convert = example("convert");
    convert.args(["--to", "tar-gzip", "--force"]);
    run(convert.args([&source, &layer]), 0);
    let index = fixture.path(format);
    let mut make = example("index");
    run(make.args(["--format", format]).args([&layer, &index]), 0);
    (layer, index)
}

/// Some bits of `bytes`, all over them.
fn spread(bytes: &[u8]) -> impl Iterator<Item = usize> + use<> {
    let len = bytes.len();
    (0..12).map(move |n| n * len / 12 * 8 + n % 8)
}

#[test]
fn flips_are_found_by_an_expected_digest() {
    let fixture = Fixture::new();
    for format in ["own", "soci"] {
        let (layer, index) = small(&fixture, format);
        let (stored, indexed) = (fs::read(&layer).unwrap(), fs::read(&index).unwrap());
        let [of_layer, of_index] = [&stored, &indexed].map(|bytes| lazyoci::verify::sha256(bytes));
        let verify = |expected: &lazyoci::model::Digest, code| {
            let mut verify = example("verify");
            verify.args(["--expect", &expected.to_string(), "--index"]);
            run(verify.args([&index, &layer]), code)
        };
        let flip = |path: &Path, bytes: &[u8], bit: usize| {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(path, flipped).unwrap();
        };
        verify(&of_layer, 0);
        let said = String::from_utf8(verify(&of_index, 0).stdout).unwrap();
        let unvouched = said.contains(", 10 stored bytes without a digest, ");
        assert_eq!(unvouched, format == "soci", "{said}");
        for bit in spread(&indexed) {
            flip(&index, &indexed, bit);
            verify(&of_index, 1);
        }
        fs::write(&index, &indexed).unwrap();
        for bit in spread(&stored) {
            flip(&layer, &stored, bit);
            verify(&of_layer, 1);
            verify(&of_index, 1);
        }
        // The time in the header of the gzip member, which no span of a zTOC has.
        flip(&layer, &stored, 4 * 8);
        verify(&of_layer, 1);
        verify(&of_index, (format == "own").into());
        // What has none of the digests is told by name.
        fs::write(&layer, &stored).unwrap();
        let none = lazyoci::verify::sha256(b"");
        let said = String::from_utf8(verify(&none, 1).stderr).unwrap();
        let found = format!(
            "corrupt: the file has digest {of_layer}, its index has digest {of_index}, expected {none}\n"
        );
        assert_eq!(said, found);
    }
}
