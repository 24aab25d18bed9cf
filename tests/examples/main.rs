//! The examples as their users run them: output, exit codes, and that failures leave nothing.
//! `cargo test` builds them beside this test; `cargo test --test examples` alone does not.

#![allow(clippy::unwrap_used, reason = "a test that unwraps has failed")]

mod bounds;
mod chunked;
mod convert;
mod dedup;
mod index;
mod inspect;
mod interrupt;
mod keep_frames;
mod layout;
mod modes;
mod output;
mod quickstart;
mod refusals;
mod registry;
mod schema;
mod scripts;
mod terminal;
mod verify;
mod whole;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const NAMES: [&str; 12] = [
    "quickstart",
    "convert",
    "index",
    "merge",
    "dedup",
    "inspect",
    "ls",
    "cat",
    "unpack",
    "verify",
    "digest",
    "diff",
];

fn example(name: &str) -> Command {
    let deps = std::env::current_exe().unwrap();
    let target = deps.parent().and_then(Path::parent).unwrap();
    Command::new(target.join("examples").join(name))
}

fn run(command: &mut Command, code: i32) -> Output {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{stderr}");
    output
}

/// Runs `command`, which is to end with `code`; what it says on stderr.
fn complaint(command: &mut Command, code: i32) -> String {
    String::from_utf8(run(command, code).stderr).unwrap()
}

fn text(command: &mut Command) -> String {
    String::from_utf8(run(command, 0).stdout).unwrap()
}

fn json(command: &mut Command) -> Value {
    serde_json::from_slice(&run(command.arg("--json"), 0).stdout).unwrap()
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes
}

/// A small tree and its RAFS image.
struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let fixture = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let source = fixture.path("source");
        fs::create_dir_all(source.join("etc")).unwrap();
        fs::write(source.join("etc/motd"), "hello\n").unwrap();
        fs::write(source.join("big"), vec![b'x'; 3 << 20]).unwrap();
        let mut convert = example("convert");
        convert
            .args(["--to", "rafs-v6"])
            .arg(&source)
            .arg(fixture.path("image"));
        run(&mut convert, 0);
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The source as an eStargz layer; its members are not compressed.
    fn estargz(&self, name: &str) -> PathBuf {
        let layer = self.path(name);
        let mut convert = example("convert");
        convert.args(["--to", "estargz", "--compressor", "gzip:0"]);
        run(convert.arg(self.path("source")).arg(&layer), 0);
        layer
    }

    fn blob(&self) -> PathBuf {
        let mut blobs = fs::read_dir(self.path("image/blobs")).unwrap();
        blobs.next().unwrap().unwrap().path()
    }

    fn bootstrap(&self) -> PathBuf {
        self.path("image/image.boot")
    }
}

#[test]
fn convert_reports_what_it_did() {
    let fixture = Fixture::new();
    let mut convert = example("convert");
    convert
        .args(["--to", "rafs-v6", "--compressor", "none", "--threads", "2"])
        .args([fixture.path("source"), fixture.path("other")]);
    let report = json(&mut convert);
    assert_eq!(report["inodes"], 4);
    assert_eq!(report["content_bytes"], (3 << 20) + 6);
    // Three equal chunks of 1 MiB are one, and motd is the other.
    assert_eq!(report["stored_chunks"], 2);
    assert_eq!(report["deduplicated_chunks"], 2);
    assert_eq!(report["losses"], Value::Array(Vec::new()));
    assert_eq!(report["format"], "rafs-v6");
    // What the objects are called by, and what their descriptors have to say.
    let sha256 = |path: PathBuf| lazyoci::verify::sha256(&fs::read(path).unwrap()).to_string();
    let bootstrap = &report["bootstrap"];
    assert_eq!(
        bootstrap["digest"],
        sha256(fixture.path("other/image.boot"))
    );
    let annotation = "containerd.io/snapshot/nydus-bootstrap";
    assert_eq!(bootstrap["annotations"][annotation], "true");
    let digest = report["blobs"][0]["digest"].as_str().unwrap();
    let id = digest.strip_prefix("sha256:").unwrap();
    assert_eq!(
        sha256(fixture.path("other/blobs").join(id)),
        digest,
        "{report}"
    );

    let layer = fixture.path("layer");
    let mut convert = example("convert");
    convert
        .args(["--to", "tar-gzip"])
        .arg(fixture.path("source"));
    let report = json(convert.arg(&layer));
    assert_eq!(report["blob"]["digest"], sha256(layer.clone()));
    let mut plain = example("convert");
    plain.args(["--to", "tar"]).arg(&layer);
    let tar = json(plain.arg(fixture.path("tar")));
    assert_eq!(tar["blob"]["digest"], report["diff_id"]);
    assert_eq!(tar["diff_id"], report["diff_id"]);
}

#[test]
fn a_tar_goes_to_stdout() {
    let fixture = Fixture::new();
    let mut convert = example("convert");
    convert
        .args(["--to", "tar"])
        .arg(fixture.bootstrap())
        .arg("-");
    let tar = run(&mut convert, 0).stdout;
    assert_eq!(tar.len() % 512, 0);
    fs::write(fixture.path("layer"), tar).unwrap();
    let digest = |image: PathBuf| text(example("digest").arg(image));
    assert_eq!(digest(fixture.path("layer")), digest(fixture.bootstrap()));
    assert_eq!(digest(fixture.path("source")), digest(fixture.bootstrap()));
}

#[test]
fn ls_lists() {
    let fixture = Fixture::new();
    assert_eq!(text(example("ls").arg(fixture.bootstrap())), "big\netc\n");
    let below = text(example("ls").arg("-R").arg(fixture.bootstrap()).arg("etc"));
    assert_eq!(below, "/etc/motd\n");
    let long = text(
        example("ls")
            .arg("-l")
            .arg(fixture.bootstrap())
            .arg("etc/motd"),
    );
    assert!(long.starts_with("-rw"), "{long}");
    let year = long.split_whitespace().nth(5).unwrap();
    assert!(year.starts_with("20") && year.ends_with('Z'), "{long}");
    let listed = json(example("ls").arg("-R").arg(fixture.bootstrap()));
    assert_eq!(listed["entries"].as_array().unwrap().len(), 3);
    assert_eq!(listed["entries"][2]["path"], "/etc/motd");
}

#[test]
fn cat_reads_ranges() {
    let fixture = Fixture::new();
    let mut cat = example("cat");
    cat.args(["--range", "1:3", "--stats"])
        .arg(fixture.bootstrap())
        .arg("etc/motd");
    let output = run(&mut cat, 0);
    assert_eq!(output.stdout, b"ell");
    let stats = String::from_utf8(output.stderr).unwrap();
    assert!(stats.ends_with("content: 1 request, 6 bytes\n"), "{stats}");

    let range = |range: &str, code| {
        let mut cat = example("cat");
        cat.args(["--range", range]).arg(fixture.bootstrap());
        let output = run(cat.arg("etc/motd"), code);
        let said = String::from_utf8(output.stderr).unwrap();
        (String::from_utf8(output.stdout).unwrap(), said)
    };
    assert_eq!(range("4:1MiB", 0).0, "o\n");
    assert_eq!(range("6:0", 0).0, "");
    let beyond = "error: etc/motd: has 6 bytes, none at 6\n";
    assert_eq!(range("6:1", 2), (String::new(), beyond.into()));
    let said = complaint(example("cat").arg(fixture.bootstrap()).arg("/etc"), 2);
    assert_eq!(said, "error: /etc: is a directory, not a file\n");
}

#[test]
fn of_a_plain_tar_no_more_is_read_than_is_shown() {
    let fixture = Fixture::new();
    let mut convert = example("convert");
    convert.args(["--to", "tar"]).arg(fixture.path("source"));
    run(convert.arg(fixture.path("tar")), 0);
    let mut cat = example("cat");
    cat.args(["--stats", "--range", "1MiB:10"]);
    let output = run(cat.arg(fixture.path("tar")).arg("big"), 0);
    assert_eq!(output.stdout, b"xxxxxxxxxx");
    let stats = String::from_utf8(output.stderr).unwrap();
    assert!(stats.ends_with("content: 1 request, 10 bytes\n"), "{stats}");
}

#[test]
fn inspect_tells_the_format() {
    let fixture = Fixture::new();
    let value = json(example("inspect").arg(fixture.bootstrap()));
    assert_eq!(value["format"], "rafs-v6");
    assert_eq!(value["counts"]["files"], 2);
    assert_eq!(value["blobs"][0]["chunks"], 2);
    let dump = text(example("inspect").arg("--dump").arg(fixture.bootstrap()));
    assert!(
        dump.contains("s_blocks_count") || dump.contains("superblock"),
        "{dump}"
    );
    run(
        example("inspect").arg("--dump").arg(fixture.path("source")),
        2,
    );
}

#[test]
fn verify_finds_a_flipped_byte() {
    let fixture = Fixture::new();
    let value = json(example("verify").arg(fixture.bootstrap()));
    assert_eq!(value["faults"], Value::Array(Vec::new()));
    let blob = fixture.blob();
    let mut bytes = fs::read(&blob).unwrap();
    bytes[0] ^= 1;
    fs::write(&blob, bytes).unwrap();
    let output = run(example("verify").arg(fixture.bootstrap()), 1);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("corrupt: /"), "{stderr}");
    run(
        example("verify")
            .arg("--metadata-only")
            .arg(fixture.bootstrap()),
        0,
    );
    let wrong = format!("sha256:{}", "0".repeat(64));
    run(
        example("verify")
            .args(["--expect", &wrong])
            .arg(fixture.bootstrap()),
        1,
    );
}

#[test]
fn unpack_and_diff_agree() {
    let fixture = Fixture::new();
    run(
        example("unpack")
            .arg(fixture.bootstrap())
            .arg(fixture.path("out")),
        0,
    );
    let out = fixture.path("out");
    let same = text(example("diff").arg(fixture.bootstrap()).arg(&out));
    assert!(
        same.starts_with("0 added, 0 removed, 0 changed, 4 the same\n"),
        "{same}"
    );
    fs::write(out.join("new"), "").unwrap();
    fs::write(out.join("etc/motd"), "other\n").unwrap();
    let output = run(example("diff").arg(fixture.bootstrap()).arg(&out), 1);
    let differences = String::from_utf8(output.stdout).unwrap();
    assert!(differences.contains("+ /new\n"), "{differences}");
    let motd = differences
        .lines()
        .find(|line| line.starts_with("~ /etc/motd: "));
    assert!(motd.unwrap().ends_with("content"), "{differences}");
}

#[test]
fn quickstart_proves_that_all_formats_agree() {
    let fixture = Fixture::new();
    let value = json(example("quickstart").arg(fixture.path("source")));
    assert_eq!(value["equal"], true);
    let conversions = value["conversions"].as_array().unwrap();
    assert!(conversions.len() >= 5);
    for conversion in conversions {
        assert_eq!(conversion["tree_digest"], value["tree_digest"]);
        assert_eq!(conversion["findings"], 0);
    }
}

#[test]
fn failures_say_whose_fault_and_leave_nothing() {
    let fixture = Fixture::new();
    let output = fixture.path("output");
    let convert = |source: &Path, code| {
        let mut convert = example("convert");
        convert.args(["--to", "rafs-v6"]).arg(source).arg(&output);
        run(&mut convert, code);
        assert!(!output.exists());
    };
    convert(&fixture.path("missing"), 2);
    fs::write(fixture.path("text"), "this is no image\n".repeat(100)).unwrap();
    convert(&fixture.path("text"), 3);
    let mut to_tar = example("convert");
    to_tar.args(["--to", "tar"]).arg(fixture.path("source"));
    run(to_tar.arg(fixture.path("cut")), 0);
    let cut = fs::read(fixture.path("cut")).unwrap();
    fs::write(fixture.path("cut"), &cut[..cut.len() / 2]).unwrap();
    convert(&fixture.path("cut"), 1);
    run(example("convert").args(["--to", "no-such-format"]), 2);
    run(
        example("cat").arg(fixture.bootstrap()).arg("no/such/file"),
        2,
    );
    // For programs, too.
    let mut digest = example("digest");
    digest.arg("--json").arg(fixture.path("text"));
    let output = run(&mut digest, 3);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(value["exit_code"], 3);
    assert_eq!(
        format!("error: {}\n", value["error"].as_str().unwrap()),
        said
    );
    // Which of two is no image, and not a word of what is in it.
    let mut diff = example("diff");
    diff.arg(fixture.path("source")).arg(fixture.path("text"));
    let said = complaint(&mut diff, 3);
    assert!(
        said.starts_with(&format!("error: {}: ", fixture.path("text").display())),
        "{said}"
    );
    assert!(!said.contains("this is no image"), "{said}");
}

#[test]
fn every_example_has_help() {
    for name in NAMES {
        assert!(
            text(example(name).arg("--help")).contains("Usage:"),
            "{name}"
        );
        let version = text(example(name).arg("--version"));
        assert!(version.ends_with(" 0.1.0\n"), "{version}");
    }
}
