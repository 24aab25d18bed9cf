//! Hands [`read_boundaries`](lazyoci_fuzz::targets::read_boundaries) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::read_boundaries(data));
