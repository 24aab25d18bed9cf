//! Hands [`unpack`](lazyoci_fuzz::targets::unpack) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::unpack(data));
