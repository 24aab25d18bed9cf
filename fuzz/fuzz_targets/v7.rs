//! Hands [`v7`](lazyoci_fuzz::targets::v7) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::v7(data));
