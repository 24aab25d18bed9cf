//! Hands [`merge`](lazyoci_fuzz::targets::merge) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::merge(data));
