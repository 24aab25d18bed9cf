//! eStargz that we write, read by GNU tar, ctr-remote and containerd; and theirs by us.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lazyoci_interop::corpus::walk;
use lazyoci_interop::{Corpus, Finished, lazyoci, scratch, script};
use serde_json::Value;

/// One containerd serves all tests, one after the other.
static CONTAINERD: Mutex<()> = Mutex::new(());

fn containerd() -> MutexGuard<'static, ()> {
    CONTAINERD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What `convert --json` says of a layer that it wrote to `output`.
fn convert(source: &Path, output: &Path, options: &[&str]) -> Value {
    let mut convert = lazyoci("convert");
    convert.args(["--to", "estargz", "--json"]).args(options);
    Finished::of(convert.args([source, output])).ok().json()
}

fn digest(image: &Path) -> String {
    Finished::of(lazyoci("digest").arg(image))
        .ok()
        .text()
        .to_owned()
}

fn verify(layer: &Path, options: &[&str]) {
    let _ = Finished::of(lazyoci("verify").args(options).arg(layer)).ok();
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("{pointer}: {value}"))
}

/// Unpacks a layer with GNU tar into the new directory `to`; what eStargz adds aside.
fn gnu_tar(layer: &Path, to: &Path, options: &[&str]) {
    std::fs::create_dir(to).expect("a new directory");
    let mut tar = Command::new("tar");
    tar.args(["-p", "--xattrs", "--xattrs-include=*", "--numeric-owner"])
        .args(options)
        .args(["--anchored", "--exclude=stargz.index.json"])
        .args([
            "--exclude=.prefetch.landmark",
            "--exclude=.no.prefetch.landmark",
        ])
        .arg("-C")
        .arg(to)
        .arg("-xf")
        .arg(layer);
    let _ = Finished::of(&mut tar).ok();
}

/// The digest of the tree of `corpus` without what `convert` reported as lost.
fn without_losses(corpus: &Corpus, report: &Value, to: &Path) -> String {
    let remove = r#"
import codecs, json, os, shutil, sys
root = os.fsencode(sys.argv[1])
unescape = lambda text: codecs.escape_decode(text.encode())[0]
for loss in json.loads(sys.argv[2]):
    path = root + unescape(loss["path"])
    above = os.stat(os.path.dirname(path))
    if loss["what"].startswith("the extended attribute "):
        os.removexattr(path, unescape(loss["what"].split('"')[1]), follow_symlinks=False)
    elif os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)
    os.utime(os.path.dirname(path), ns=(above.st_atime_ns, above.st_mtime_ns))
"#;
    // The corpora have other names between a directory and what lies in it.
    gnu_tar(&corpus.tar(), to, &["--delay-directory-restore"]);
    let losses = report["losses"].to_string();
    let mut python = Command::new("python3");
    python.args(["-c", remove]).arg(to).arg(losses);
    let _ = Finished::of(&mut python).ok();
    walk(to, &[])
}

/// An OCI layout with one layer.
fn layout(dir: &Path, layer: &Path) -> PathBuf {
    let out = dir.join("layout.tar");
    let mut make = script("estargz/layout.py");
    let _ = Finished::of(make.arg("make").args([&out, layer])).ok();
    out
}

#[test]
fn gnu_tar_unpacks_the_source_tree() {
    for corpus in Corpus::roots("peer") {
        let dir = scratch();
        let layer = dir.path().join("layer.tar.gz");
        let report = convert(&corpus.tar(), &layer, &[]);
        verify(&layer, &["--expect", text(&report, "/layer/toc_digest")]);
        let unpacked = dir.path().join("unpacked");
        gnu_tar(&layer, &unpacked, &[]);
        assert_eq!(walk(&unpacked, &[]), corpus.digest(), "{}", corpus.name);
        assert_eq!(digest(&layer), corpus.digest(), "{}", corpus.name);
    }
}

#[test]
fn what_a_toc_cannot_carry_is_refused_or_lost() {
    for corpus in Corpus::roots("full") {
        let dir = scratch();
        let layer = dir.path().join("layer.tar.gz");
        let mut strict = lazyoci("convert");
        strict
            .args(["--to", "estargz"])
            .args([&corpus.tar(), &layer]);
        let refused = Finished::of(&mut strict).exits(1);
        let because = "/oddities/names/directory\\n\\xff: a name that is not UTF-8";
        assert!(refused.stderr.contains(because), "{}", refused.stderr);
        assert!(!layer.exists());

        let report = convert(&corpus.tar(), &layer, &["--lossy"]);
        verify(&layer, &[]);
        let expected = without_losses(&corpus, &report, &dir.path().join("source"));
        assert_eq!(digest(&layer), expected, "{}", corpus.name);
        let unpacked = dir.path().join("unpacked");
        gnu_tar(&layer, &unpacked, &[]);
        assert_eq!(walk(&unpacked, &[]), expected, "{}", corpus.name);
    }
}

#[test]
fn ctr_remote_finds_our_toc_and_a_container_runs() {
    let corpus = Corpus::new("debian/peer");
    let dir = scratch();
    let list = dir.path().join("prefetch");
    std::fs::write(&list, "usr/bin/git\n/bin/sh\n").expect("a new file");
    let list = list.to_string_lossy();
    for options in [&[][..], &["--prefetch", &*list]] {
        let layer = dir.path().join("layer.tar.gz");
        let report = convert(&corpus.tar(), &layer, options);
        let _guard = containerd();
        let mut toc = script("estargz/ctr.sh");
        let found = Finished::of(toc.arg("get-toc-digest").arg(&layer)).ok();
        assert_eq!(found.text(), text(&report, "/layer/toc_digest"));
        let mut run = script("estargz/ctr.sh");
        run.arg("run").arg(layout(dir.path(), &layer));
        run.args(["/usr/bin/git", "--version"]);
        let said = Finished::of(&mut run).ok();
        assert!(said.text().contains("git version"), "{}", said.text());
        std::fs::remove_file(&layer).expect("it was just written");
    }
}

/// Of what ctr-remote loses (fractions of seconds are rounded, names that are not UTF-8 replaced)
/// the `peer` corpora hold nothing.
#[test]
fn what_ctr_remote_made_has_the_digest_of_its_source() {
    for corpus in Corpus::roots("peer") {
        let dir = scratch();
        let theirs = dir.path().join("theirs.tar");
        {
            let _guard = containerd();
            let mut make = script("estargz/ctr.sh");
            make.arg("convert")
                .args([&layout(dir.path(), &corpus.tar()), &theirs]);
            let _ = Finished::of(&mut make).ok();
        }
        let mut unmake = script("estargz/layout.py");
        let _ = Finished::of(unmake.arg("unmake").args([&theirs, dir.path()])).ok();
        let layer = dir.path().join("0");
        assert_eq!(digest(&layer), corpus.digest(), "{}", corpus.name);
        let layers = std::fs::read_to_string(dir.path().join("layers.json")).expect("a list");
        let layers: Value = serde_json::from_str(&layers).expect("JSON");
        let annotation = "/0/annotations/containerd.io~1snapshot~1stargz~1toc.digest";
        verify(&layer, &["--expect", text(&layers, annotation)]);
    }
}

#[test]
fn from_rafs_and_back_to_a_layer() {
    for corpus in Corpus::roots("peer") {
        let dir = scratch();
        let to = |format: &str, source: &Path, name: &str| {
            let output = dir.path().join(name);
            let mut convert = lazyoci("convert");
            convert.args(["--to", format]).args([source, &output]);
            let _ = Finished::of(&mut convert).ok();
            output
        };
        let rafs = to("rafs-v6", &corpus.tar(), "first");
        let layer = to("estargz", &rafs.join("image.boot"), "layer.tar.gz");
        let rafs = to("rafs-v6", &layer, "second");
        let tar = to("tar", &rafs.join("image.boot"), "back.tar");
        for form in [layer, rafs.join("image.boot"), tar] {
            assert_eq!(digest(&form), corpus.digest(), "{}", form.display());
        }
    }
}
