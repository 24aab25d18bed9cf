//! Zeros.

use lazyoci_chunk_dedup::is_zero;
use proptest::prelude::*;

proptest! {
    #[test]
    fn zeros_are_told_from_others(len in 0..300_usize, at in any::<proptest::sample::Index>()) {
        let mut bytes = vec![0; len];
        prop_assert!(is_zero(&bytes));
        if len > 0 {
            bytes[at.index(len)] = 1;
            prop_assert!(!is_zero(&bytes));
            prop_assert!(!is_zero(&vec![7; len]));
        }
    }
}
