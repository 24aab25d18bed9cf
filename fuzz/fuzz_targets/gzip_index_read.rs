//! Hands [`gzip_index_read`](lazyoci_fuzz::targets::gzip_index_read) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::gzip_index_read(data));
