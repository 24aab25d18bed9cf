//! Hands [`gzip_index_build`](lazyoci_fuzz::targets::gzip_index_build) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::gzip_index_build(data));
