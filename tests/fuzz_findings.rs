//! Replays what fuzzing found: every file in `fuzz/findings/TARGET/` goes through its target.
#![cfg(all(
    feature = "convert",
    feature = "lz4",
    feature = "zstd",
    feature = "gzip",
    feature = "blake3"
))]

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

#[path = "../fuzz/src/targets/mod.rs"]
pub mod targets;

use targets::TARGETS;

#[test]
fn findings_stay_fixed() {
    let findings = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/findings");
    let mut failed = Vec::new();
    for folder in fs::read_dir(&findings).unwrap() {
        let folder = folder.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let named = |target: &&targets::Target| folder.ends_with(target.name);
        let target = TARGETS.iter().find(named);
        let target = target.unwrap_or_else(|| panic!("{}: no such target", folder.display()));
        for finding in fs::read_dir(&folder).unwrap() {
            let finding = finding.unwrap().path();
            let bytes = fs::read(&finding).unwrap();
            if catch_unwind(|| (target.run)(&bytes)).is_err() {
                failed.push(finding);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

/// What the fuzzer begins with: nothing, and a few bytes.
#[test]
fn targets_take_any_bytes() {
    for target in TARGETS {
        for len in [0, 1, 51, 255, 4096] {
            for byte in [0, 1, 0x80, 0xff] {
                (target.run)(&vec![byte; len]);
            }
        }
    }
}
