//! Images over chunks that other images have, against nydus-image and nydusd.

use std::fs;
use std::path::{Path, PathBuf};

use lazyoci_interop::{Finished, Mount, lazyoci, nydus_image, scratch, script};
use serde_json::Value;

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

/// A second image stores what the dictionary file of the first one lacks, and nothing else.
#[test]
fn nydusd_reads_an_image_made_against_a_dictionary_file() {
    let dir = scratch();
    let [first, second] = versions(dir.path());
    let expected = expected(&second);
    for to in ["rafs-v6", "rafs-v5"] {
        let at = dir.path().join(to);
        fs::create_dir(&at).expect("a new directory");
        let blobs = at.join("all");
        let options = ["--to", to, "--json"];
        let lower = convert(&first, &options, &at.join("first"), &blobs);
        let dictionary = at.join("chunks.dict");
        let mut dedup = lazyoci("dedup");
        dedup.args(["--chunking", "file", "--write-dict"]);
        let _ = Finished::of(dedup.arg(&dictionary).arg(&lower)).ok();
        let output = at.join("second");
        let mut second_convert = lazyoci("convert");
        second_convert
            .args(options)
            .arg("--chunk-dict")
            .arg(&dictionary);
        let said = Finished::of(second_convert.arg(&second).arg(&output)).ok();
        let said: Value = serde_json::from_str(said.text()).expect("one object");
        copy(&output.join("blobs"), &blobs);
        // `before` and `behind` have one and three chunks; of the others all are known.
        let count = |key: &str| said[key].as_u64().expect("a number");
        assert_eq!((count("stored_chunks"), count("short_chunks")), (4, 0));
        let reuse = &said["reuse"][0];
        assert_eq!(reuse["shared_chunks"], count("reused_chunks"));
        assert_eq!(reuse["shared_bytes"], count("reused_bytes"));
        assert_eq!(count("reused_bytes"), 700_000 * 10 + 40 * 50_000);
        // Noise is stored as it is, with the chunk information after it.
        let blob = said["blobs"][0]["bytes"].as_u64().expect("a number");
        assert!((3_050_000..3_056_000).contains(&blob), "{blob}");

        let bootstrap = output.join("image.boot");
        let _ = Finished::of(nydus_image("check").arg("-B").arg(&bootstrap)).ok();
        let mut verify = lazyoci("verify");
        let _ = Finished::of(verify.arg(&bootstrap).arg("--blobs").arg(&blobs)).ok();
        let mount = match to {
            "rafs-v5" => Mount::nydusd_validating(&bootstrap, &blobs, &at.join("mnt")),
            _ => Mount::nydusd(&bootstrap, &blobs, &at.join("mnt")),
        };
        assert_eq!(mount.digest(), expected, "{to}");
    }
}

/// `dedup` counts what a script counts that knows nothing of it.
#[test]
fn a_script_counts_the_same() {
    let dir = scratch();
    let [first, second] = versions(dir.path());
    let tars = [&first, &second, &first];
    let mut dedup = lazyoci("dedup");
    dedup.args(["--json", "--chunking", "file", "--chunking", "fixed:65536"]);
    let ours = Finished::of(dedup.args(tars)).ok();
    let ours: Value = serde_json::from_str(ours.text()).expect("one object");
    let theirs = Finished::of(script("corpus/common.py").arg("65536").args(tars)).ok();
    let theirs: Value = serde_json::from_str(theirs.text()).expect("one list");
    for (ours, theirs) in [0, 1].map(|way| (&ours["chunkings"][way], &theirs[way])) {
        for key in ["all_bytes", "distinct_bytes"] {
            assert_eq!(ours[key], theirs[key], "{key}");
        }
        for image in 0..3 {
            for key in ["distinct_bytes", "shared_bytes", "added_bytes"] {
                let (ours, theirs) = (&ours["images"][image][key], &theirs["images"][image][key]);
                assert!(theirs.is_u64());
                assert_eq!(ours, theirs, "{key} of image {image}");
            }
        }
    }
}
