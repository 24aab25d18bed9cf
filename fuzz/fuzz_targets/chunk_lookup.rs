//! Hands [`chunk_lookup`](lazyoci_fuzz::targets::chunk_lookup) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::chunk_lookup(data));
