//! Hands [`rafs_blob`](lazyoci_fuzz::targets::rafs_blob) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::rafs_blob(data));
