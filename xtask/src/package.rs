//! What is published.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use crate::cargo::{Package, cargo, command, metadata, packages, root, text};

/// What every package holds besides its code.
const DOCUMENTS: [&str; 3] = ["README.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// Packs every crate, and checks what was unpacked from the packages, each of which takes the others from their
/// packages, too.
pub(crate) fn package() -> Result<(), String> {
    let packages = packages()?;
    let metadata = metadata(&["--no-deps"])?;
    let target = Path::new(text(&metadata, "target_directory"));
    let unpacked = target.join("packages");
    match fs::remove_dir_all(&unpacked) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(said(&unpacked)(error)),
        _ => fs::create_dir_all(&unpacked).map_err(said(&unpacked))?,
    }
    cargo(&[
        "package",
        "--workspace",
        "--exclude",
        "xtask",
        "--exclude",
        "registry-double",
        "--allow-dirty",
        "--no-verify",
    ])?;
    for package in &packages {
        let name = format!("{}-{}.crate", package.name, package.version);
        unpack(&target.join("package").join(name), &unpacked)?;
        documents(&unpacked.join(directory(package)))?;
    }
    let manifest = unpacked.join("Cargo.toml");
    fs::write(&manifest, workspace(&packages)).map_err(said(&manifest))?;
    let lock = Path::new(root()).join("Cargo.lock");
    fs::copy(&lock, unpacked.join("Cargo.lock")).map_err(said(&lock))?;
    cargo(&[
        "check",
        "--workspace",
        "--offline",
        "--manifest-path",
        &manifest.to_string_lossy(),
        "--target-dir",
        &target.to_string_lossy(),
    ])
}

/// What a package unpacks to.
fn directory(Package { name, version, .. }: &Package) -> String {
    format!("{name}-{version}")
}

/// The manifest of a workspace of what the packages unpack to.
fn workspace(packages: &[Package]) -> String {
    let members = packages.iter().map(|p| format!("{:?},", directory(p)));
    let patches = packages
        .iter()
        .map(|p| format!("{} = {{ path = {:?} }}\n", p.name, directory(p)));
    format!(
        "[workspace]\nresolver = \"3\"\nmembers = [{}]\n\n[patch.crates-io]\n{}",
        members.collect::<String>(),
        patches.collect::<String>()
    )
}

fn said(path: &Path) -> impl Fn(std::io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}

fn unpack(archive: &Path, to: &Path) -> Result<(), String> {
    command(
        Command::new("tar")
            .args(["--extract", "--gzip", "--file"])
            .arg(archive)
            .arg("--directory")
            .arg(to),
    )
}

/// The documents are in the package as files, since a link into the workspace leads nowhere from there.
fn documents(unpacked: &Path) -> Result<(), String> {
    for document in DOCUMENTS {
        let path = unpacked.join(document);
        if !fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
            return Err(format!("no file {}", path.display()));
        }
    }
    Ok(())
}
