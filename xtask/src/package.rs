//! What is published.

use crate::cargo::cargo;

pub(crate) fn package() -> Result<(), String> {
    cargo(&[
        "package",
        "--workspace",
        "--exclude",
        "xtask",
        "--allow-dirty",
    ])
}
