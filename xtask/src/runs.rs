//! What is run: tests, examples, fuzz targets, the real tools.

use std::process::Command;

use crate::cargo::{cargo, cargo_path, command};

/// The README's test command, with no bit of the flipped images left out.
pub(crate) fn test() -> Result<(), String> {
    let mut test = Command::new(cargo_path());
    test.args(["test", "--workspace"])
        .env("LAZYOCI_EVERY_BIT", "yes");
    command(&mut test)
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
