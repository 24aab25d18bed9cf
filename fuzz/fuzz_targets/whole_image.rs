//! Hands [`whole_image`](lazyoci_fuzz::targets::whole_image) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::whole_image(data));
