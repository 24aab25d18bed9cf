//! Hands [`v5_bootstrap`](lazyoci_fuzz::targets::v5_bootstrap) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::v5_bootstrap(data));
