//! Hands [`containers_toc`](lazyoci_fuzz::targets::containers_toc) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::containers_toc(data));
