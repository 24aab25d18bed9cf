//! zTOCs against soci 0.4.1 of Debian trixie.

use std::fs;
use std::path::{Path, PathBuf};

use lazyoci_interop::{Finished, lazyoci, scratch, script, tool};

/// Bytes of a span: a few of them in these tars.
const SPAN: &str = "30000";

/// What soci makes of `layer`.
fn theirs(layer: &Path) -> PathBuf {
    let output = layer.with_extension("theirs");
    let mut make = script("soci/ztoc.sh");
    make.arg("make").arg(layer).arg(&output).arg(SPAN);
    let _ = Finished::of(&mut make).ok();
    output
}

/// What we make of it.
fn ours(layer: &Path) -> PathBuf {
    let output = layer.with_extension("ours");
    let mut index = lazyoci("index");
    index.args(["--format", "soci", "--span", SPAN]);
    let _ = Finished::of(index.arg(layer).arg(&output)).ok();
    output
}

/// The tree digest of `layer`, which is read by `index` if there is one.
fn digest(layer: &Path, index: Option<&Path>) -> String {
    let mut digest = lazyoci("digest");
    if let Some(index) = index {
        digest.arg("--index").arg(index);
    }
    Finished::of(digest.arg(layer)).ok().text().to_owned()
}

/// Every file of `layer` is read by soci's zTOC, and all of that is right.
fn is_read_by(layer: &Path, theirs: &Path) {
    assert_eq!(digest(layer, Some(theirs)), digest(layer, None));
    let mut verify = lazyoci("verify");
    let _ = Finished::of(verify.arg("--index").arg(theirs).arg(layer)).ok();
}

/// Tars with names that are not UTF-8, and with everything that is, as they are and as one gzip member.
#[test]
fn bytes_are_those_of_soci() {
    let dir = scratch();
    for variant in ["utf8", "bytes"] {
        let tar = dir.path().join(format!("{variant}-tar"));
        let mut make = script("estargz/odd_layer.py");
        let _ = Finished::of(make.arg(&tar).arg(variant)).ok();
        let gzip = dir.path().join(format!("{variant}-gzip"));
        let mut make = script("soci/odd_layer.py");
        let _ = Finished::of(make.arg(&tar).arg(&gzip)).ok();
        for layer in [tar, gzip] {
            let theirs = theirs(&layer);
            let same = fs::read(&theirs).unwrap() == fs::read(ours(&layer)).unwrap();
            assert!(same, "{}", layer.display());
            is_read_by(&layer, &theirs);
        }
    }
}

/// soci 0.4.1 has checkpoints in the first member only, later versions and we in all; its last span goes on to the end.
#[test]
fn members_are_read_by_the_ztoc_of_soci() {
    let dir = scratch();
    let mut make = script("estargz/odd_layer.py");
    let _ = Finished::of(make.arg(dir.path().join("tar")).arg("utf8")).ok();
    let members = "(head -c 40000 tar | gzip -n; tail -c +40001 tar | gzip -n) >members";
    tool("sh", dir.path(), &["-c", members]);
    let layer = dir.path().join("members");
    is_read_by(&layer, &theirs(&layer));
    is_read_by(&layer, &ours(&layer));
}
