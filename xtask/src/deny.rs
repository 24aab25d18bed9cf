//! Licences, sources and bans of all dependencies.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo::{OWN_PACKAGES, cargo_path, command};

const VERSION: &str = "0.20.2";

pub(crate) fn deny() -> Result<(), String> {
    let program = cargo_deny()?;
    let manifests = ["Cargo.toml"].iter().chain(OWN_PACKAGES);
    for manifest in manifests {
        eprintln!("-- {manifest}");
        command(
            Command::new(&program)
                .args(["--locked", "--workspace", "--config", "deny.toml"])
                .args(["--manifest-path", manifest])
                .args(["check", "licenses", "bans", "sources"]),
        )?;
    }
    Ok(())
}

/// The program of [`VERSION`] in the cache, built if it is not there.
fn cargo_deny() -> Result<PathBuf, String> {
    let cache = env::var_os("LAZYOCI_CACHE").unwrap_or_else(|| "/var/cache/lazyoci".into());
    let root = Path::new(&cache).join("cargo-deny");
    let program = root.join("bin/cargo-deny");
    let output = Command::new(&program).arg("--version").output();
    if output.is_ok_and(|output| output.stdout == format!("cargo-deny {VERSION}\n").into_bytes()) {
        return Ok(program);
    }
    eprintln!("-- building cargo-deny {VERSION} into {}", root.display());
    command(
        Command::new(cargo_path())
            .args(["install", "--quiet", "--locked", "--force", "cargo-deny"])
            .args(["--version", VERSION])
            .arg("--root")
            .arg(&root)
            // It runs for a second: what its release profile does about speed costs minutes.
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
    )?;
    Ok(program)
}
