//! Hands [`lossy`](lazyoci_fuzz::targets::lossy) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::lossy(data));
