//! RAFS v5 that we write, read by nydusd and nydus-image; and theirs by us.

use std::path::{Path, PathBuf};

use lazyoci_interop::run::sha256;
use lazyoci_interop::{Corpus, Finished, Mount, lazyoci, nydus_image, scratch};

const COMPRESSORS: [&str; 3] = ["zstd", "lz4", "none"];
const DIGESTERS: [&str; 2] = ["blake3", "sha256"];

/// The bootstrap that `convert` wrote into `output`, and the folder of its blobs.
fn convert(source: &Path, output: &Path, options: &[&str]) -> (PathBuf, PathBuf) {
    let mut convert = lazyoci("convert");
    convert
        .args(["--to", "rafs-v5"])
        .args(options)
        .args([source, output]);
    let _ = Finished::of(&mut convert).ok();
    (output.join("image.boot"), output.join("blobs"))
}

fn digest(image: &Path) -> String {
    Finished::of(lazyoci("digest").arg(image))
        .ok()
        .text()
        .to_owned()
}

#[test]
fn nydusd_shows_the_source_tree_and_finds_every_digest_right() {
    for corpus in Corpus::roots("peer") {
        for compressor in COMPRESSORS {
            for digester in DIGESTERS {
                let dir = scratch();
                let options = ["--compressor", compressor, "--digester", digester];
                let output = dir.path().join("image");
                let (bootstrap, blobs) = convert(&corpus.tar(), &output, &options);
                let mount = Mount::nydusd_validating(&bootstrap, &blobs, &dir.path().join("mnt"));
                let what = format!("{} {compressor} {digester}", corpus.name);
                assert_eq!(mount.digest(), corpus.digest(), "{what}");
            }
        }
    }
}

/// That it looks at the digests is what the test above is worth.
#[test]
fn nydusd_finds_a_flipped_byte_of_a_file() {
    let dir = scratch();
    let source = dir.path().join("source");
    std::fs::create_dir(&source).expect("a new directory");
    for name in ["first", "second"] {
        std::fs::write(source.join(name), name.repeat(1000)).expect("there is room");
    }
    let options = ["--compressor", "none"];
    let (bootstrap, blobs) = convert(&source, &dir.path().join("image"), &options);
    let blob = std::fs::read_dir(&blobs)
        .expect("the folder is there")
        .next();
    let blob = blob.expect("one blob").expect("that can be read").path();
    let mut bytes = std::fs::read(&blob).expect("a file");
    bytes[100] ^= 1;
    std::fs::write(&blob, bytes).expect("a file");
    let mount = Mount::nydusd_validating(&bootstrap, &blobs, &dir.path().join("mnt"));
    assert!(std::fs::read(mount.path().join("first")).is_err());
    let second = std::fs::read(mount.path().join("second"));
    assert_eq!(
        second.expect("it is sound"),
        "second".repeat(1000).into_bytes()
    );
}

#[test]
fn nydusd_shows_the_whole_tree() {
    for corpus in Corpus::roots("full") {
        let dir = scratch();
        let options = ["--lossy"];
        let (bootstrap, blobs) = convert(&corpus.tar(), &dir.path().join("image"), &options);
        let mount = Mount::nydusd(&bootstrap, &blobs, &dir.path().join("mnt"));
        assert_eq!(mount.digest(), digest(&bootstrap), "{}", corpus.name);
    }
}

#[test]
fn nydus_image_accepts_ours() {
    for corpus in Corpus::roots("peer") {
        for compressor in COMPRESSORS {
            for compat in ["2.4", "2.2"] {
                let dir = scratch();
                let options = ["--compressor", compressor, "--compat", compat];
                let output = dir.path().join("image");
                let (bootstrap, _) = convert(&corpus.tar(), &output, &options);
                let _ = Finished::of(nydus_image("check").arg("-B").arg(&bootstrap)).ok();
                assert_eq!(digest(&bootstrap), corpus.digest(), "{}", corpus.name);
            }
        }
    }
}

/// Makes a version 5 image of `corpus`' directory with nydus-image 2.2.0, in `dir`.
fn theirs(corpus: &Corpus, dir: &Path, options: &[&str]) -> PathBuf {
    let blobs = dir.join("blobs");
    std::fs::create_dir(&blobs).expect("a new directory");
    let bootstrap = dir.join("image.boot");
    let mut create = nydus_image("create");
    create
        .args(["-t", "dir-rafs", "-v", "5", "--whiteout-spec", "none"])
        .args(options)
        .args([Path::new("-D"), &blobs, Path::new("-B"), &bootstrap])
        .arg(corpus.dir());
    let _ = Finished::of(&mut create).ok();
    bootstrap
}

#[test]
fn what_nydus_image_made_has_the_digest_of_its_source() {
    for corpus in Corpus::roots("peer") {
        for (compressor, digester) in [
            ("zstd", "blake3"),
            ("lz4_block", "sha256"),
            ("none", "sha256"),
        ] {
            let dir = scratch();
            let options = ["--compressor", compressor, "--digester", digester];
            let bootstrap = theirs(&corpus, dir.path(), &options);
            let _ = Finished::of(lazyoci("verify").arg(&bootstrap)).ok();
            let what = format!("{} {compressor}", corpus.name);
            assert_eq!(digest(&bootstrap), corpus.digest(), "{what}");
        }
    }
}

/// Whole images of nydus-image 2.2.0. Of tars it marks what was a link there, and writes another device
/// number for what is no device.
#[test]
fn uncompressed_roots_byte_for_byte() {
    for corpus in Corpus::roots("peer") {
        let dir = scratch();
        let options = ["--compressor", "none", "--digester", "sha256"];
        let expected = theirs(&corpus, dir.path(), &options);
        let options = [&options[..], &["--compat", "2.2"]].concat();
        let (ours, _) = convert(corpus.dir(), &dir.path().join("ours"), &options);
        assert_eq!(sha256(&ours), sha256(&expected), "{}", corpus.name);
    }
}

#[test]
fn to_version_6_and_back() {
    for corpus in Corpus::roots("peer") {
        let dir = scratch();
        let (v5, _) = convert(&corpus.tar(), &dir.path().join("v5"), &[]);
        let v6 = dir.path().join("v6");
        let mut convert_to_v6 = lazyoci("convert");
        convert_to_v6.args(["--to", "rafs-v6"]).args([&v5, &v6]);
        let _ = Finished::of(&mut convert_to_v6).ok();
        let (again, _) = convert(&v6.join("image.boot"), &dir.path().join("again"), &[]);
        assert_eq!(digest(&again), corpus.digest(), "{}", corpus.name);
        let _ = Finished::of(lazyoci("verify").arg(&again)).ok();
    }
}
