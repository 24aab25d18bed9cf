//! zTOCs against soci 0.4.1 of Debian trixie.

use std::fs;
use std::path::{Path, PathBuf};

use lazyoci::bytes::Bytes;
use lazyoci::soci_ztoc::{Checkpoint, Zinfo, Ztoc};
use lazyoci_interop::{Corpus, Finished, lazyoci, scratch, script, tool};

/// Bytes of a span: a few of them in small tars.
const SPAN: &str = "30000";

/// What soci makes of `layer`, beside `at`, in spans of this length.
fn theirs(layer: &Path, at: &Path, span: &str) -> PathBuf {
    let output = at.with_extension("theirs");
    let mut make = script("soci/ztoc.sh");
    make.arg("make").arg(layer).arg(&output).arg(span);
    let _ = Finished::of(&mut make).ok();
    output
}

/// What we make of it.
fn ours(layer: &Path, at: &Path, span: &str) -> PathBuf {
    let output = at.with_extension("ours");
    let mut index = lazyoci("index");
    index.args(["--format", "soci", "--span", span]);
    let _ = Finished::of(index.arg(layer).arg(&output)).ok();
    output
}

/// Both are the same bytes.
fn are_the_same(layer: &Path, at: &Path, span: &str) -> PathBuf {
    let (theirs, ours) = (theirs(layer, at, span), ours(layer, at, span));
    let same = fs::read(&theirs).unwrap() == fs::read(ours).unwrap();
    assert!(same, "{} {span}", layer.display());
    theirs
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
            is_read_by(&layer, &are_the_same(&layer, &layer, SPAN));
        }
    }
}

/// A real layer, in spans of soci's length and in short ones.
#[test]
fn bytes_of_a_root_are_those_of_soci() {
    let dir = scratch();
    let corpus = Corpus::new("packages/peer");
    let layer = corpus.with("tar.gz");
    for span in ["4194304", "65536"] {
        let theirs = are_the_same(&layer, &dir.path().join(span), span);
        if span == "4194304" {
            assert_eq!(digest(&layer, Some(&theirs)), corpus.digest());
        }
    }
}

fn decoded(ztoc: &Path) -> Ztoc {
    let bytes = Bytes::from(fs::read(ztoc).expect("it was written"));
    Ztoc::decode(&bytes, &Default::default()).expect("a zTOC")
}

fn checkpoints(ztoc: &Ztoc) -> Vec<Checkpoint> {
    let Zinfo::Gzip(zinfo) = &ztoc.zinfo else {
        panic!("a gzip layer");
    };
    zinfo.checkpoints().collect()
}

/// Writes the odd tar, and layers of it: `members` has 60,000 bytes of it in a first one and the rest in a second one, both
/// flushed every 9,000 bytes; `empty-first` and `empty-last` have an empty member before and behind all of it; `header` has
/// every field that a gzip header can have, one longer than a span; `empty-block` begins with an empty stored block.
fn gzip_layers(dir: &Path) {
    let mut make = script("estargz/odd_layer.py");
    let _ = Finished::of(make.arg(dir.join("tar")).arg("utf8")).ok();
    let cut = "head -c 60000 tar >head; tail -c +60001 tar >tail";
    tool("sh", dir, &["-c", cut]);
    for part in ["head", "tail"] {
        let mut make = script("soci/odd_layer.py");
        let _ = Finished::of(
            make.arg(dir.join(part))
                .arg(dir.join(part).with_extension("gz")),
        )
        .ok();
    }
    let layers = "cat head.gz tail.gz >members
        (gzip -n </dev/null; gzip -n <tar) >empty-first
        (gzip -n <tar; gzip -n </dev/null) >empty-last";
    tool("sh", dir, &["-c", layers]);
    tool("python3", dir, &["-c", HEADERS]);
}

const HEADERS: &str = r#"
import struct, zlib
tar = open("tar", "rb").read()
deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
data = deflate.compress(tar) + deflate.flush()
end = struct.pack("<LL", zlib.crc32(tar), len(tar))
extra = bytes(range(256)) * 250
fields = struct.pack("<H", len(extra)) + extra + b"name\0a comment\0"
open("header", "wb").write(b"\x1f\x8b\x08\x1c" + bytes(6) + fields + data + end)
open("empty-block", "wb").write(b"\x1f\x8b\x08\0" + bytes(6) + b"\0\0\0\xff\xff" + data + end)
"#;

/// soci 0.4.1 has checkpoints in the first member only, later versions and we in all; its last span goes on to the end. All
/// else is the same.
#[test]
fn of_several_members_ours_has_more_checkpoints() {
    let dir = scratch();
    gzip_layers(dir.path());
    for (name, count) in [("members", [2, 3]), ("empty-last", [1, 2])] {
        let layer = dir.path().join(name);
        let (theirs, ours) = (theirs(&layer, &layer, SPAN), ours(&layer, &layer, SPAN));
        is_read_by(&layer, &theirs);
        is_read_by(&layer, &ours);
        let (mut theirs, ours) = (decoded(&theirs), decoded(&ours));
        let points = [checkpoints(&theirs), checkpoints(&ours)];
        assert_eq!(points.each_ref().map(Vec::len), count, "{name}");
        assert!(points[1].starts_with(&points[0]), "{name}");
        let digests = [&theirs.digests, &ours.digests];
        assert_eq!(digests.map(Vec::len), count, "{name}");
        let same = count[0] - 1;
        assert_eq!(digests[0][..same], digests[1][..same], "{name}");
        assert_ne!(digests[0][same], digests[1][same], "{name}");
        theirs.zinfo.clone_from(&ours.zinfo);
        theirs.digests.clone_from(&ours.digests);
        assert!(theirs == ours, "{name}: another field");
    }
}

/// At the start of the tar soci has a checkpoint for every boundary of blocks, and rejects them when it reads. So do we; ours
/// has one.
#[test]
fn headers_and_what_is_empty() {
    let dir = scratch();
    gzip_layers(dir.path());
    for name in ["header", "empty-first"] {
        let layer = dir.path().join(name);
        is_read_by(&layer, &are_the_same(&layer, &layer, SPAN));
    }
    let layer = dir.path().join("empty-block");
    let theirs = theirs(&layer, &layer, SPAN);
    let mut digest = lazyoci("digest");
    let refused = Finished::of(digest.arg("--index").arg(&theirs).arg(&layer)).exits(1);
    let why =
        "cannot use the zTOC: checkpoint 1 of the zTOC: it does not come after the one before";
    assert_eq!(
        refused.stderr.trim_end(),
        format!("error: {}: {why}", theirs.display())
    );
    let ours = ours(&layer, &layer, SPAN);
    is_read_by(&layer, &ours);
    assert_eq!(checkpoints(&decoded(&ours)).len(), 1);
}
