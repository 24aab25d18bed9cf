//! Hands [`erofs`](lazyoci_fuzz::targets::erofs) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::erofs(data));
