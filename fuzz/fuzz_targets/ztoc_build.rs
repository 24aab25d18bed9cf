//! Hands [`ztoc_build`](lazyoci_fuzz::targets::ztoc_build) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::ztoc_build(data));
