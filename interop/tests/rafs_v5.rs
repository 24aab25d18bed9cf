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

/// Of packages every compressor, digester and release; of debian each digester with a release.
#[test]
fn nydus_image_accepts_ours() {
    for (number, corpus) in Corpus::roots("peer").into_iter().enumerate() {
        let all = corpus.name == "packages/peer";
        for (compressor, at) in COMPRESSORS.into_iter().zip(number..) {
            for (compat, first) in ["2.4", "2.2"].into_iter().zip(at..) {
                for digester in (0..if all { 2 } else { 1 }).map(|more| (first + more) % 2) {
                    let dir = scratch();
                    let digester = DIGESTERS[digester];
                    let options = ["--compressor", compressor, "--compat", compat];
                    let options = [&options[..], &["--digester", digester]].concat();
                    let output = dir.path().join("image");
                    let (bootstrap, _) = convert(&corpus.tar(), &output, &options);
                    let _ = Finished::of(nydus_image("check").arg("-B").arg(&bootstrap)).ok();
                    let what = format!("{} {options:?}", corpus.name);
                    assert_eq!(digest(&bootstrap), corpus.digest(), "{what}");
                }
            }
        }
    }
}

/// Makes a version 5 image of `corpus`' directory with nydus-image 2.2.0, in `dir`.
fn theirs(corpus: &Corpus, dir: &Path, options: &[&str]) -> PathBuf {
    theirs_of("dir-rafs", corpus.dir(), dir, options)
}

/// The same of a source of another kind.
fn theirs_of(kind: &str, source: &Path, dir: &Path, options: &[&str]) -> PathBuf {
    let blobs = dir.join("blobs");
    std::fs::create_dir(&blobs).expect("a new directory");
    let bootstrap = dir.join("image.boot");
    let mut create = nydus_image("create");
    create
        .args(["-t", kind, "-v", "5", "--whiteout-spec", "none"])
        .args(options)
        .args([Path::new("-D"), &blobs, Path::new("-B"), &bootstrap])
        .arg(source);
    let _ = Finished::of(&mut create).ok();
    bootstrap
}

/// Each compressor with each digester; of debian half of them.
#[test]
fn what_nydus_image_made_has_the_digest_of_its_source() {
    let debian = [
        ("zstd", "blake3"),
        ("lz4_block", "sha256"),
        ("none", "sha256"),
    ];
    for (compressor, digester) in debian {
        let corpus = Corpus::new("debian/peer");
        theirs_has_its_digest("dir-rafs", corpus.dir(), &corpus, compressor, digester);
    }
    let corpus = Corpus::new("packages/peer");
    for compressor in ["zstd", "lz4_block", "none"] {
        for digester in DIGESTERS {
            theirs_has_its_digest("dir-rafs", corpus.dir(), &corpus, compressor, digester);
            theirs_has_its_digest("tar-rafs", &corpus.tar(), &corpus, compressor, digester);
        }
    }
}

fn theirs_has_its_digest(
    kind: &str,
    source: &Path,
    corpus: &Corpus,
    compressor: &str,
    digester: &str,
) {
    let dir = scratch();
    let options = ["--compressor", compressor, "--digester", digester];
    let bootstrap = theirs_of(kind, source, dir.path(), &options);
    let _ = Finished::of(lazyoci("verify").arg(&bootstrap)).ok();
    let what = format!("{} {kind} {options:?}", corpus.name);
    assert_eq!(digest(&bootstrap), corpus.digest(), "{what}");
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

/// Both policies order the content; only `blob` says in the blob table how much of it comes first. nydus-image orders
/// it by path, we as the list does, and it counts paths that do not exist in the table of version 6: here all exist, in
/// the order of paths.
#[test]
fn prefetch_policies_byte_for_byte() {
    let dir = scratch();
    let source = dir.path().join("source");
    std::fs::create_dir_all(source.join("d")).expect("a new directory");
    for (name, len) in [("a", 300_000), ("d/m", 6), ("d/empty", 0), ("z", 108_894)] {
        std::fs::write(source.join(name), name.repeat(len / name.len())).expect("a new file");
    }
    // nydusd shows a time of 0 as the present: these are neither.
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000);
    for name in ["a", "d/m", "d/empty", "z", "d", ""] {
        let file = std::fs::File::open(source.join(name)).expect("it was written");
        file.set_modified(time).expect("a time");
    }
    let list = dir.path().join("list");
    std::fs::write(&list, "/d\n/z\n").expect("a new file");
    for version in ["5", "6"] {
        for policy in ["none", "fs", "blob"] {
            let at = dir.path().join(format!("{version}-{policy}"));
            let blobs = at.join("blobs");
            std::fs::create_dir_all(&blobs).expect("a new directory");
            let theirs = at.join("image.boot");
            let mut create = nydus_image("create");
            create
                .args(["-t", "dir-rafs", "-v", version, "--whiteout-spec", "none"])
                .args(["--compressor", "none", "--digester", "sha256"])
                .args(["--prefetch-policy", policy, "-D"])
                .args([blobs.as_path(), Path::new("-B"), &theirs, &source]);
            let _ = Finished::reading(&mut create, &list).ok();
            let output = at.join("ours");
            let mut convert = lazyoci("convert");
            convert
                .args(["--to", &format!("rafs-v{version}"), "--compat", "2.2"])
                .args(["--compressor", "none", "--digester", "sha256"])
                .args(["--prefetch-policy", policy, "--prefetch"])
                .args([&list, &source, &output]);
            let _ = Finished::of(&mut convert).ok();
            let ours = output.join("image.boot");
            assert_eq!(
                sha256(&ours),
                sha256(&theirs),
                "version {version}, {policy}"
            );
            let mut check = nydus_image("check");
            let _ = Finished::of(check.arg("-B").arg(&ours)).ok();
            let mount = Mount::nydusd(&ours, &output.join("blobs"), &at.join("mount"));
            assert_eq!(
                mount.digest(),
                digest(&source),
                "version {version}, {policy}"
            );
        }
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

/// The bootstrap of the other version over the blobs of `bootstrap`, in `blobs`.
fn keep_blobs(version: &str, bootstrap: &Path, blobs: &Path, output: &Path) -> PathBuf {
    let mut convert = lazyoci("convert");
    convert.args(["--to", version, "--keep-blobs", "--blobs"]);
    convert.args([blobs, bootstrap, output]);
    let _ = Finished::of(&mut convert).ok();
    output.join("image.boot")
}

fn digest_with(image: &Path, blobs: &Path) -> String {
    let mut verify = lazyoci("verify");
    let _ = Finished::of(verify.arg("--blobs").args([blobs, image])).ok();
    let mut digest = lazyoci("digest");
    let digest = Finished::of(digest.arg("--blobs").args([blobs, image])).ok();
    digest.text().to_owned()
}

/// Both directions over one blob, checked and mounted by nydus 2.2.
#[test]
fn both_versions_over_one_blob() {
    for corpus in Corpus::roots("peer") {
        for options in [&[][..], &["--toc"], &["--compressor", "lz4"]] {
            let dir = scratch();
            let source = dir.path().join("source");
            let mut convert = lazyoci("convert");
            convert.args(["--to", "rafs-v6"]).args(options);
            let _ = Finished::of(convert.args([&*corpus.tar(), &source])).ok();
            let (first, blobs) = (source.join("image.boot"), source.join("blobs"));
            let v5 = keep_blobs("rafs-v5", &first, &blobs, &dir.path().join("v5"));
            let v6 = keep_blobs("rafs-v6", &v5, &blobs, &dir.path().join("v6"));
            assert_eq!(sha256(&v6), sha256(&first), "{} {options:?}", corpus.name);
            let _ = Finished::of(nydus_image("check").arg("-B").arg(&v5)).ok();
            let _ = Finished::of(nydus_image("check").arg("-B").arg(&v6)).ok();
            assert_eq!(digest_with(&v5, &blobs), corpus.digest(), "{options:?}");
            assert_eq!(digest_with(&v6, &blobs), corpus.digest(), "{options:?}");
            let mount = Mount::nydusd_validating(&v5, &blobs, &dir.path().join("mnt5"));
            assert_eq!(mount.digest(), corpus.digest(), "{options:?}");
            let mount = Mount::nydusd(&v6, &blobs, &dir.path().join("mnt6"));
            assert_eq!(mount.digest(), corpus.digest(), "{options:?}");
        }
    }
}
