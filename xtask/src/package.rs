//! What is published.

use std::path::Path;
use std::process::Command;

use crate::cargo::{Package, cargo, metadata, packages, root, text};

/// What every package holds besides its code.
const DOCUMENTS: [&str; 3] = ["README.md", "LICENSE-MIT", "LICENSE-APACHE"];

pub(crate) fn package() -> Result<(), String> {
    cargo(&[
        "package",
        "--workspace",
        "--exclude",
        "xtask",
        "--allow-dirty",
    ])?;
    let metadata = metadata(&["--no-deps"])?;
    let packed = Path::new(text(&metadata, "target_directory")).join("package");
    for package in packages()? {
        documents(&package, &packed)?;
    }
    Ok(())
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
