//! Layers that ctr-remote 0.14 and skopeo 1.18 make of roots, read by us; and layers that we write, converted by ctr-remote.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lazyoci_interop::corpus::walk;
use lazyoci_interop::run::sha256;
use lazyoci_interop::{Corpus, Finished, interop_dir, lazyoci, scratch, script, tool};
use serde_json::Value;

const TOC_DIGEST: &str = "containerd.io/snapshot/stargz/toc.digest";

fn layout_py(arguments: &[&OsStr]) {
    let mut command = Command::new(interop_dir().join("estargz/layout.py"));
    let _ = Finished::of(command.args(arguments)).ok();
}

/// A layout with an image of that layer.
fn layout(layer: &Path, at: &Path) -> PathBuf {
    let layout = at.join("source.tar");
    layout_py(&["make".as_ref(), layout.as_ref(), layer.as_ref()]);
    layout
}

/// What ctr-remote makes of a layout with an image: 0.12, or 0.14 of trixie.
fn by_ctr_remote(trixie: bool, layout: &Path, made: &Path, options: &[&str]) {
    let mut convert = script("estargz/ctr.sh");
    if trixie {
        convert.env("LAZYOCI_TRIXIE", "1");
    }
    convert.env("GOMAXPROCS", "2").arg("convert");
    let _ = Finished::of(convert.arg(layout).arg(made).args(options)).ok();
}

/// The only layer of a layout, and its annotations.
struct Layer {
    blob: PathBuf,
    annotations: Value,
}

impl Layer {
    /// Takes it out of `layout`, into the new directory `to`.
    fn of(layout: &Path, to: &Path) -> Self {
        layout_py(&["unmake".as_ref(), layout.as_ref(), to.as_ref()]);
        let layers = fs::read(to.join("layers.json")).expect("a list");
        let mut layers: Vec<Value> = serde_json::from_slice(&layers).expect("JSON");
        assert_eq!(layers.len(), 1, "{layers:?}");
        let annotations = layers.remove(0)["annotations"].take();
        fs::write(to.join("annotations"), annotations.to_string()).expect("a new file");
        Self {
            blob: to.join("0"),
            annotations,
        }
    }

    fn annotation(&self, name: &str) -> &str {
        let found = self.annotations[name].as_str();
        found.unwrap_or_else(|| panic!("{name}: {}", self.annotations))
    }

    /// It has that tree, and is sound, given its annotations and `more` to verify by.
    fn is(&self, expected: &str, external_toc: Option<&Path>, more: &[&str]) {
        let annotations = self.blob.with_file_name("annotations");
        let toc = external_toc.map(|toc| [OsStr::new("--external-toc"), toc.as_os_str()]);
        let toc = toc.iter().flatten();
        let mut digest = lazyoci("digest");
        let found = Finished::of(digest.args(toc.clone()).arg(&self.blob)).ok();
        assert_eq!(found.text(), expected, "{}", self.annotations);
        let mut verify = lazyoci("verify");
        verify.arg("--annotations").arg(annotations);
        let _ = Finished::of(verify.args(toc).args(more).arg(&self.blob)).ok();
    }
}

/// Some hundred files of a Debian root, with links of both kinds, as a tar; and the digest of their tree.
fn part_of_a_root(at: &Path) -> (PathBuf, String) {
    let (tar, tree) = (at.join("part.tar"), at.join("part"));
    let root = Corpus::new("debian/peer");
    let mut pack = Command::new("tar");
    pack.args(["--format=posix", "--sort=name", "--numeric-owner"])
        .arg("-C")
        .arg(root.dir())
        .arg("-cf")
        .arg(&tar)
        .args(["--no-recursion", "./", "./usr", "./usr/lib"])
        .args(["--recursion", "./etc", "./usr/sbin", "./usr/lib/git-core"]);
    let _ = Finished::of(&mut pack).ok();
    fs::create_dir(&tree).expect("a new directory");
    let mut unpack = Command::new("tar");
    // Other names come between a directory and what lies in it.
    unpack.args(["-p", "--numeric-owner", "--delay-directory-restore", "-C"]);
    let _ = Finished::of(unpack.arg(&tree).arg("-xf").arg(&tar)).ok();
    let digest = walk(&tree, &[]);
    (tar, digest)
}

#[test]
fn zstd_chunked_of_ctr_remote_has_the_digest_of_its_root() {
    let corpus = Corpus::new("packages/peer");
    let dir = scratch();
    let at = dir.path();
    let made = at.join("made.tar");
    let options = ["--zstdchunked", "--zstdchunked-compression-level", "1"];
    by_ctr_remote(true, &layout(&corpus.tar(), at), &made, &options);
    let layer = Layer::of(&made, &at.join("layer"));
    let toc = layer.annotation(TOC_DIGEST);
    layer.is(&corpus.digest(), None, &["--expect", toc]);
}

#[test]
fn external_tocs_of_ctr_remote_have_the_digest_of_their_root() {
    let dir = scratch();
    let at = dir.path();
    let (tar, expected) = part_of_a_root(at);
    let made = at.join("made.tar");
    let options = ["--estargz-external-toc"];
    by_ctr_remote(true, &layout(&tar, at), &made, &options);
    let layer = Layer::of(&made, &at.join("layer"));
    let toc = Layer::of(&at.join("made.tar.toc"), &at.join("toc"));
    layer.is(&expected, Some(&toc.blob), &[]);
}

/// Its tar is that of the source.
#[test]
fn zstd_chunked_of_skopeo_has_the_digest_of_its_root() {
    let corpus = Corpus::new("packages/peer");
    let dir = scratch();
    let at = dir.path();
    let made = at.join("made.tar");
    let mut copy = script("trixie.sh");
    copy.env("TZ", "UTC")
        .args(["skopeo", "--insecure-policy", "--tmpdir"])
        .arg(at)
        .args(["copy", "--quiet", "--dest-compress-level", "1"])
        .args(["--dest-compress-format", "zstd:chunked"])
        .arg(format!(
            "oci-archive:{}",
            layout(&corpus.tar(), at).display()
        ))
        .arg(format!("oci-archive:{}:made", made.display()));
    let _ = Finished::of(&mut copy).ok();
    let layer = Layer::of(&made, &at.join("layer"));
    let checksum = "io.github.containers.zstd-chunked.manifest-checksum";
    assert!(layer.annotation(checksum).starts_with("sha256:"));
    let diff_id = format!("sha256:{}", sha256(&corpus.tar()));
    layer.is(&corpus.digest(), None, &["--diff-id", &diff_id]);
}

/// Each version converts each kind of our layers; what it makes has the tree of the source. 0.14 finds their TOCs.
#[test]
fn ctr_remote_converts_ours() {
    let dir = scratch();
    let at = dir.path();
    let (tar, expected) = part_of_a_root(at);
    let source = layout(&tar, at);
    for (kind, options, theirs) in [
        ("inline", &["--to", "estargz"][..], &["--zstdchunked"][..]),
        (
            "zstd",
            &["--to", "zstd-chunked", "--dialect", "a"],
            &["--estargz-compression-level", "1"],
        ),
        (
            "external",
            &["--to", "estargz-external-toc"],
            &["--zstdchunked"],
        ),
    ] {
        let (both, image) = (format!("{kind}-both.tar"), format!("{kind}.tar"));
        let mut convert = lazyoci("convert");
        convert.current_dir(at).args(options);
        convert.arg(format!("oci-archive:{}", source.display()));
        let _ = Finished::of(convert.arg(format!("oci-archive:{both}:v1"))).ok();
        // Without the image of the TOCs.
        let from = format!("oci-archive:{both}:v1");
        let to = format!("oci-archive:{image}");
        let _ = tool("skopeo", at, &["copy", "--quiet", &from, &to]);
        let ours = Layer::of(&at.join(&image), &at.join(kind));
        if kind != "external" {
            let mut find = script("estargz/ctr.sh");
            find.env("LAZYOCI_TRIXIE", "1");
            find.arg("get-toc-digest").arg(&ours.blob);
            find.args((kind == "zstd").then_some("--zstdchunked"));
            let found = Finished::of(&mut find).ok();
            assert_eq!(found.text(), ours.annotation(TOC_DIGEST), "{kind}");
        }
        for (trixie, theirs) in [(true, theirs), (false, &[])] {
            let name = format!("{kind}-{trixie}");
            let made = at.join(format!("{name}.tar"));
            by_ctr_remote(trixie, &at.join(&image), &made, theirs);
            let layer = Layer::of(&made, &at.join(&name));
            // 0.12 leaves positions of a zstd:chunked layer at its eStargz.
            let toc = layer.annotation(TOC_DIGEST);
            let mut digest = lazyoci("digest");
            let found = Finished::of(digest.arg(&layer.blob)).ok();
            assert_eq!(found.text(), expected, "{name}");
            let mut verify = lazyoci("verify");
            let _ = Finished::of(verify.args(["--expect", toc]).arg(&layer.blob)).ok();
        }
    }
}
