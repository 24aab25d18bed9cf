//! The packages under `embed/`: they build and pass as strangers, stay short, and link little.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};
use std::process::Command;

use lazyoci_interop::Finished;

/// How many lines a function may have, its signature and closing brace not counted.
const LINES: usize = 25;
/// How many crates a decoder of bootstraps may link, itself included.
const RAFS_CRATES: usize = 10;
/// How many the layer stream alone may link, itself and tokio included.
const STREAM_CRATES: usize = 12;

fn package(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("embed")
        .join(name)
}

fn cargo(package: &Path) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(package);
    cargo
}

/// Each public function of `source` by name with the lines of its body, blank ones and comments not counted.
fn functions(source: &str) -> Vec<(&str, usize)> {
    let mut found = Vec::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let plain = line.strip_prefix("pub fn ");
        let Some(signature) = plain.or_else(|| line.strip_prefix("pub async fn ")) else {
            continue;
        };
        let name = signature.split(['(', '<']).next().unwrap_or(signature);
        if !line.ends_with('{') {
            lines
                .by_ref()
                .find(|line| line.ends_with('{') && !line.starts_with(' '));
        }
        let body = lines.by_ref().take_while(|line| *line != "}");
        let counts = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
        found.push((name, body.filter(counts).count()));
    }
    found
}

#[test]
fn embedders_pass_and_stay_short() {
    for (name, expected) in [("rafs", 1), ("estargz", 1), ("stream", 1), ("facade", 5)] {
        let package = package(name);
        let _ = Finished::of(cargo(&package).args(["test", "--quiet", "--locked"])).ok();
        let source = read_to_string(package.join("src/lib.rs")).expect("the package has a source");
        let functions = functions(&source);
        assert_eq!(functions.len(), expected, "{name}: {functions:?}");
        for (function, lines) in functions {
            println!("{name}: {function}: {lines} lines");
            assert!(lines <= LINES, "{name}: {function} has {lines} lines");
        }
    }
}

/// The README of the embedders tells how many crates each library links.
#[test]
fn embedders_link_what_their_readme_says() {
    let embed = package("");
    let readme = read_to_string(embed.join("README.md")).expect("there is a README");
    let table = readme.split("| package | library | linked crates |").nth(1);
    let table = table.expect("the README counts linked crates");
    let mut counted = Vec::new();
    for row in table.lines().skip(2).take_while(|row| row.starts_with('|')) {
        let quoted: Vec<&str> = row.split('`').collect();
        let (name, library) = (quoted[1], quoted[3]);
        let count = row.trim_matches('|').rsplit('|').next();
        let count: usize = count.expect("a number").trim().parse().expect("one");
        let crates = linked(&package(name), &["--package", library]);
        assert_eq!(crates.len(), count, "{library}: {crates:?}");
        counted.push((name, count));
    }
    let names: Vec<_> = counted.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["rafs", "estargz", "stream", "facade"]);
    assert!(counted[0].1 <= RAFS_CRATES && counted[2].1 <= STREAM_CRATES);
}

/// The README of the crate tells for several sets of features how many crates are linked.
#[test]
fn the_layer_stream_links_what_its_readme_says() {
    let stream = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/tar-stream");
    let readme = read_to_string(stream.join("README.md")).expect("the crate has a README");
    let table = readme.split("| features | linked crates |").nth(1);
    let table = table.expect("the README counts linked crates");
    let mut sets = 0;
    for row in table.lines().skip(2).take_while(|row| row.starts_with('|')) {
        let mut cells = row.trim_matches('|').split('|');
        let features = cells.next().expect("a set of features").split('`');
        let features: Vec<&str> = features.skip(1).step_by(2).collect();
        let count: usize = cells.next().expect("a number").trim().parse().expect("one");
        let features = features.join(",");
        let crates = linked(&stream, &["--no-default-features", "--features", &features]);
        assert_eq!(crates.len(), count, "{features}: {crates:?}");
        if !features.contains("sha256") {
            assert!(count <= STREAM_CRATES, "{features}: {crates:?}");
        }
        sets += 1;
    }
    assert_eq!(sets, 6, "sets of features in the table");
    let crates = linked(&package("stream"), &["--package", "lazyoci-tar-stream"]);
    assert!(crates.len() <= STREAM_CRATES, "{crates:?}");
    let c = crates.iter().find(|name| name.ends_with("-sys"));
    assert_eq!(c, None, "no C is linked");
}

/// The crates that the package in `directory` links, itself included, once each.
fn linked(directory: &Path, selection: &[&str]) -> Vec<String> {
    let edges = ["--edges", "normal,no-proc-macro", "--prefix", "none"];
    let tree = Finished::of(
        cargo(directory)
            .args(["tree", "--locked"])
            .args(edges)
            .args(selection),
    )
    .ok();
    let mut crates: Vec<String> = tree
        .text()
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect();
    crates.sort_unstable();
    crates.dedup();
    crates
}
