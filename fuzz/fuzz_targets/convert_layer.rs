//! Hands [`convert_layer`](lazyoci_fuzz::targets::convert_layer) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::convert_layer(data));
