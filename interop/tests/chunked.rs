//! zstd:chunked of both kinds, and eStargz with an external TOC, that we write, read by stargz-snapshotter's library, GNU
//! tar and zstd.

use std::fs;
use std::path::Path;
use std::process::Command;

use lazyoci_interop::corpus::walk;
use lazyoci_interop::run::sha256;
use lazyoci_interop::{Corpus, Finished, lazyoci, scratch, script, tool};
use serde_json::Value;

/// What `convert --json` says of a layer that it wrote to `output`.
fn convert(options: &[&str], source: &Path, output: &Path) -> Value {
    let mut convert = lazyoci("convert");
    convert.arg("--json").args(options);
    Finished::of(convert.args([source, output])).ok().json()
}

/// What the library says of a layer: how many files and chunks it has.
fn judged(kind: &[&str], layer: &Path, made: &Value) -> (u64, u64) {
    let digest = made["toc_digest"].as_str().expect("a digest");
    let mut judge = script("estargz/judge.sh");
    judge.args(kind).arg(layer).arg(digest);
    judge.arg(layer.with_extension("layer.toc"));
    let judged = Finished::of(&mut judge).ok();
    let mut counts = judged
        .text()
        .split(' ')
        .map(|count| count.parse().expect("a count"));
    let mut count = || counts.next().expect("two counts");
    (count(), count())
}

/// How many files with content of their own a directory has: names of one file count once.
fn files(directory: &Path) -> u64 {
    let count = r"find . -type f -printf '%i\n' | sort -u | wc -l";
    let counted = tool("sh", directory, &["-ec", count]);
    counted.text().parse().expect("a count")
}

/// The layer that `options` make of a corpus has all of its files, and every chunk verifies.
fn every_chunk_verifies(corpus: &Corpus, kind: &[&str], options: &[&str], layer: &Path) {
    let options = [options, &["--force"]].concat();
    let made = convert(&options, &corpus.tar(), layer);
    let (found, chunks) = judged(kind, layer, &made);
    // The landmark, whose content is not found elsewhere, is one of its files, and of its chunks.
    let lossless = options.contains(&"--lossless");
    let landmark = u64::from(!lossless);
    assert_eq!(found, files(corpus.dir()) + landmark, "{options:?}");
    let stored = made["stored_chunks"].as_u64().expect("a count");
    assert_eq!(chunks, stored, "{} {options:?}", corpus.name);
}

/// The three kinds as they are by default: the library checks its whole TOC against its digest, and each chunk against
/// the TOC that it has checked.
const DEFAULT: [(&[&str], &[&str]); 3] = [
    (&["inline"], &["--to", "estargz"]),
    (&["external"], &["--to", "estargz-external-toc"]),
    (&["zstd"], &["--to", "zstd-chunked", "--dialect", "a"]),
];

#[test]
fn the_library_of_stargz_snapshotter_reads_every_chunk() {
    let directory = scratch();
    let layer = directory.path().join("a.layer");
    let packages = Corpus::new("packages/peer");
    for (kind, options) in DEFAULT {
        every_chunk_verifies(&packages, kind, options, &layer);
        every_chunk_verifies(&Corpus::new("tiny/tree"), kind, options, &layer);
    }
    for (kind, options) in [
        (
            &["external"][..],
            &["--to", "estargz-external-toc", "--lossless"][..],
        ),
        (
            &["zstd"],
            &["--to", "zstd-chunked", "--dialect", "a", "--lossless"],
        ),
        (
            &["--shared", "inline"],
            &["--to", "estargz", "--min-chunk-size", "65536"],
        ),
        (
            &["--shared", "zstd"],
            &[
                "--to",
                "zstd-chunked",
                "--dialect",
                "a",
                "--min-chunk-size",
                "65536",
            ],
        ),
    ] {
        every_chunk_verifies(&packages, kind, options, &layer);
    }
}

/// A root with devices, FIFOs, hard links and capabilities.
#[test]
fn the_library_of_stargz_snapshotter_reads_every_chunk_of_a_debian_root() {
    let directory = scratch();
    let layer = directory.path().join("a.layer");
    let options = ["--to", "estargz", "--compressor", "gzip:1"];
    every_chunk_verifies(&Corpus::new("debian/peer"), &["inline"], &options, &layer);
}

/// tar has gzip and zstd decompress them. Their tars are written anew: the tree is what remains.
#[test]
fn gnu_tar_unpacks_layers_that_are_written_anew() {
    let corpus = Corpus::new("packages/peer");
    let directory = scratch();
    let layer = directory.path().join("layer");
    for (tool, options) in [
        (
            "--gzip",
            &["--to", "estargz-external-toc", "--compressor", "gzip:1"][..],
        ),
        (
            "--zstd",
            &[
                "--to",
                "zstd-chunked",
                "--dialect",
                "a",
                "--compressor",
                "zstd:1",
            ],
        ),
    ] {
        let made = convert(&[options, &["--force"]].concat(), &corpus.tar(), &layer);
        let diff_id = format!("sha256:{}", sha256(&corpus.tar()));
        assert_ne!(made["diff_id"], diff_id, "{options:?}");
        let unpacked = directory.path().join("unpacked");
        fs::create_dir(&unpacked).expect("a new directory");
        let mut tar = Command::new("tar");
        tar.args([tool, "-p", "--xattrs", "--xattrs-include=*"])
            .args(["--numeric-owner", "--anchored"])
            .args(["--exclude=.no.prefetch.landmark", "-C"])
            .arg(&unpacked)
            .arg("-xf")
            .arg(&layer);
        let _ = Finished::of(&mut tar).ok();
        assert_eq!(walk(&unpacked, &[]), corpus.digest(), "{options:?}");
        fs::remove_dir_all(&unpacked).expect("it was just unpacked");
    }
}

/// Every kind of layer that keeps the tar, and what decompresses it.
const KEEPING: [(&str, &[&str]); 3] = [
    (
        "gzip",
        &[
            "--to",
            "estargz-external-toc",
            "--lossless",
            "--compressor",
            "gzip:1",
        ],
    ),
    (
        "zstd",
        &[
            "--to",
            "zstd-chunked",
            "--dialect",
            "a",
            "--lossless",
            "--compressor",
            "zstd:1",
        ],
    ),
    ("zstd", &["--to", "zstd-chunked", "--compressor", "zstd:1"]),
];

/// `big` is made of the two roots. The tar-split of 150,000 members is longer than podman takes.
#[test]
fn every_layer_without_sparse_members_keeps_its_diff_id() {
    let directory = scratch();
    let layer = directory.path().join("layer");
    for name in ["debian/peer", "packages/peer", "many/layer", "tiny/tree"] {
        let corpus = Corpus::new(name);
        let diff_id = format!("sha256:{}", sha256(&corpus.tar()));
        for (tool, options) in KEEPING {
            let options = [options, &["--force"]].concat();
            if name == "many/layer" && !options.contains(&"--lossless") {
                let mut convert = lazyoci("convert");
                convert.args(&options).args([&corpus.tar(), &layer]);
                let refused = Finished::of(&mut convert).exits(3).stderr;
                let why = "the tar-split is longer than 157286400 bytes";
                assert!(refused.contains(why), "{refused}");
                continue;
            }
            let made = convert(&options, &corpus.tar(), &layer);
            assert_eq!(made["diff_id"], diff_id, "{name} {options:?}");
            let pipe = r#""$0" -dc <"$1" | cmp - "$2""#;
            let mut compare = Command::new("sh");
            compare
                .args(["-c", pipe, tool])
                .args([&layer, &corpus.tar()]);
            let _ = Finished::of(&mut compare).ok();
            if name == "tiny/tree" {
                let mut list = Command::new("tar");
                list.arg(format!("--{tool}")).arg("-tf").arg(&layer);
                let _ = Finished::of(&mut list).ok();
            }
        }
    }
}

/// Names that are not UTF-8, and sparse members: a TOC can describe neither of them as they are.
#[test]
fn layers_that_no_toc_can_describe_are_refused() {
    let directory = scratch();
    let sparse = directory.path().join("sparse.tar");
    let script =
        "truncate -s 1M hole; printf end >>hole; tar --format=posix --sparse -cf sparse.tar hole";
    let _ = tool("sh", directory.path(), &["-ec", script]);
    let full = Corpus::new("packages/full").tar();
    let output = directory.path().join("layer");
    for (layer, because) in [(&full, "is not UTF-8"), (&sparse, "sparse")] {
        for (_, options) in KEEPING {
            let mut convert = lazyoci("convert");
            convert.args(options).args([layer, &output]);
            let refused = Finished::of(&mut convert).exits(3);
            assert!(refused.stderr.contains(because), "{}", refused.stderr);
            assert!(!output.exists());
        }
    }
}
