//! The crates of nydus as a reader, and what a tree shows in the same form.

use std::path::Path;

use crate::corpus::walk;
use crate::run::{Finished, script, tool};

/// What nydus-rafs and nydus-storage read of an image: a line for each name, as the walker has it.
///
/// # Panics
/// If they do not.
#[must_use]
pub fn read_by_the_crates(bootstrap: &Path, blobs: &Path) -> String {
    let mut judge = script("nydus/judge.sh");
    let read = Finished::of(judge.arg("read").args([bootstrap, blobs])).ok();
    read.text().to_owned()
}

/// What the walker with `options` lists of `directory`: kind, mode, owner, time, device, links, extended attributes and
/// content of each name.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn listed(directory: &Path, options: &[&str]) -> String {
    let dump = walk(directory, &[&["--dump"], options].concat());
    let (lines, _digest) = dump.rsplit_once('\n').expect("a root and a digest");
    lines.to_owned()
}

/// What the walker lists of what GNU tar unpacks of `tar`, into the new directory `at`.
///
/// # Panics
/// If it cannot be unpacked.
#[must_use]
pub fn listed_tar(tar: &Path, at: &Path) -> String {
    std::fs::create_dir(at).expect("a new directory");
    let tar = tar.to_str().expect("UTF-8");
    let options = ["--xattrs", "--xattrs-include=*", "--numeric-owner"];
    tool("tar", at, &[&["-xpf", tar][..], &options].concat());
    listed(at, &[])
}
