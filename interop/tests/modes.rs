//! Modes of RAFS v6 that nydus-image 2.2.0 does not know, with the crates of nydus as judge: ours read by them, theirs by us.

use std::fs;
use std::path::{Path, PathBuf};

use lazyoci_interop::judge::{listed, read_by_the_crates};
use lazyoci_interop::{Finished, lazyoci, scratch, script, tool};

/// Our names of compressors, and those of nydus.
const COMPRESSORS: [(&str, &str); 3] = [("none", "none"), ("lz4", "lz4_block"), ("zstd", "zstd")];

const DIGESTERS: [&str; 2] = ["sha256", "blake3"];

/// Nothing more, a TOC, the bootstrap in the blob: our options and those of nydus.
const LAYOUTS: [(&[&str], &[&str]); 3] = [
    (&[], &[]),
    (&["--toc"], &["--toc"]),
    (&["--inline-meta"], &["--inline"]),
];

/// Files of all lengths around those of batches and chunks, text and noise, some of them twice, and what has no content.
const TREE: &str = r#"
import os, random, stat
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
os.symlink("x" * 300, "tree/symlink")
os.mkfifo("tree/pipe")
os.mknod("tree/device", 0o640 | stat.S_IFBLK, os.makedev(8, 700))
os.chown("tree/001", 1000, 3_000_000_000)
os.chown("tree/symlink", 7, 8, follow_symlinks=False)
os.chmod("tree/002", 0o4711)
os.chmod("tree/noise", 0o1777)
os.setxattr("tree/text", "trusted.kind", b"a directory")
os.setxattr("tree/003", "user.kind", b"\0\xff" * 1000)
os.utime("tree/004", (-5, -5))
os.utime("tree/005", (2**33, 2**33))
"#;

/// The tree, in a new directory below `dir`.
fn tree(dir: &Path) -> PathBuf {
    tool("python3", dir, &["-c", TREE]);
    dir.join("tree")
}

/// What to open of an image: the bootstrap, or the blob that holds it.
fn image(of: &Path) -> PathBuf {
    let bootstrap = of.join("image.boot");
    if bootstrap.exists() {
        bootstrap
    } else {
        blob(of)
    }
}

/// The only blob of an image.
fn blob(of: &Path) -> PathBuf {
    let mut blobs = fs::read_dir(of.join("blobs")).expect("blobs were made");
    let blob = blobs.next().expect("there is one").expect("readable");
    assert!(blobs.next().is_none(), "{}", of.display());
    blob.path()
}

fn digest(image: &Path) -> String {
    let digest = Finished::of(lazyoci("digest").arg(image)).ok();
    digest.text().to_owned()
}

/// Converts `tree` to `image`; the crates of nydus read all of it, and we find no fault in it.
fn ours(tree: &Path, image: &Path, options: &[&str]) {
    let mut convert = lazyoci("convert");
    convert.args(["--to", "rafs-v6"]).args(options);
    let _ = Finished::of(convert.args([tree, image])).ok();
    let bootstrap = image.join("image.boot");
    let read = read_by_the_crates(&bootstrap, &image.join("blobs"));
    assert_eq!(read, listed(tree, &[]), "{options:?}");
    let _ = Finished::of(lazyoci("verify").arg(&bootstrap)).ok();
    if options.contains(&"--inline-meta") {
        let _ = Finished::of(lazyoci("verify").arg(blob(image))).ok();
        assert_eq!(digest(&blob(image)), digest(tree), "{options:?}");
    }
}

/// Has the crates of nydus pack `tree` to `image`, which we read.
fn theirs(tree: &Path, packed: &Path, options: &[&str]) {
    let mut judge = script("nydus/judge.sh");
    judge.arg("pack").args([tree, packed]);
    let _ = Finished::of(judge.args(options)).ok();
    let bootstrap = image(packed);
    assert_eq!(bootstrap == blob(packed), options.contains(&"--inline"));
    let _ = Finished::of(lazyoci("verify").arg(&bootstrap)).ok();
    let unpacked = packed.join("unpacked");
    let _ = Finished::of(lazyoci("unpack").args([&bootstrap, &unpacked])).ok();
    assert_eq!(listed(&unpacked, &[]), listed(tree, &[]), "{options:?}");
}

/// A compressor, a digester and a layout.
struct Choice {
    compressor: (&'static str, &'static str),
    digester: &'static str,
    layout: (&'static [&'static str], &'static [&'static str]),
    /// 0, 1 or 2: another one for the same compressor or layout.
    turn: usize,
}

impl Choice {
    fn ours<'a>(&self, others: &[&'a str]) -> Vec<&'a str> {
        let common = [
            "--compressor",
            self.compressor.0,
            "--digester",
            self.digester,
        ];
        [&common[..], self.layout.0, others].concat()
    }

    fn theirs<'a>(&self, others: &[&'a str]) -> Vec<&'a str> {
        let common = [
            "--compressor",
            self.compressor.1,
            "--digester",
            self.digester,
        ];
        [&common[..], self.layout.1, others].concat()
    }
}

/// All of them.
fn choices() -> impl Iterator<Item = Choice> {
    let pairs = COMPRESSORS.into_iter().enumerate();
    pairs.flat_map(|(compressor, names)| {
        let digesters = DIGESTERS.into_iter().enumerate();
        digesters.flat_map(move |(digester, name)| {
            let layouts = LAYOUTS.into_iter().enumerate();
            layouts.map(move |(place, layout)| Choice {
                compressor: names,
                digester: name,
                layout,
                turn: (compressor + digester + place) % 3,
            })
        })
    })
}

#[test]
fn batches() {
    let dir = scratch();
    let tree = tree(dir.path());
    let sizes = [("4KiB", "4096"), ("32KiB", "32768"), ("1MiB", "1048576")];
    for (number, choice) in choices().enumerate() {
        let (batch, bytes) = sizes[choice.turn];
        let of = |whose: &str| dir.path().join(format!("{whose}-{number}"));
        let options = ["--batch-size", batch];
        ours(&tree, &of("ours"), &choice.ours(&options));
        let options = ["--batch-size", bytes];
        theirs(&tree, &of("theirs"), &choice.theirs(&options));
    }
}

/// A key and an initial vector, in a file below `dir`.
fn key(dir: &Path) -> PathBuf {
    let path = dir.join("key");
    let bytes: Vec<u8> = (0..48).map(|n| n * 5 + 1).collect();
    fs::write(&path, bytes).expect("written");
    path
}

/// A bootstrap that we encrypt with stays out of the blob, which it has the key of; that of nydus does not, and is read.
#[test]
fn encrypted_blobs() {
    let dir = scratch();
    let tree = tree(dir.path());
    let key = key(dir.path());
    let key = key.to_str().expect("UTF-8");
    let sizes = [
        (None, "0"),
        (Some("4KiB"), "4096"),
        (Some("1MiB"), "1048576"),
    ];
    for (number, choice) in choices().enumerate() {
        let (batch, bytes) = sizes[choice.turn];
        let of = |whose: &str| dir.path().join(format!("{whose}-{number}"));
        let mut options = vec!["--encrypt-key", key];
        options.extend(batch.iter().flat_map(|batch| ["--batch-size", batch]));
        let options = choice.ours(&options);
        if options.contains(&"--inline-meta") {
            let mut convert = lazyoci("convert");
            convert.args(["--to", "rafs-v6"]).args(&options);
            let refused = Finished::of(convert.args([&tree, &of("ours")])).exits(2);
            assert_eq!(
                refused.stderr.trim_end(),
                "error: an encrypted blob cannot hold its bootstrap, which has the key in clear"
            );
        } else {
            ours(&tree, &of("ours"), &options);
        }
        let options = ["--encrypt", "--batch-size", bytes];
        theirs(&tree, &of("theirs"), &choice.theirs(&options));
    }
}

/// What is not compressed has no choice of bytes: blobs and bootstraps are the same, CRC-32 of each chunk included. But a blob
/// with a TOC has another name: it is not the SHA-256 of all of it.
#[test]
fn images_with_batches_are_those_of_nydus() {
    let dir = scratch();
    let tree = tree(dir.path());
    let choices = choices().filter(|choice| choice.compressor.0 == "none");
    for (number, choice) in choices.enumerate() {
        let of = |whose: &str| dir.path().join(format!("{whose}-{number}"));
        let options = choice.ours(&["--batch-size", "32KiB"]);
        ours(&tree, &of("ours"), &options);
        theirs(
            &tree,
            &of("theirs"),
            &choice.theirs(&["--batch-size", "32768"]),
        );
        let (ours, theirs) = (of("ours"), of("theirs"));
        let read = |path: &Path| fs::read(path).expect("readable");
        assert!(read(&blob(&ours)) == read(&blob(&theirs)), "{options:?}");
        // It is in the blob otherwise.
        let mut bootstrap = read(&image(&theirs));
        if bootstrap != read(&blob(&theirs)) {
            let name = |of: &Path| blob(of).file_name().expect("a name").to_owned();
            let (from, to) = (name(&theirs), name(&ours));
            assert_eq!(from != to, options.contains(&"--toc"), "{options:?}");
            let renamed = rename(
                &mut bootstrap,
                from.as_encoded_bytes(),
                to.as_encoded_bytes(),
            );
            assert_eq!(renamed, 2, "in the tables of devices and of blobs");
            assert!(bootstrap == read(&image(&ours)), "{options:?}");
        }
    }
}

/// Replaces `from` in `bytes`; how often it was there.
fn rename(bytes: &mut [u8], from: &[u8], to: &[u8]) -> usize {
    let starts = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(from));
    let starts: Vec<_> = starts.collect();
    for &at in &starts {
        bytes[at..][..from.len()].copy_from_slice(to);
    }
    starts.len()
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
    let name = lower.to_str().expect("UTF-8");
    tool("cp", dir.path(), &["-a", name, "both"]);
    tool("cp", dir.path(), &["-a", "upper/.", "both"]);
    let key = key(dir.path());
    let key = key.to_str().expect("UTF-8");
    let batches = ["--digester", "sha256", "--batch-size", "32KiB"];
    let encrypted = [&batches[..], &["--encrypt-key", key]].concat();
    let merged = dir.path().join("merged");
    let blobs = dir.path().join("blobs");
    fs::create_dir(&blobs).expect("a new directory");
    let mut merge = lazyoci("merge");
    for (number, (tree, options)) in [(&lower, &batches[..]), (&upper, &encrypted)]
        .into_iter()
        .enumerate()
    {
        let image = dir.path().join(number.to_string());
        ours(tree, &image, options);
        merge.arg(image.join("image.boot"));
        for blob in fs::read_dir(image.join("blobs")).expect("a directory") {
            let blob = blob.expect("an entry");
            fs::copy(blob.path(), blobs.join(blob.file_name())).expect("a copy");
        }
    }
    let _ = Finished::of(merge.arg(&merged)).ok();
    let bootstrap = merged.join("image.boot");
    let read = read_by_the_crates(&bootstrap, &blobs);
    assert_eq!(read, listed(&dir.path().join("both"), &[]));
    let mut verify = lazyoci("verify");
    let _ = Finished::of(verify.arg(&bootstrap).arg("--blobs").arg(&blobs)).ok();
}
