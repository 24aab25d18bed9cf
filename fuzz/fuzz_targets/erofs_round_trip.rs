//! Hands [`erofs_round_trip`](lazyoci_fuzz::targets::erofs_round_trip) to libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lazyoci_fuzz::targets::erofs_round_trip(data));
