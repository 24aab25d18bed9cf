//! eStargz that we write, read by GNU tar, ctr-remote and containerd; and theirs by us.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lazyoci::blob_io::FileOutput;
use lazyoci::convert::{EstargzOptions, to_estargz};
use lazyoci::frame_codec::Compression;
use lazyoci::read::{OpenOptions, open};
use lazyoci_interop::corpus::walk;
use lazyoci_interop::{Corpus, Finished, interop_dir, lazyoci, scratch, script};
use serde_json::{Value, json};

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

/// What a TOC cannot carry of a `full` corpus: paths and reasons, all of them in `oddities/`.
fn losses() -> Vec<(String, String)> {
    let name = "name is not UTF-8";
    [
        // A directory, with the file in it.
        (r"names/directory\n\xff", name),
        (r"names/not-utf8-\xff\xfe\x80", name),
        (
            "names/odd-target",
            r#"link target "target\n\xff" is empty, contains NUL or is not UTF-8"#,
        ),
        (&format!("names/{}", r"\xf0".repeat(255)), name),
        (&format!(r"sparse/{}\n\xff", "s".repeat(240)), name),
        (
            "xattrs/foreign-name",
            r#"extended attribute "user.\xff\xfe-name": its name is not UTF-8 or not portable"#,
        ),
    ]
    .map(|(path, what)| (format!("/oddities/{path}"), what.to_owned()))
    .into()
}

fn reported(report: &Value) -> Vec<(String, String)> {
    let list = report["losses"].as_array().expect("a list");
    list.iter()
        .map(|loss| (text(loss, "/path").into(), text(loss, "/what").into()))
        .collect()
}

/// The digest of the tree of `layer`, unpacked by GNU tar into the new directory `to` and changed by
/// `losses.py`.
fn digest_after(lose: &[&OsStr], layer: &Path, to: &Path) -> String {
    // The corpora have other names between a directory and what lies in it.
    gnu_tar(layer, to, &["--delay-directory-restore"]);
    let mut losses = script("estargz/losses.py");
    losses.arg(lose[0]).arg(to).args(&lose[1..]);
    let _ = Finished::of(&mut losses).ok();
    let found = walk(to, &[]);
    std::fs::remove_dir_all(to).expect("it was just unpacked");
    found
}

/// The digest of a `full` corpus without [`losses`]. Several tests need it: made once.
fn digest_after_losses(corpus: &Corpus) -> String {
    static KNOWN: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let entry = known.entry(corpus.name.clone());
    let made = entry.or_insert_with(|| {
        let dir = scratch();
        let list: Vec<_> = (losses().into_iter())
            .map(|(path, what)| json!({ "path": path, "what": what }))
            .collect();
        let list = Value::from(list).to_string();
        digest_after(
            &["reported".as_ref(), list.as_ref()],
            &corpus.tar(),
            &dir.path().join("source"),
        )
    });
    made.clone()
}

/// An OCI layout with one layer.
fn layout(dir: &Path, layer: &Path) -> PathBuf {
    let out = dir.join("layout.tar");
    let mut make = script("estargz/layout.py");
    let _ = Finished::of(make.arg("make").args([&out, layer])).ok();
    out
}

/// ctr-remote, once it has the layer in containerd's store, finds the TOC that we say it has.
fn ctr_remote_finds_the_toc(layer: &Path, toc_digest: &str) {
    let _guard = containerd();
    let mut toc = script("estargz/ctr.sh");
    let found = Finished::of(toc.arg("get-toc-digest").arg(layer)).ok();
    assert_eq!(found.text(), toc_digest, "{}", layer.display());
}

/// containerd imports a layout with the layer, unpacks it and runs a container of it, which starts
/// git and finds in `directory` all that is in `expected`.
fn a_container_runs(layer: &Path, directory: &str, expected: &Path) {
    let walker = std::fs::read_to_string(interop_dir().join("walker.py")).expect("it is there");
    let dir = scratch();
    let layout = layout(dir.path(), layer);
    let _guard = containerd();
    let mut run = script("estargz/ctr.sh");
    run.arg("run").arg(layout).args(["/bin/sh", "-c"]);
    run.arg(r#"git --version && exec python3 -B -c "$0" "$@""#);
    let options = ["bytes", "directory", "of-a-fifo", "of-a-link", "one"];
    let options = options.map(|name| format!("--ignore-xattr=trusted.{name}"));
    run.args([&walker, "--dump"]).args(&options);
    let said = Finished::of(run.arg(directory)).ok();
    let (git, found) = said.text().split_once('\n').unwrap_or_default();
    assert!(git.starts_with("git version "), "{git}");
    let mut source = script("walker.py");
    source.arg("--dump").args(&options);
    let source = Finished::of(source.arg(expected)).ok();
    let (found, expected) = (dump(found), dump(source.text()));
    let differ = found
        .iter()
        .zip(&expected)
        .find(|(found, expected)| found != expected);
    assert_eq!(differ, None, "{directory}");
    assert_eq!(found.len(), expected.len(), "{directory}");
}

/// The lines of a dump of the walker without what containerd does not keep: README.md lists it.
fn dump(text: &str) -> Vec<String> {
    let paths = text.lines().filter(|line| line.starts_with('/'));
    paths
        .map(|line| {
            let mut fields: Vec<_> = line.split('\t').collect();
            if fields[1] == "d" || fields[4].starts_with('-') {
                fields[4] = "0";
            }
            if fields[1] == "l" {
                fields[6] = "-";
            }
            fields.join("\t")
        })
        .collect()
}

#[test]
fn gnu_tar_unpacks_the_source_tree() {
    for corpus in Corpus::roots("peer") {
        let dir = scratch();
        let layer = dir.path().join("layer.tar.gz");
        let report = convert(&corpus.tar(), &layer, &[]);
        let toc_digest = text(&report, "/toc_digest");
        verify(&layer, &["--expect", toc_digest]);
        ctr_remote_finds_the_toc(&layer, toc_digest);
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
        let refused = Finished::of(&mut strict).exits(3);
        let because = "/oddities/names/directory\\n\\xff: name is not UTF-8";
        assert!(refused.stderr.contains(because), "{}", refused.stderr);
        assert!(!layer.exists());

        let report = convert(&corpus.tar(), &layer, &["--lossy"]);
        assert_eq!(reported(&report), losses(), "{}", corpus.name);
        let toc_digest = text(&report, "/toc_digest");
        verify(&layer, &["--expect", toc_digest]);
        ctr_remote_finds_the_toc(&layer, toc_digest);
        let expected = digest_after_losses(&corpus);
        assert_eq!(digest(&layer), expected, "{}", corpus.name);
        let unpacked = dir.path().join("unpacked");
        gnu_tar(&layer, &unpacked, &[]);
        assert_eq!(walk(&unpacked, &[]), expected, "{}", corpus.name);
        // The other root has no shell.
        if corpus.name == "debian/full" {
            a_container_runs(&layer, "/oddities", &unpacked.join("oddities"));
        }
    }
}

/// The years 1 to 9999 are what a TOC can say, but for their first second, which in Go is no time. No file system of the corpora goes as far.
#[test]
fn a_time_that_a_toc_cannot_carry_becomes_the_nearest() {
    let dir = scratch();
    let layer_of = |seconds: i64| {
        let layer = dir.path().join(format!("{seconds}.tar"));
        let make = r#"
import io, sys, tarfile
with tarfile.open(sys.argv[1], "w", format=tarfile.PAX_FORMAT) as tar:
    info = tarfile.TarInfo("file")
    info.size, info.mtime = 4, int(sys.argv[2])
    tar.addfile(info, io.BytesIO(b"kept"))
"#;
        let mut python = Command::new("python3");
        python.args(["-c", make]).arg(&layer);
        let _ = Finished::of(python.arg(seconds.to_string())).ok();
        layer
    };
    for (seconds, nearest) in [(1_i64 << 40, 253_402_300_799), (-1 << 40, -62_135_596_799)] {
        let layer = dir.path().join("layer.tar.gz");
        let report = convert(&layer_of(seconds), &layer, &["--lossy"]);
        let what = format!("time {seconds} seconds from 1970 is outside the years 1 to 9999");
        assert_eq!(reported(&report), [("/file".into(), what)]);
        assert_eq!(digest(&layer), digest(&layer_of(nearest)));
        verify(&layer, &[]);
        ctr_remote_finds_the_toc(&layer, text(&report, "/toc_digest"));
        std::fs::remove_file(&layer).expect("it was just written");
    }
}

#[test]
fn a_layer_with_prefetched_files_runs() {
    let corpus = Corpus::new("debian/peer");
    let dir = scratch();
    let list = dir.path().join("prefetch");
    std::fs::write(&list, "usr/bin/git\n/bin/sh\n").expect("a new file");
    let layer = dir.path().join("layer.tar.gz");
    let options = ["--prefetch", &list.to_string_lossy()];
    let report = convert(&corpus.tar(), &layer, &options);
    ctr_remote_finds_the_toc(&layer, text(&report, "/toc_digest"));
    a_container_runs(&layer, "/usr", &corpus.dir().join("usr"));
}

/// The examples compress with libdeflate; this is the encoder that the library has by itself.
#[test]
fn the_encoder_in_rust_makes_layers_too() {
    let corpus = Corpus::new("debian/peer");
    let dir = scratch();
    let layer = dir.path().join("layer.tar.gz");
    let options = EstargzOptions::default().compression(Compression::Gzip { level: 6 });
    let opened = open(corpus.tar(), &OpenOptions::default()).expect("a layer");
    let mut output = FileOutput::create(&layer).expect("a new file");
    let report = to_estargz(opened, &mut output, &options, &mut ()).expect("written");
    ctr_remote_finds_the_toc(&layer, &report.toc_digest.to_string());
    let unpacked = dir.path().join("unpacked");
    gnu_tar(&layer, &unpacked, &[]);
    assert_eq!(walk(&unpacked, &[]), corpus.digest());
    verify(&layer, &["--expect", &report.toc_digest.to_string()]);
}

/// Converts `source` with ctr-remote and returns its layer and the digest that it noted for the TOC.
fn made_by_ctr_remote(dir: &Path, source: &Path, threads: &str) -> (PathBuf, String) {
    let theirs = dir.join("theirs.tar");
    {
        let _guard = containerd();
        let mut make = script("estargz/ctr.sh");
        make.env("GOMAXPROCS", threads).arg("convert");
        let _ = Finished::of(make.args([&layout(dir, source), &theirs])).ok();
    }
    let mut unmake = script("estargz/layout.py");
    let _ = Finished::of(unmake.arg("unmake").args([&theirs, dir])).ok();
    let layers = std::fs::read_to_string(dir.join("layers.json")).expect("a list");
    let layers: Value = serde_json::from_str(&layers).expect("JSON");
    let annotation = "/0/annotations/containerd.io~1snapshot~1stargz~1toc.digest";
    (dir.join("0"), text(&layers, annotation).to_owned())
}

/// Of what ctr-remote loses the `peer` corpora hold nothing.
#[test]
fn what_ctr_remote_made_has_the_digest_of_its_source() {
    for corpus in Corpus::roots("peer") {
        let dir = scratch();
        let (layer, toc_digest) = made_by_ctr_remote(dir.path(), &corpus.tar(), "1");
        assert_eq!(digest(&layer), corpus.digest(), "{}", corpus.name);
        verify(&layer, &["--expect", &toc_digest]);
    }
}

/// Here it loses, and says nothing of it: the losses of README.md are applied to the source. Both roots have the same
/// oddities, and ctr-remote takes minutes.
#[test]
fn what_ctr_remote_made_of_oddities_has_the_digest_after_its_losses() {
    let corpus = Corpus::new("packages/full");
    let dir = scratch();
    // 255 bytes that are not UTF-8 become a name of 765 bytes, which no file system has: we refuse it.
    let too_long = format!("oddities/names/{}", r"\xf0".repeat(255));
    let source = dir.path().join("source.tar");
    let mut leave_out = script("estargz/losses.py");
    leave_out.arg("leave-out").args([&corpus.tar(), &source]);
    let _ = Finished::of(leave_out.arg(too_long)).ok();
    let (layer, toc_digest) = made_by_ctr_remote(dir.path(), &source, "2");
    let expected = digest_after(
        &["ctr-remote".as_ref(), source.as_ref()],
        &source,
        &dir.path().join("unpacked"),
    );
    assert_eq!(digest(&layer), expected);
    // Its tar still has the names as they were.
    let mut check = lazyoci("verify");
    check.args(["--expect", &toc_digest]).arg(&layer);
    let faults = Finished::of(&mut check).exits(1).stderr;
    let mut faults: Vec<_> = (faults.lines())
        .filter_map(|line| line.strip_prefix("corrupt: /oddities/"))
        .collect();
    faults.sort_unstable();
    let long = "s".repeat(240);
    let mut expected = [
        "names/directory\\n\u{fffd}: a directory in the TOC, nothing in the tar",
        "names/directory\\n\u{fffd}/file: a file in the TOC, nothing in the tar",
        r"names/directory\n\xff: nothing in the TOC, a directory in the tar",
        r"names/directory\n\xff/file: nothing in the TOC, a file in the tar",
        "names/not-utf8-\u{fffd}\u{fffd}\u{fffd}: a file in the TOC, nothing in the tar",
        r"names/not-utf8-\xff\xfe\x80: nothing in the TOC, a file in the tar",
        r#"names/odd-target: target "target\n\xef\xbf\xbd" in the TOC, "target\n\xff" in the tar"#,
        &format!("sparse/{long}\\n\u{fffd}: a file in the TOC, nothing in the tar"),
        &format!(r"sparse/{long}\n\xff: nothing in the TOC, a file in the tar"),
        concat!(
            r#"xattrs/foreign-name: extended attributes {user.\xef\xbf\xbd\xef\xbf\xbd-name="1"} "#,
            r#"in the TOC, {user.\xff\xfe-name="1"} in the tar"#
        ),
    ];
    expected.sort_unstable();
    assert_eq!(faults, expected, "{}", corpus.name);
}

#[test]
fn from_rafs_and_back_to_a_layer() {
    for variant in ["peer", "full"] {
        for corpus in Corpus::roots(variant) {
            let dir = scratch();
            let to = |format: &str, source: &Path, name: &str| {
                let output = dir.path().join(name);
                let mut convert = lazyoci("convert");
                convert.args(["--to", format, "--json"]);
                // Losses are allowed where there have to be some.
                convert.args((format == "estargz" && variant == "full").then_some("--lossy"));
                let report = Finished::of(convert.args([source, &output])).ok().json();
                let expected = match (format, variant) {
                    ("estargz", "full") => losses(),
                    _ => Vec::new(),
                };
                assert_eq!(reported(&report), expected, "{} {name}", corpus.name);
                output
            };
            let rafs = to("rafs-v6", &corpus.tar(), "first");
            let layer = to("estargz", &rafs.join("image.boot"), "layer.tar.gz");
            let rafs = to("rafs-v6", &layer, "second");
            let tar = to("tar", &rafs.join("image.boot"), "back.tar");
            let expected = match variant {
                "full" => digest_after_losses(&corpus),
                _ => corpus.digest(),
            };
            for form in [layer, rafs.join("image.boot"), tar] {
                assert_eq!(digest(&form), expected, "{} {form:?}", corpus.name);
            }
        }
    }
}
