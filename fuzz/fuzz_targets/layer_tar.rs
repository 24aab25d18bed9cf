//! Hands [`layer_tar`](lazyoci_fuzz::targets::layer_tar) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::layer_tar(data));
