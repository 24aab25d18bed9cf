//! Hands [`estargz_compare`](lazyoci_fuzz::targets::estargz_compare) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::estargz_compare(data));
