//! The bytes of nydus-image, made again by us: the golden tree of the RAFS specification.

use std::path::Path;

use lazyoci_interop::run::sha256;
use lazyoci_interop::{Corpus, Finished, lazyoci, nydus_image, scratch};

/// Converts the golden tree and returns the digests of its bootstrap and its blob.
fn made(source: &Path, digester: &str, compat: &str) -> (String, String) {
    let dir = scratch();
    let output = dir.path().join("image");
    let mut convert = lazyoci("convert");
    convert
        .args([
            "--to",
            "rafs-v6",
            "--compressor",
            "none",
            "--digester",
            digester,
        ])
        .args(["--compat", compat])
        .args([source, &output]);
    let _ = Finished::of(&mut convert).ok();
    let mut blobs = std::fs::read_dir(output.join("blobs")).expect("the converter made blobs/");
    let blob = blobs.next().expect("one blob").expect("readable").path();
    let named = blob
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    assert_eq!(named, sha256(&blob), "a blob is named by its digest");
    (sha256(&output.join("image.boot")), named)
}

#[test]
fn uncompressed_native_v6_byte_for_byte() {
    let blob = "624c0593d0f83a9eaffbb0eb2c2045e1c32b1d9ed8e35ef8ed9629edb13113d9";
    let tree = Corpus::new("tiny/tree");
    for (digester, compat, bootstrap) in [
        (
            "sha256",
            "2.4",
            "3303210bbef7120d0d5ecf7862926c2417eedf7acfad4d2b6c11cee8d10f9f5d",
        ),
        (
            "blake3",
            "2.4",
            "1ce7b6b887689d77a9c0a79001fd4481075a54c3ab7a86fabd5f27c83260650d",
        ),
        (
            "sha256",
            "2.2",
            "75b633be056ae1c2da5f61979c97d4bd35fa68fff509cbb5209ac6e8f643e939",
        ),
        (
            "blake3",
            "2.2",
            "05f2777c5931d9dabef566f938d38b9b69dc1a67b46f4db5a497a598a2964116",
        ),
    ] {
        let (found, found_blob) = made(tree.dir(), digester, compat);
        assert_eq!(
            (found.as_str(), found_blob.as_str()),
            (bootstrap, blob),
            "{digester} {compat}"
        );
    }
}

/// Real roots, not only the golden tree: whole images of nydus-image 2.2.0, byte for byte.
#[test]
fn uncompressed_roots_byte_for_byte() {
    for corpus in Corpus::roots("peer") {
        for (kind, source) in [
            ("tar-rafs", corpus.tar()),
            ("dir-rafs", corpus.dir().to_path_buf()),
        ] {
            let dir = scratch();
            let theirs = dir.path().join("theirs");
            let bootstrap = dir.path().join("image.boot");
            std::fs::create_dir(&theirs).expect("a new directory");
            let mut create = nydus_image("create");
            create
                .args([
                    "-t",
                    kind,
                    "-v",
                    "6",
                    "--whiteout-spec",
                    "none",
                    "--compressor",
                    "none",
                ])
                .args(["--digester", "sha256", "-D"])
                .args([theirs.as_path(), Path::new("-B"), &bootstrap, &source]);
            let _ = Finished::of(&mut create).ok();
            let (ours, blob) = made(&source, "sha256", "2.2");
            assert_eq!(ours, sha256(&bootstrap), "{} {kind}", corpus.name);
            assert!(theirs.join(blob).exists(), "{} {kind}", corpus.name);
        }
    }
}
