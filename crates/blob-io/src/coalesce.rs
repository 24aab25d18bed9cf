//! Many small ranges into few larger ones.

use std::ops::Range;

/// One range to fetch, and the requests that it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Bytes of the blob to fetch; not empty.
    pub range: Range<u64>,
    /// Positions in the list of requests. Request `i` lies at `requests[i].start - range.start`
    /// of the fetched bytes, whole.
    pub requests: Vec<usize>,
}

/// Merges `requests` into ranges to fetch, in ascending order.
///
/// Neighbours are merged if at most `gap` unwanted bytes lie between them and the merged range is
/// at most `max_len` bytes long. Every request that is not empty lies whole in exactly one fetch;
/// a request longer than `max_len` is not cut. Bytes are fetched twice only where requests overlap
/// in part and `max_len` forbids to merge them.
///
/// ```
/// use lazyoci_blob_io::{Fetch, coalesce};
/// let requests = [4096..8192, 0..100, 200..300];
/// assert_eq!(
///     coalesce(&requests, 512, 1 << 20),
///     [
///         Fetch { range: 0..300, requests: vec![1, 2] },
///         Fetch { range: 4096..8192, requests: vec![0] },
///     ]
/// );
/// ```
#[must_use]
pub fn coalesce(requests: &[Range<u64>], gap: u64, max_len: u64) -> Vec<Fetch> {
    let mut order: Vec<usize> = (0..requests.len())
        .filter(|&i| !requests[i].is_empty())
        .collect();
    order.sort_unstable_by_key(|&i| (requests[i].start, requests[i].end, i));

    let mut fetches: Vec<Fetch> = Vec::new();
    for i in order {
        let request = &requests[i];
        if let Some(last) = fetches.last_mut() {
            let range = &mut last.range;
            let end = range.end.max(request.end);
            let near = request.start <= range.end.saturating_add(gap);
            if near && (end == range.end || end - range.start <= max_len) {
                range.end = end;
                last.requests.push(i);
                continue;
            }
        }
        fetches.push(Fetch {
            range: request.clone(),
            requests: vec![i],
        });
    }
    fetches
}
