//! Hands [`dictionary_file`](lazyoci_fuzz::targets::dictionary_file) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::dictionary_file(data));
