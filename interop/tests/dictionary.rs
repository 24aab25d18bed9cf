//! Images over chunks that other images have, against nydus-image and nydusd.

use std::fs;
use std::path::{Path, PathBuf};

use lazyoci_interop::{Finished, Mount, lazyoci, nydus_image, scratch, script};

/// Two versions of an image as tars in `dir`: the second one has the files of the first, and a new one
/// before and behind them.
fn versions(dir: &Path) -> [PathBuf; 2] {
    let _ = Finished::of(script("corpus/versions.py").arg(dir)).ok();
    ["first.tar", "second.tar"].map(|name| dir.join(name))
}

/// The digest of the tree that `tar` has.
fn expected(tar: &Path) -> String {
    Finished::of(lazyoci("digest").arg(tar))
        .ok()
        .text()
        .to_owned()
}

/// Converts `tar`, and puts its blob into `blobs`, too; the bootstrap.
fn convert(tar: &Path, options: &[&str], output: &Path, blobs: &Path) -> PathBuf {
    let mut convert = lazyoci("convert");
    let _ = Finished::of(convert.args(options).arg(tar).arg(output)).ok();
    copy(&output.join("blobs"), blobs);
    output.join("image.boot")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for blob in fs::read_dir(from).expect("a directory") {
        let blob = blob.expect("an entry");
        fs::copy(blob.path(), to.join(blob.file_name())).expect("a copy");
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry).into_string().expect("hexadecimal digits"))
        .collect();
    names.sort();
    names
}

#[test]
fn nydusd_reads_an_image_and_the_blobs_of_its_dictionary() {
    let dir = scratch();
    let [first, second] = versions(dir.path());
    let expected = expected(&second);
    for to in ["rafs-v6", "rafs-v5"] {
        for compressor in ["zstd", "lz4", "none"] {
            let at = dir.path().join(format!("{to}-{compressor}"));
            fs::create_dir(&at).expect("a new directory");
            let blobs = at.join("all");
            let options = ["--to", to, "--compressor", compressor];
            let lower = convert(&first, &options, &at.join("first"), &blobs);
            let lower = lower.to_str().expect("a plain name");
            let options = [&options[..], &["--chunk-dict", lower]].concat();
            let upper = convert(&second, &options, &at.join("second"), &blobs);
            let _ = Finished::of(nydus_image("check").arg("-B").arg(&upper)).ok();
            let mut verify = lazyoci("verify");
            let _ = Finished::of(verify.arg(&upper).arg("--blobs").arg(&blobs)).ok();
            assert_eq!(names(&blobs).len(), 2);
            let mount = match to {
                "rafs-v5" => Mount::nydusd_validating(&upper, &blobs, &at.join("mnt")),
                _ => Mount::nydusd(&upper, &blobs, &at.join("mnt")),
            };
            assert_eq!(mount.digest(), expected, "{to} {compressor}");
            drop(mount);

            // All in one blob again.
            let output = at.join("compact");
            let mut compact = lazyoci("convert");
            compact
                .args(["--to", to, "--compact", "--blobs"])
                .arg(&blobs);
            let _ = Finished::of(compact.arg(&upper).arg(&output)).ok();
            let (bootstrap, blobs) = (output.join("image.boot"), output.join("blobs"));
            let _ = Finished::of(nydus_image("check").arg("-B").arg(&bootstrap)).ok();
            assert_eq!(names(&blobs).len(), 1);
            let mount = Mount::nydusd(&bootstrap, &blobs, &at.join("mnt"));
            assert_eq!(mount.digest(), expected, "{to} {compressor}, compacted");
        }
    }
}

/// The blob of what a dictionary lacks is that of nydus-image, and its image is read as ours is.
#[test]
fn nydus_image_stores_the_same_chunks() {
    let dir = scratch();
    let tars = versions(dir.path());
    let expected = expected(&tars[1]);
    for (to, version) in [("rafs-v6", "6"), ("rafs-v5", "5")] {
        let at = dir.path().join(to);
        fs::create_dir(&at).expect("a new directory");
        let (ours, theirs) = (at.join("ours"), at.join("theirs"));
        fs::create_dir(&theirs).expect("a new directory");
        let options = ["--to", to, "--compressor", "none", "--compat", "2.2"];
        let lower = convert(&tars[0], &options, &at.join("first"), &ours);
        let lower = lower.to_str().expect("a plain name");
        let options = [&options[..], &["--chunk-dict", lower]].concat();
        let _ = convert(&tars[1], &options, &at.join("second"), &ours);
        let (first, second) = (at.join("first.boot"), at.join("second.boot"));
        let dictionary = format!("bootstrap={}", first.display());
        for (tar, bootstrap, options) in [
            (&tars[0], &first, &[][..]),
            (&tars[1], &second, &["--chunk-dict", &dictionary]),
        ] {
            let mut create = nydus_image("create");
            create.args(["-t", "tar-rafs", "--compressor", "none"]);
            create.args(["--fs-version", version]).args(options);
            create.arg("-B").arg(bootstrap).arg("-D").arg(&theirs);
            let _ = Finished::of(create.arg(tar)).ok();
        }
        assert_eq!(names(&ours), names(&theirs), "{to}");
        let mut digest = lazyoci("digest");
        let digest = Finished::of(digest.arg(&second).arg("--blobs").arg(&theirs));
        assert_eq!(digest.ok().text(), expected, "{to}, by nydus-image");
    }
}
