//! Modes of RAFS v6 that nydus-image 2.2.0 does not know, with the crates of nydus as judge: ours read by them, theirs by us.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lazyoci_interop::{Finished, lazyoci, scratch, script, tool};

/// Our names of compressors, and those of nydus.
const COMPRESSORS: [(&str, &str); 3] = [("none", "none"), ("lz4", "lz4_block"), ("zstd", "zstd")];

/// Files of all lengths around those of batches and chunks, text and noise, some of them twice.
const TREE: &str = r#"
import os, random
noise = random.Random(1)
lens = [0, 1, 5, 15, 16, 17, 18, 19, 100, 511, 2047, 2048, 4095, 4096, 4097, 16383, 16384, 32767, 32768, 40000, 200000]
for number, size in enumerate(lens):
    for kind, content in ("noise", noise.randbytes(size)), ("text", (b"%d of it, " % number * (size // 6 + 1))[:size]):
        directory = os.path.join("tree", kind, str(number % 3))
        os.makedirs(directory, exist_ok=True)
        open(os.path.join(directory, f"{number:02}-{size}"), "wb").write(content)
for number in range(300):
    content = b"file number %d is a short one of many\n" % (number % 250) * (1 + number % 7)
    open(os.path.join("tree", f"{number:03}"), "wb").write(content)
os.link("tree/000", "tree/link")
"#;

/// The tree, in a new directory below `dir`.
fn tree(dir: &Path) -> PathBuf {
    tool("python3", dir, &["-c", TREE]);
    dir.join("tree")
}

/// The SHA-256 of every file below `tree`, by its path.
fn files(tree: &Path) -> BTreeMap<String, String> {
    let listed = tool(
        "find",
        tree,
        &[".", "-type", "f", "-exec", "sha256sum", "{}", "+"],
    );
    by_path(&listed, "./")
}

fn by_path(listed: &Finished, start: &str) -> BTreeMap<String, String> {
    let lines = listed.text().lines();
    let pairs = lines.map(|line| {
        let (sum, path) = line.split_once("  ").expect("a sum and a path");
        let path = path.strip_prefix(start).expect("below the tree");
        (path.to_owned(), sum.to_owned())
    });
    pairs.collect()
}

/// What the crates of nydus read of an image.
fn read_by_nydus(image: &Path) -> BTreeMap<String, String> {
    let mut judge = script("nydus/judge.sh");
    judge.arg("read").arg(image.join("image.boot"));
    by_path(&Finished::of(judge.arg(image.join("blobs"))).ok(), "")
}

fn digest(image: &Path) -> String {
    let digest = Finished::of(lazyoci("digest").arg(image)).ok();
    digest.text().to_owned()
}

/// Converts `tree` to `image`; the crates of nydus read every file of it, and we find no fault in it.
fn ours(tree: &Path, image: &Path, options: &[&str]) {
    let mut convert = lazyoci("convert");
    convert.args(["--to", "rafs-v6"]).args(options);
    let _ = Finished::of(convert.args([tree, image])).ok();
    assert_eq!(read_by_nydus(image), files(tree), "{options:?}");
    let _ = Finished::of(lazyoci("verify").arg(image.join("image.boot"))).ok();
}

/// Has the crates of nydus pack `tree` to `image`, which we read.
fn theirs(tree: &Path, image: &Path, options: &[&str]) {
    let mut judge = script("nydus/judge.sh");
    judge.arg("pack").args([tree, image]);
    let _ = Finished::of(judge.args(options)).ok();
    let bootstrap = image.join("image.boot");
    let _ = Finished::of(lazyoci("verify").arg(&bootstrap)).ok();
    let unpacked = image.join("unpacked");
    let _ = Finished::of(lazyoci("unpack").args([&bootstrap, &unpacked])).ok();
    assert_eq!(files(&unpacked), files(tree), "{options:?}");
}

#[test]
fn batches() {
    let dir = scratch();
    let tree = tree(dir.path());
    for (number, (compressor, theirs_name)) in COMPRESSORS.into_iter().enumerate() {
        for (batch, bytes) in [("4KiB", "4096"), ("32KiB", "32768"), ("1MiB", "1048576")] {
            let of = |whose: &str| dir.path().join(format!("{whose}-{number}-{bytes}"));
            let common = |name| ["--compressor", name, "--digester", "sha256", "--batch-size"];
            ours(
                &tree,
                &of("ours"),
                &[&common(compressor)[..], &[batch]].concat(),
            );
            theirs(
                &tree,
                &of("theirs"),
                &[&common(theirs_name)[..], &[bytes]].concat(),
            );
            assert_eq!(
                digest(&of("ours").join("image.boot")),
                digest(&of("theirs").join("image.boot"))
            );
        }
    }
}

/// A key and an initial vector, in a file below `dir`.
fn key(dir: &Path) -> PathBuf {
    let path = dir.join("key");
    let bytes: Vec<u8> = (0..48).map(|n| n * 5 + 1).collect();
    fs::write(&path, bytes).expect("written");
    path
}

#[test]
fn encrypted_blobs() {
    let dir = scratch();
    let tree = tree(dir.path());
    let key = key(dir.path());
    let key = key.to_str().expect("UTF-8");
    for (number, (compressor, theirs_name)) in COMPRESSORS.into_iter().enumerate() {
        for (batch, bytes) in [
            (None, "0"),
            (Some("4KiB"), "4096"),
            (Some("1MiB"), "1048576"),
        ] {
            let of = |whose: &str| dir.path().join(format!("{whose}-{number}-{bytes}"));
            let common = |name| ["--compressor", name, "--digester", "sha256"];
            let batches = batch.map_or(vec![], |batch| vec!["--batch-size", batch]);
            let options = ["--encrypt-key", key];
            ours(
                &tree,
                &of("ours"),
                &[&common(compressor)[..], &options, &batches].concat(),
            );
            let options = ["--encrypt", "--batch-size", bytes];
            theirs(
                &tree,
                &of("theirs"),
                &[&common(theirs_name)[..], &options].concat(),
            );
            assert_eq!(
                digest(&of("ours").join("image.boot")),
                digest(&of("theirs").join("image.boot"))
            );
        }
    }
}

/// What is not compressed has no choice of bytes: the blobs are the same.
#[test]
fn blobs_with_batches_are_those_of_nydus() {
    let dir = scratch();
    let tree = tree(dir.path());
    for (number, toc) in [&[][..], &["--toc"]].into_iter().enumerate() {
        let of = |whose: &str| dir.path().join(format!("{whose}-{number}"));
        let common = [
            "--compressor",
            "none",
            "--digester",
            "blake3",
            "--batch-size",
        ];
        ours(&tree, &of("ours"), &[&common[..], &["32KiB"], toc].concat());
        theirs(
            &tree,
            &of("theirs"),
            &[&common[..], &["32768"], toc].concat(),
        );
        let blob = |image: PathBuf| {
            let mut blobs = fs::read_dir(image.join("blobs")).expect("blobs were made");
            let blob = blobs.next().expect("there is one").expect("readable");
            fs::read(blob.path()).expect("readable")
        };
        assert!(blob(of("ours")) == blob(of("theirs")), "{toc:?}");
    }
}

/// Bootstraps of layers with batches and with keys, merged without their blobs, each of which keeps its own.
#[test]
fn merged_layers() {
    let dir = scratch();
    let lower = tree(dir.path());
    let upper = dir.path().join("upper");
    fs::create_dir(&upper).expect("a new directory");
    for number in 0..50 {
        let content = format!("file {number} of the upper layer\n").repeat(1 + number * 9);
        fs::write(upper.join(format!("upper-{number}")), content).expect("written");
    }
    let key = key(dir.path());
    let key = key.to_str().expect("UTF-8");
    let batches = ["--digester", "sha256", "--batch-size", "32KiB"];
    let encrypted = [&batches[..], &["--encrypt-key", key]].concat();
    let layers = [(&lower, &batches[..]), (&upper, &encrypted)];
    let (mut bootstraps, mut expected) = (Vec::new(), BTreeMap::new());
    let merged = dir.path().join("merged");
    let mut merge = lazyoci("merge");
    for (number, (tree, options)) in layers.into_iter().enumerate() {
        let image = dir.path().join(number.to_string());
        ours(tree, &image, options);
        merge.arg(image.join("image.boot"));
        bootstraps.push(image);
        expected.extend(files(tree));
    }
    let _ = Finished::of(merge.arg(&merged)).ok();
    let blobs = merged.join("blobs");
    fs::create_dir(&blobs).expect("a new directory");
    for image in bootstraps {
        for blob in fs::read_dir(image.join("blobs")).expect("a directory") {
            let blob = blob.expect("an entry");
            fs::copy(blob.path(), blobs.join(blob.file_name())).expect("a copy");
        }
    }
    assert_eq!(read_by_nydus(&merged), expected);
    let _ = Finished::of(lazyoci("verify").arg(merged.join("image.boot"))).ok();
}
