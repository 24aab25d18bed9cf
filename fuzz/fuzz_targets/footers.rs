//! Hands [`footers`](lazyoci_fuzz::targets::footers) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::footers(data));
