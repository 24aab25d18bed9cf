//! Hands [`frame_decode`](lazyoci_fuzz::targets::frame_decode) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::frame_decode(data));
