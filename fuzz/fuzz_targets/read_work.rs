//! Hands [`read_work`](lazyoci_fuzz::targets::read_work) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::read_work(data));
