//! Layers that we write, read lazily by containerd with the snapshotter that stargz-snapshotter's own library is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lazyoci_interop::{
    Corpus, Finished, Registry, Request, cache_dir, interop_dir, lazyoci, scratch, script,
};

/// Puts an image of one layer of that kind, made of `layer`, into the registry; returns the digest of its layer.
fn publish(kind: &str, layer: &Path, at: &Path, image: &str) -> String {
    let archive = at.join(format!("{kind}.tar"));
    let options = match kind {
        // The snapshotter looks for the TOC in the image with `-esgztoc` behind its tag.
        "external" => &["--to", "estargz-external-toc"][..],
        "zstd" => &["--to", "zstd-chunked", "--dialect", "a"],
        _ => &["--to", "estargz"],
    };
    let mut layout = Command::new(interop_dir().join("estargz/layout.py"));
    let _ = Finished::of(layout.arg("make").arg(&archive).arg(layer)).ok();
    let mut convert = lazyoci("convert");
    convert
        .args(["--plain-http", "--force", "--json"])
        .args(options);
    convert.arg(format!("oci-archive:{}", archive.display()));
    let made = Finished::of(convert.arg(format!("docker://{image}")))
        .ok()
        .json();
    let digest = made["image_layers"][0]["digest"].as_str();
    digest.expect("a digest").to_owned()
}

/// What a command in a container of `image` prints.
fn run(image: &str, command: &[&str]) -> String {
    let mut run = script("runtimes/stargz.sh");
    let run = run.arg("run").arg(image).args(command);
    Finished::of(run).ok().text().to_owned()
}

/// The kinds of layers that the library reads: with the TOC in the layer, and elsewhere, and in zstd frames.
const KINDS: [&str; 3] = ["estargz", "external", "zstd"];

#[test]
fn a_debian_root_serves_little_until_perl_has_run() {
    let registry = Registry::start();
    let corpus = Corpus::new("debian/peer");
    let directory = scratch();
    let layer = corpus.with("tar.gz");
    for kind in KINDS {
        let repository = format!("lazy/{kind}-{}", std::process::id());
        let image = format!("{}:v1", registry.repository(&repository));
        let digest = publish(kind, &layer, directory.path(), &image);
        let before = registry.requests(&repository).len();
        assert_eq!(run(&image, &["perl", "-e", "print 42"]), "42");
        let requests = registry.requests(&repository).split_off(before);
        let served = requests.iter().filter(|request| request.is_of_blob());
        let bytes: u64 = served.clone().map(|request| request.bytes).sum();
        println!(
            "{kind}: {bytes} bytes served in {} answers",
            served.clone().count()
        );
        assert!(bytes <= 5_000_000, "{kind}: {bytes} bytes");
        let of_layer = served.filter(|request| request.path.ends_with(&digest));
        let whole: Vec<&Request> = of_layer.filter(|request| request.status != 206).collect();
        assert!(whole.is_empty(), "{whole:?}");
    }
}

/// Where the registry keeps an object.
fn stored(digest: &str) -> PathBuf {
    let hex = digest.trim_start_matches("sha256:");
    let blobs = cache_dir().join("registry/data/docker/registry/v2/blobs/sha256");
    blobs.join(&hex[..2]).join(hex).join("data")
}

#[test]
fn a_flipped_byte_is_an_error_of_its_file_alone() {
    let registry = Registry::start();
    let directory = scratch();
    let at = directory.path();
    let _ = Finished::of(script("corpus/runnable.py").arg(at)).ok();
    let base = at.join("base.tar");
    // The last one comes before the end of the layer, which has a few kilobytes of TOC at most.
    let files = [("good", 100_000), ("other", 100_000), ("hit", 2 << 20)];
    for (name, len) in files {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ len;
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        let bytes: Vec<u8> = (0..len).map(next).collect();
        fs::write(at.join(name), &bytes).expect("a file");
    }
    let mut append = Command::new("tar");
    append.arg("-C").arg(at).arg("-rf").arg(&base);
    let _ = Finished::of(append.args(files.map(|(name, _)| name))).ok();
    for kind in KINDS {
        let repository = format!("lazy/flip-{kind}-{}", std::process::id());
        let image = format!("{}:v1", registry.repository(&repository));
        let object = stored(&publish(kind, &base, at, &image));
        let mut blob = fs::read(&object).expect("the registry keeps it");
        let hit = blob.len() - 500_000;
        blob[hit] ^= 1;
        fs::write(&object, blob).expect("the registry keeps it");
        let script =
            "for file in good other hit good; do cat /$file >/dev/null && echo $file; done 2>&1";
        let said = run(&image, &["/bin/busybox", "sh", "-c", script]);
        let lines: Vec<&str> = said.lines().collect();
        let ["good", "other", error, "good"] = lines[..] else {
            panic!("{kind}: {said}");
        };
        assert!(error.contains("Input/output error"), "{kind}: {said}");
    }
}
