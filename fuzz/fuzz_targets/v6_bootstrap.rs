//! Hands [`v6_bootstrap`](lazyoci_fuzz::targets::v6_bootstrap) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::v6_bootstrap(data));
