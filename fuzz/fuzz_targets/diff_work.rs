//! Hands [`diff_work`](lazyoci_fuzz::targets::diff_work) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::diff_work(data));
