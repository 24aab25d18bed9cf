//! zstd:chunked of both kinds, and eStargz with an external TOC, that we write, read by stargz-snapshotter's library, GNU
//! tar, zstd and podman 5.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lazyoci::model::{ImagePath, Metadata, Node};
use lazyoci::tar_stream::TarWriter;
use lazyoci_interop::run::sha256;
use lazyoci_interop::{
    Corpus, Finished, Registry, Request, Runnable, interop_dir, lazyoci, scratch, script, tool,
};
use serde_json::Value;

/// One storage of podman serves all tests, one after the other.
static PODMAN: Mutex<()> = Mutex::new(());

fn podman() -> MutexGuard<'static, ()> {
    PODMAN.lock().unwrap_or_else(PoisonError::into_inner)
}

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

#[test]
fn the_library_of_stargz_snapshotter_reads_every_chunk() {
    let corpus = Corpus::new("packages/peer");
    let tar = corpus.tar();
    let directory = scratch();
    let layer = directory.path().join("a.layer");
    for (kind, options) in [
        (&["external"][..], &["--to", "estargz-external-toc"][..]),
        (
            &["external"],
            &["--to", "estargz-external-toc", "--lossless"],
        ),
        (&["zstd"], &["--to", "zstd-chunked", "--dialect", "a"]),
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
        let options = [options, &["--force"]].concat();
        let made = convert(&options, &tar, &layer);
        let (files, chunks) = judged(kind, &layer, &made);
        assert!(files > 1000, "{made}");
        // The landmark has one more than we count.
        let stored = made["stored_chunks"].as_u64().expect("a count");
        assert_eq!(chunks, stored, "{options:?}");
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

/// Bytes that nothing compresses.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend(state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A tar of 35 MB, and one in which a few bytes of a large file differ and a small file is new.
fn pair() -> [Vec<u8>; 2] {
    let changed = |bytes: &mut [u8]| bytes[1_500_000..1_500_007].copy_from_slice(b"changed");
    [false, true].map(|second| {
        let mut random = noise(1, 3 << 20);
        if second {
            changed(&mut random);
        }
        let holey = [noise(2, 300_000), vec![0; 2 << 20], noise(3, 200_000)].concat();
        let mut files = vec![
            ("data/holey".to_owned(), holey),
            ("data/random".to_owned(), random),
        ];
        files.extend((4..11).map(|n| (format!("data/{n}"), noise(n, 4 << 20))));
        if second {
            files.push(("data/new".to_owned(), b"a small file\n".repeat(100)));
        }
        let mut tar = TarWriter::new(Vec::new());
        let path = |name: &str| ImagePath::clean(name.as_bytes()).expect("a path");
        let metadata = Metadata::implied_directory();
        let directory = Node::<()>::empty_directory();
        tar.append(&path("data"), &metadata, &directory)
            .expect("memory takes it");
        for (name, bytes) in files {
            let node = Node::File {
                size: bytes.len() as u64,
                content: (),
            };
            tar.append(&path(&name), &metadata, &node)
                .expect("memory takes it");
            tar.write_all(&bytes).expect("memory takes it");
        }
        tar.finish().expect("memory takes it")
    })
}

/// The files of a dump of the walker: podman gives directories other times, and the root another mode.
fn files(dump: &str) -> Vec<&str> {
    let is_file = |line: &&str| line.split('\t').nth(1).is_some_and(|kind| kind != "d");
    let files: Vec<_> = dump.lines().filter(is_file).collect();
    assert!(files.len() >= 9, "{dump}");
    files
}

#[test]
fn podman_pulls_the_kind_of_containers_storage_partially() {
    let directory = scratch();
    let registry = Registry::start();
    let mut images = Vec::new();
    for (tar, tag) in pair().iter().zip(["v1", "v2"]) {
        let layer = directory.path().join("pair.tar");
        fs::write(&layer, tar).expect("a file");
        let archive = directory.path().join(format!("{tag}.tar"));
        let layout = interop_dir().join("estargz/layout.py");
        let _ = Finished::of(Command::new(layout).arg("make").arg(&archive).arg(&layer)).ok();
        let image = registry.repository(&format!("chunked:{tag}"));
        let mut convert = lazyoci("convert");
        convert.args(["--plain-http", "--force", "--to", "zstd-chunked"]);
        convert.arg(format!("oci-archive:{}", archive.display()));
        let _ = Finished::of(convert.arg(format!("docker://{image}"))).ok();
        images.push(image);
    }
    let _podman = podman();
    let _ = Finished::of(script("runtimes/podman5.sh").arg("stop")).ok();
    let before = registry.requests("chunked").len();
    let _ = Finished::of(script("runtimes/podman5.sh").arg("pull").args(&images)).ok();
    let requests = registry.requests("chunked").split_off(before);
    let blobs: Vec<_> = requests
        .iter()
        .filter(|request| request.method == "GET" && request.path.contains("/blobs/"))
        .collect();
    // Configurations are read whole.
    let whole = |request: &&Request| request.status == 200;
    let (whole, partial): (Vec<&Request>, Vec<&Request>) = blobs.iter().copied().partition(whole);
    assert!(
        whole.iter().all(|request| request.bytes < 2000),
        "{blobs:?}"
    );
    assert_eq!(whole.len(), 2, "{blobs:?}");
    assert!(
        partial.iter().all(|request| request.status == 206),
        "{blobs:?}"
    );
    let first = partial.first().map(|request| &request.path);
    let bytes = |of_first: bool| -> u64 {
        let of = partial
            .iter()
            .filter(|request| (Some(&request.path) == first) == of_first);
        of.map(|request| request.bytes).sum()
    };
    // The hole is not fetched; then some chunks, TOC and tar-split.
    assert!(bytes(true) < 33_100_000, "{blobs:?}");
    assert!(bytes(false) < 400_000, "{blobs:?}");
    for (image, tar) in images.iter().zip(pair()) {
        let layer = directory.path().join("pair.tar");
        fs::write(&layer, tar).expect("a file");
        let tree = directory.path().join(&image[image.len() - 2..]);
        fs::create_dir(&tree).expect("a new directory");
        let mut unpack = Command::new("tar");
        let _ = Finished::of(unpack.arg("-C").arg(&tree).arg("-xpf").arg(&layer)).ok();
        let mut walk = Command::new(interop_dir().join("walker.py"));
        let ours = Finished::of(walk.arg("--dump").arg(&tree)).ok();
        let mut walk = script("runtimes/podman5.sh");
        let theirs = Finished::of(walk.arg("walk").arg(image).arg("--dump")).ok();
        assert_eq!(files(theirs.text()), files(ours.text()));
    }
    let _ = Finished::of(script("runtimes/podman5.sh").arg("stop")).ok();
}

#[test]
fn podman_runs_a_container_of_layers_that_it_pulled_partially() {
    let _podman = podman();
    let registry = Registry::start();
    let image = Runnable::new(&["--plain"]);
    let repository = format!("lazyoci/chunked-{}", std::process::id());
    let name = format!("{}:v1", registry.repository(&repository));
    let made = image.convert(&["--to", "zstd-chunked"], &format!("docker://{name}"));
    let before = registry.requests(&repository).len();
    image.runs_by_podman5(&name);
    let requests = registry.requests(&repository).split_off(before);
    for layer in made["image_layers"].as_array().expect("layers") {
        let digest = layer["digest"].as_str().expect("a digest");
        let of_layer = requests
            .iter()
            .filter(|request| request.is_of_blob() && request.path.ends_with(digest));
        let statuses: Vec<_> = of_layer.map(|request| request.status).collect();
        assert!(!statuses.is_empty(), "{requests:?}");
        assert!(
            statuses.iter().all(|&status| status == 206),
            "{digest}: {requests:?}"
        );
    }
}
