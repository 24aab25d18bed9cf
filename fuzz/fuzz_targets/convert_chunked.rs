//! Hands [`convert_chunked`](lazyoci_fuzz::targets::convert_chunked) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::convert_chunked(data));
