//! What the compiler and its companions say without running anything.

use std::process::Command;

use crate::cargo::{OWN_PACKAGES, array, cargo, cargo_path, command, metadata, packages, text};

pub(crate) fn fmt() -> Result<(), String> {
    cargo(&["fmt", "--all", "--check"])?;
    OWN_PACKAGES
        .iter()
        .try_for_each(|manifest| cargo(&["fmt", "--check", "--manifest-path", manifest]))
}

pub(crate) fn clippy() -> Result<(), String> {
    let lints = ["--all-targets", "--", "-D", "warnings"];
    cargo(&[&["clippy", "--workspace", "--all-features"], &lints[..]].concat())?;
    OWN_PACKAGES.iter().try_for_each(|manifest| {
        cargo(&[&["clippy", "--manifest-path", manifest], &lints[..]].concat())
    })
}

pub(crate) fn doc() -> Result<(), String> {
    command(
        Command::new(cargo_path())
            .args(["doc", "--workspace", "--no-deps", "--all-features"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

pub(crate) fn features() -> Result<(), String> {
    for package in packages()? {
        let build = |extra: &[&str]| {
            eprintln!("-- {} {}", package.name, extra.join(" "));
            cargo(
                &[
                    &[
                        "check",
                        "--quiet",
                        "--package",
                        &package.name,
                        "--no-default-features",
                    ],
                    extra,
                ]
                .concat(),
            )
        };
        build(&[])?;
        // Those that do not say which features they need.
        build(&["--examples"])?;
        for feature in &package.features {
            build(&["--features", feature])?;
        }
        build(&["--all-features"])?;
    }
    Ok(())
}

/// Older toolchains are seldom at hand, so this checks what any toolchain can: our own code by the
/// `incompatible_msrv` lint, and the Rust version that each dependency declares.
pub(crate) fn msrv() -> Result<(), String> {
    cargo(&[
        "clippy",
        "--workspace",
        "--all-features",
        "--",
        "-D",
        "clippy::incompatible_msrv",
    ])?;
    let metadata = metadata(&[])?;
    let packages = array(&metadata, "packages");
    let ours = packages
        .iter()
        .find(|p| p["name"] == "lazyoci")
        .map(|p| version(text(p, "rust_version")))
        .ok_or("no package `lazyoci`")?;
    let newer: Vec<String> = packages
        .iter()
        .filter(|p| version(text(p, "rust_version")) > ours)
        .map(|p| format!("{} needs Rust {}", text(p, "name"), text(p, "rust_version")))
        .collect();
    if newer.is_empty() {
        Ok(())
    } else {
        Err(newer.join(", "))
    }
}

/// `1.88` and `1.88.0` compare equal; a missing version is the oldest.
fn version(text: &str) -> [u32; 3] {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    [(); 3].map(|()| parts.next().unwrap_or(0))
}
