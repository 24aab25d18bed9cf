//! Merging ranges.

use std::ops::Range;

use lazyoci_blob_io::{Fetch, coalesce};
use proptest::prelude::*;

fn fetch(range: Range<u64>, requests: &[usize]) -> Fetch {
    Fetch {
        range,
        requests: requests.to_vec(),
    }
}

#[test]
fn neighbours_merge_within_the_gap() {
    let requests = [0..10, 15..20, 26..30];
    for (gap, expected) in [
        (
            0,
            vec![fetch(0..10, &[0]), fetch(15..20, &[1]), fetch(26..30, &[2])],
        ),
        (
            4,
            vec![fetch(0..10, &[0]), fetch(15..20, &[1]), fetch(26..30, &[2])],
        ),
        (5, vec![fetch(0..20, &[0, 1]), fetch(26..30, &[2])]),
        (6, vec![fetch(0..30, &[0, 1, 2])]),
        (u64::MAX, vec![fetch(0..30, &[0, 1, 2])]),
    ] {
        assert_eq!(coalesce(&requests, gap, u64::MAX), expected, "gap {gap}");
    }
}

#[test]
fn adjacent_ranges_merge_without_a_gap() {
    assert_eq!(
        coalesce(&[10..20, 0..10], 0, u64::MAX),
        [fetch(0..20, &[1, 0])]
    );
}

#[test]
fn merged_ranges_keep_to_the_size() {
    assert_eq!(
        coalesce(&[0..10, 10..20, 20..30], 0, 20),
        [fetch(0..20, &[0, 1]), fetch(20..30, &[2])]
    );
    assert_eq!(
        coalesce(&[0..10, 10..20], 0, 0),
        [fetch(0..10, &[0]), fetch(10..20, &[1])]
    );
}

#[test]
fn one_long_request_is_not_cut() {
    assert_eq!(
        coalesce(&[0..100, 10..20, 100..110], 0, 50),
        [fetch(0..100, &[0, 1]), fetch(100..110, &[2])]
    );
}

#[test]
fn empty_requests_need_nothing() {
    assert_eq!(coalesce(&[], 0, 100), []);
    let reversed = Range { start: 9, end: 2 };
    assert_eq!(coalesce(&[5..5, reversed], 100, 100), []);
    assert_eq!(coalesce(&[5..5, 0..1, 7..7], 100, 100), [fetch(0..1, &[1])]);
}

#[test]
fn the_end_of_the_number_range_is_no_trouble() {
    let requests = [u64::MAX - 1..u64::MAX, 0..1];
    assert_eq!(
        coalesce(&requests, u64::MAX, u64::MAX),
        [fetch(0..u64::MAX, &[1, 0])]
    );
    assert_eq!(
        coalesce(&requests, u64::MAX, 1 << 40),
        [fetch(0..1, &[1]), fetch(u64::MAX - 1..u64::MAX, &[0])]
    );
}

proptest! {
    #[test]
    fn every_request_is_answered_once(
        requests in proptest::collection::vec(
            (0..1000_u64, 0..50_u64).prop_map(|(start, len)| start..start + len),
            0..40,
        ),
        gap in 0..60_u64,
        max_len in 0..300_u64,
    ) {
        let fetches = coalesce(&requests, gap, max_len);

        let mut answered = vec![0; requests.len()];
        for fetch in &fetches {
            prop_assert!(!fetch.range.is_empty());
            let mut longest = 0;
            for &i in &fetch.requests {
                let request = &requests[i];
                prop_assert!(fetch.range.start <= request.start);
                prop_assert!(request.end <= fetch.range.end);
                longest = longest.max(request.end - request.start);
                answered[i] += 1;
            }
            let len = fetch.range.end - fetch.range.start;
            prop_assert!(len <= max_len.max(longest));

            // No gap in it is longer than allowed, and both ends are wanted.
            let mut wanted: Vec<_> = fetch.requests.iter().map(|&i| requests[i].clone()).collect();
            wanted.sort_by_key(|r| r.start);
            let mut end = fetch.range.start;
            for request in wanted {
                prop_assert!(request.start <= end + gap);
                end = end.max(request.end);
            }
            prop_assert_eq!(end, fetch.range.end);
        }
        for (request, count) in requests.iter().zip(answered) {
            prop_assert_eq!(count, usize::from(!request.is_empty()));
        }

        // Ascending, and what is left apart could not be merged.
        for pair in fetches.windows(2) {
            let (a, b) = (&pair[0].range, &pair[1].range);
            prop_assert!(a.start <= b.start);
            let next = &requests[pair[1].requests[0]];
            prop_assert!(next.start > a.end + gap || next.end - a.start > max_len);
        }
    }
}
