//! Hands [`ztoc`](lazyoci_fuzz::targets::ztoc) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::ztoc(data));
