//! The packages under `embed/`: they build and pass as strangers, stay short, and link little.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};
use std::process::Command;

use lazyoci_interop::Finished;

/// How many lines a function may have, its signature and closing brace not counted.
const LINES: usize = 25;
/// How many crates a decoder of bootstraps may link, itself included.
const RAFS_CRATES: usize = 10;

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
        let Some(signature) = line.strip_prefix("pub fn ") else {
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
    for (name, expected) in [("rafs", 1), ("estargz", 1), ("facade", 5)] {
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

#[test]
fn a_decoder_of_bootstraps_links_little() {
    let tree = [
        "tree",
        "--locked",
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
    ];
    let tree = Finished::of(
        cargo(&package("rafs"))
            .args(tree)
            .args(["--package", "lazyoci-rafs-format"]),
    )
    .ok();
    let text = tree.text();
    let mut crates: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    crates.sort_unstable();
    crates.dedup();
    println!("{crates:?}");
    assert!(
        crates.len() <= RAFS_CRATES,
        "{} crates: {crates:?}",
        crates.len()
    );
}
