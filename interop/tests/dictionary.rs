//! Images over chunks that other images have, against nydus-image and nydusd.

use std::fs;
use std::path::{Path, PathBuf};

use lazyoci_interop::{Corpus, Finished, Mount, lazyoci, nydus_image, scratch, script};
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
    same_figures(&[&first, &second, &first]);
}

/// Both count by whole files and by chunks of 64 KiB.
fn same_figures(tars: &[impl AsRef<Path>]) {
    let paths = || tars.iter().map(AsRef::as_ref);
    let mut dedup = lazyoci("dedup");
    dedup.args(["--json", "--chunking", "file", "--chunking", "fixed:65536"]);
    let ours = Finished::of(dedup.args(paths())).ok().json();
    let mut count = script("corpus/common.py");
    let theirs = Finished::of(count.arg("65536").args(paths())).ok().json();
    let whats = |names: &[&str]| -> Vec<String> {
        let both = names.iter();
        both.flat_map(|name| [format!("{name}_chunks"), format!("{name}_bytes")])
            .collect()
    };
    for (ours, theirs) in [0, 1].map(|way| (&ours["chunkings"][way], &theirs[way])) {
        for key in whats(&["all", "distinct"]) {
            assert!(theirs[&key].is_u64());
            assert_eq!(ours[&key], theirs[&key], "{key}");
        }
        for image in 0..tars.len() {
            for key in whats(&["distinct", "shared", "added"]) {
                let (ours, theirs) = (&ours["images"][image][&key], &theirs["images"][image][&key]);
                assert!(theirs.is_u64());
                assert_eq!(ours, theirs, "{key} of image {image}");
            }
        }
    }
}

/// A small Debian root of another release than the corpus, and so many versions of it.
fn small_root(dir: &Path, versions: u32) -> Vec<PathBuf> {
    let _ = Finished::of(script("trixie.sh").arg("true")).ok();
    let mut make = script("corpus/small_root.py");
    let _ = Finished::of(make.arg(dir).arg(versions.to_string())).ok();
    (0..=versions)
        .map(|version| dir.join(format!("{version}.tar")))
        .collect()
}

/// What a conversion says, and its only blob.
fn said(tar: &Path, options: &[&str], output: &Path) -> (Value, PathBuf) {
    let mut convert = lazyoci("convert");
    convert
        .args(["--json", "--compressor", "none"])
        .args(options);
    let said = Finished::of(convert.arg(tar).arg(output)).ok().json();
    let blob = said["blobs"][0]["digest"].as_str().expect("a digest");
    let blob = blob.split(':').nth(1).expect("an algorithm before it");
    assert_eq!(said["blobs"].as_array().map(Vec::len), Some(1));
    let blob = output.join("blobs").join(blob);
    (said, blob)
}

/// Compares the blob of the tar that comes last, and what was said of it, with what a script says that knows the tars
/// alone: bytes of the blob, of chunks that no other tar has, and of the chunks that others have.
fn only_unseen(tars: &[PathBuf], size: &str, said: &Value, blob: &Path) -> [u64; 3] {
    let mut count = script("corpus/unseen.py");
    let counted = Finished::of(count.arg(size).args(tars).arg(blob))
        .ok()
        .json();
    let count = |key: &str| counted[key].as_u64().expect("a number");
    for (key, what) in [
        ("stored_chunks", "unseen_chunks"),
        ("stored_bytes", "unseen_bytes"),
        ("reused_chunks", "seen_chunks"),
        ("reused_bytes", "seen_bytes"),
    ] {
        assert_eq!(said[key], count(what), "{key}");
    }
    let len = fs::metadata(blob).expect("it was written").len();
    assert_eq!(len, count("unseen_bytes") + count("bytes_behind"));
    assert_eq!(said["blobs"][0]["bytes"], len);
    let shared = |key: &str| -> u64 {
        let blobs = said["reuse"].as_array().expect("a list");
        blobs
            .iter()
            .map(|blob| blob[key].as_u64().expect("a number"))
            .sum()
    };
    assert_eq!(shared("shared_chunks"), count("seen_chunks"));
    assert_eq!(shared("shared_bytes"), count("seen_bytes"));
    assert_eq!(shared("shared_stored_bytes"), count("seen_bytes"));
    [len, count("unseen_bytes"), count("seen_bytes")]
}

/// nydus-image accepts the image, and nydusd reads every file of it.
fn reads(bootstrap: &Path, blobs: &Path, at: &Path, tar: &Path) {
    let _ = Finished::of(nydus_image("check").arg("-B").arg(bootstrap)).ok();
    let mount = Mount::nydusd(bootstrap, blobs, at);
    assert_eq!(mount.digest(), expected(tar));
}

/// A Debian root of another release stores the chunks that the first one lacks, and nothing else.
#[test]
fn another_root_stores_what_the_dictionary_of_the_first_lacks() {
    let dir = scratch();
    let second = small_root(dir.path(), 0).remove(0);
    let first = Corpus::new("debian/peer").tar();
    for to in ["rafs-v6", "rafs-v5"] {
        let at = dir.path().join(to);
        fs::create_dir(&at).expect("a new directory");
        let (blobs, lower) = (at.join("all"), at.join("first"));
        let (_, lower_blob) = said(&first, &["--to", to], &lower);
        copy(&lower.join("blobs"), &blobs);
        let dictionary = at.join("chunks.dict");
        let mut dedup = lazyoci("dedup");
        dedup.args(["--chunking", "file", "--write-dict"]);
        dedup.arg(&dictionary).arg(lower.join("image.boot"));
        let _ = Finished::of(&mut dedup).ok();
        let dictionary = dictionary.to_str().expect("a plain name");
        let upper = at.join("second");
        let (report, blob) = said(&second, &["--to", to, "--chunk-dict", dictionary], &upper);
        copy(&upper.join("blobs"), &blobs);
        let tars = [first.clone(), second.clone()];
        let [_, unseen, seen] = only_unseen(&tars, "1048576", &report, &blob);
        // Licences, tables, and some files more.
        assert!(unseen > 50 << 20 && seen > 1 << 20, "{unseen}, {seen}");
        // Of the first blob the report knows how long the chunks in it are.
        let mut count = script("corpus/unseen.py");
        let counted = Finished::of(count.arg("1048576").arg(&first).arg(&lower_blob));
        let counted = counted.ok().json();
        assert_eq!(report["reuse"][0]["data_bytes"], counted["unseen_bytes"]);
        assert_eq!(names(&blobs).len(), 2);
        reads(&upper.join("image.boot"), &blobs, &at.join("mnt"), &second);
    }
}

/// Of five versions of a Debian root `dedup` says what a script says, and a sixth one, stored against the others, takes
/// hardly more than its unseen chunks.
#[test]
fn a_sixth_version_of_a_root_against_five() {
    let dir = scratch();
    let tars = small_root(dir.path(), 5);
    same_figures(&tars[..5]);

    let blobs = dir.path().join("all");
    let to = ["--to", "rafs-v6", "--chunk-size", "65536"];
    // Each against the bootstraps of those before it, and the sixth against a dictionary file of all.
    let mut bootstraps: Vec<String> = Vec::new();
    for tar in &tars[..5] {
        let output = tar.with_extension("image");
        let known = bootstraps
            .iter()
            .flat_map(|path| ["--chunk-dict", path.as_str()]);
        let options: Vec<&str> = to.into_iter().chain(known).collect();
        let _ = said(tar, &options, &output);
        copy(&output.join("blobs"), &blobs);
        let bootstrap = output.join("image.boot");
        bootstraps.push(bootstrap.to_str().expect("a plain name").to_owned());
    }
    let dictionary = dir.path().join("five.dict");
    let mut dedup = lazyoci("dedup");
    dedup.arg("--blobs").arg(&blobs);
    dedup.args(["--chunking", "file", "--write-dict"]);
    let _ = Finished::of(dedup.arg(&dictionary).args(&bootstraps)).ok();
    let dictionary = dictionary.to_str().expect("a plain name");
    let output = dir.path().join("sixth");
    let options = [&to[..], &["--chunk-dict", dictionary]].concat();
    let (report, blob) = said(&tars[5], &options, &output);
    copy(&output.join("blobs"), &blobs);
    let [stored, unseen, _] = only_unseen(&tars, "65536", &report, &blob);
    assert!(unseen > 1 << 20, "{unseen}");
    assert!(
        stored * 100 <= unseen * 102,
        "{stored} bytes for {unseen} of unseen chunks"
    );
    let mount = dir.path().join("mnt");
    reads(&output.join("image.boot"), &blobs, &mount, &tars[5]);
}
