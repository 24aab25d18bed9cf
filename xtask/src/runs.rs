//! What is run: tests, examples, fuzz targets, the real tools.

use std::process::Command;

use crate::cargo::{cargo, command};

pub(crate) fn test() -> Result<(), String> {
    cargo(&["test", "--workspace"])
}

pub(crate) fn mmap() -> Result<(), String> {
    let packages = ["lazyoci-blob-io", "lazyoci-image-read"];
    cargo(&[
        "test",
        "-p",
        packages[0],
        "-p",
        packages[1],
        "--features",
        "mmap",
    ])
}

pub(crate) fn quickstart() -> Result<(), String> {
    cargo(&["run", "--release", "--example", "quickstart"])
}

/// With a seed of its own: what fails is to be what changed.
pub(crate) fn fuzz() -> Result<(), String> {
    command(Command::new("fuzz/run.sh").arg("10").env("SEED", "1"))
}

pub(crate) fn interop() -> Result<(), String> {
    command(&mut Command::new("interop/run.sh"))
}
