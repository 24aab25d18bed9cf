//! Hands [`descriptor`](lazyoci_fuzz::targets::descriptor) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::descriptor(data));
