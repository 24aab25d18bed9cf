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

/// A published package of the workspace.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) features: Vec<String>,
    /// Names of the libraries that it depends on, as they call themselves.
    pub(crate) dependencies: Vec<String>,
}

impl Package {
    pub(crate) fn library(&self) -> String {
        self.name.replace('-', "_")
    }
}

pub(crate) fn packages() -> Result<Vec<Package>, String> {
    let metadata = metadata(&["--no-deps"])?;
    let packages = array(&metadata, "packages");
    let published = packages.iter().filter(|p| p["publish"].is_null());
    let package = |p: &Value| {
        let features = p["features"].as_object();
        let dependencies = array(p, "dependencies").iter();
        Package {
            name: text(p, "name").to_owned(),
            version: text(p, "version").to_owned(),
            features: features
                .into_iter()
                .flat_map(|f| f.keys().cloned())
                .collect(),
            dependencies: dependencies
                .filter(|d| d["kind"].is_null())
                .map(|d| text(d, "name").replace('-', "_"))
                .collect(),
        }
    };
    Ok(published.map(package).collect())
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
