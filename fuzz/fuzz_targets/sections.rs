//! Hands [`sections`](lazyoci_fuzz::targets::sections) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::sections(data));
