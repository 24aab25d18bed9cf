//! Hands [`tar_split`](lazyoci_fuzz::targets::tar_split) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::tar_split(data));
