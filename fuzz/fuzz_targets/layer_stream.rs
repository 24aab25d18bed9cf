//! Hands [`layer_stream`](lazyoci_fuzz::targets::layer_stream) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::layer_stream(data));
