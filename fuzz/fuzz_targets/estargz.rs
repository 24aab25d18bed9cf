//! Hands [`estargz`](lazyoci_fuzz::targets::estargz) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::estargz(data));
