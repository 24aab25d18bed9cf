//! Fuzz targets for every decoder and round trip.
//!
//! What a target does lies in [`targets`], which knows nothing of the fuzzer: `fuzz_targets/` hands it
//! to libFuzzer, and the test `tests/fuzz_findings.rs` of the main package replays what was found.

pub mod targets;
