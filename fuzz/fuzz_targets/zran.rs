//! Hands [`zran`](lazyoci_fuzz::targets::zran) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::zran(data));
