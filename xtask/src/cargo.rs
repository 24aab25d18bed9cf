//! Running cargo and other programs, and what cargo knows of the workspace.

use std::env;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Packages that are no members of the workspace.
pub(crate) const OWN_PACKAGES: &[&str] = &[
    "benches/Cargo.toml",
    "fuzz/Cargo.toml",
    "interop/Cargo.toml",
];

pub(crate) fn cargo(args: &[&str]) -> Result<(), String> {
    command(Command::new(cargo_path()).args(args))
}

pub(crate) fn cargo_path() -> String {
    env::var("CARGO").unwrap_or_else(|_| "cargo".into())
}

pub(crate) fn command(command: &mut Command) -> Result<(), String> {
    command.current_dir(root());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

pub(crate) fn root() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/..")
}

/// Published packages of the workspace with their features.
pub(crate) fn packages() -> Result<Vec<(String, Vec<String>)>, String> {
    let metadata = metadata(&["--no-deps"])?;
    let packages = array(&metadata, "packages");
    let published = packages.iter().filter(|p| p["publish"].is_null());
    Ok(published
        .map(|p| {
            let features = p["features"].as_object();
            let features = features.into_iter().flat_map(|f| f.keys().cloned());
            (text(p, "name").to_owned(), features.collect())
        })
        .collect())
}

pub(crate) fn metadata(args: &[&str]) -> Result<Value, String> {
    let output = Command::new(cargo_path())
        .args([
            "metadata",
            "--locked",
            "--format-version",
            "1",
            "--all-features",
        ])
        .args(args)
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cargo metadata: {e}"))?;
    serde_json::from_slice(&output.stdout).map_err(|e| format!("cargo metadata: {e}"))
}

pub(crate) fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}
