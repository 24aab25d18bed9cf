//! The layer stream without any C.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::cargo::{cargo_path, command, root};

/// The package that embeds the layer stream alone.
const EMBEDDER: &str = "interop/embed/stream/Cargo.toml";
const CRATE: &str = "crates/tar-stream/Cargo.toml";
/// All that there is in Rust.
const FEATURES: &[&str] = &[
    "--no-default-features",
    "--features",
    "gzip,ruzstd,sha256,tar,tokio",
];

/// Builds from nothing, so that no C library of an earlier build is found; the embedder's tests run.
pub(crate) fn no_c() -> Result<(), String> {
    let target = Path::new(root()).join("target/no-c");
    match fs::remove_dir_all(&target) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(format!("{}: {error}", target.display()));
        }
        _ => {}
    }
    let cargo = |verb: &str, manifest: &str| {
        let mut cargo = Command::new(cargo_path());
        cargo
            .args([verb, "--quiet", "--locked", "--manifest-path", manifest])
            .env("CARGO_TARGET_DIR", &target)
            .env("CC", "/bin/false")
            .env("CXX", "/bin/false");
        cargo
    };
    command(&mut cargo("test", EMBEDDER))?;
    command(cargo("build", CRATE).args(FEATURES))?;
    no_library(EMBEDDER, &[])?;
    no_library(CRATE, FEATURES)
}

/// Fails if a package links a C library, or compiles one.
fn no_library(manifest: &str, features: &[&str]) -> Result<(), String> {
    let output = Command::new(cargo_path())
        .args(["tree", "--locked", "--manifest-path", manifest])
        .args(["--edges", "normal,build", "--prefix", "none"])
        .args(features)
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo tree: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo tree of {manifest}: {}", output.status));
    }
    let tree = String::from_utf8_lossy(&output.stdout);
    let mut names = tree.lines().filter_map(|line| line.split(' ').next());
    match names.find(|name| *name == "cc" || name.ends_with("-sys")) {
        Some(name) => Err(format!("{manifest} depends on {name}")),
        None => Ok(()),
    }
}
