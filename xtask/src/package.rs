//! What is published.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::cargo::{Package, cargo, metadata, packages, root, text};

/// What every package holds besides its code.
const DOCUMENTS: [&str; 3] = ["README.md", "LICENSE-MIT", "LICENSE-APACHE"];

pub(crate) fn package() -> Result<(), String> {
    let packages = packages()?;
    let metadata = metadata(&["--no-deps"])?;
    let target = Path::new(text(&metadata, "target_directory")).join("packages");
    forget_built(&target, &packages)?;
    cargo(&[
        "package",
        "--workspace",
        "--exclude",
        "xtask",
        "--exclude",
        "registry-double",
        "--allow-dirty",
        "--target-dir",
        &target.to_string_lossy(),
    ])?;
    for package in &packages {
        documents(package, &target.join("package"))?;
    }
    Ok(())
}

/// Removes what cargo unpacked and built of our packages before: it knows them by version, not by
/// content, and would check them against those of an earlier commit.
fn forget_built(target: &Path, packages: &[Package]) -> Result<(), String> {
    remove(target)?;
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| {
        let home = env::var_os("HOME")?;
        Some(Path::new(&home).join(".cargo"))
    });
    let Some(sources) = home.map(|home| home.join("registry/src")) else {
        return Ok(());
    };
    let Ok(registries) = fs::read_dir(&sources) else {
        return Ok(());
    };
    for registry in registries.flatten() {
        for Package { name, version, .. } in packages {
            remove(&registry.path().join(format!("{name}-{version}")))?;
        }
    }
    Ok(())
}

/// Removes a directory, if there is one.
fn remove(directory: &Path) -> Result<(), String> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(format!("{}: {error}", directory.display()))
        }
        _ => Ok(()),
    }
}

/// The documents are in the package as files, since a link into the workspace leads nowhere from there.
fn documents(package: &Package, packed: &Path) -> Result<(), String> {
    let name = format!("{}-{}", package.name, package.version);
    let archive = packed.join(format!("{name}.crate"));
    let output = Command::new("tar")
        .args(["--list", "--verbose", "--gzip", "--file"])
        .arg(&archive)
        .current_dir(root())
        .output()
        .map_err(|e| format!("tar: {e}"))?;
    if !output.status.success() {
        return Err(format!("tar cannot list {}", archive.display()));
    }
    let listing = String::from_utf8_lossy(&output.stdout);
    let files: Vec<&str> = listing.lines().filter(|l| l.starts_with('-')).collect();
    for document in DOCUMENTS {
        let end = format!(" {name}/{document}");
        if !files.iter().any(|file| file.ends_with(&end)) {
            return Err(format!("{} holds no {document}", archive.display()));
        }
    }
    Ok(())
}
