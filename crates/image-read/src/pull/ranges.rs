//! Some ranges of a blob, fetched piece by piece.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use blob_io::{ReadAt, ReadError};

/// Most bytes of a request, unless more are asked for at once.
const REQUEST_LEN: u64 = 4 << 20;

/// A blob of which nothing but some ranges is read, in long pieces, the last of which is kept.
pub(super) struct Ranges {
    source: Arc<dyn ReadAt>,
    /// In rising order.
    ranges: Vec<Range<u64>>,
    last: Mutex<Fetched>,
}

#[derive(Default)]
struct Fetched {
    offset: u64,
    bytes: Vec<u8>,
    /// Requests and bytes so far.
    read: (u64, u64),
}

impl Ranges {
    pub(super) fn new(source: Arc<dyn ReadAt>, ranges: Vec<Range<u64>>) -> Self {
        Self {
            source,
            ranges,
            last: Mutex::default(),
        }
    }

    /// Requests and bytes so far.
    pub(super) fn read(&self) -> (u64, u64) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.read
    }

    /// What is to be read for `len` bytes from `offset` on.
    fn piece(&self, offset: u64, len: u64) -> Option<Range<u64>> {
        let before = self.ranges.partition_point(|range| range.end <= offset);
        let range = self.ranges.get(before)?;
        let end = offset.checked_add(len)?;
        let is_inside = range.start <= offset && end <= range.end;
        let longest = offset.saturating_add(len.max(REQUEST_LEN));
        is_inside.then(|| offset..range.end.min(longest))
    }
}

impl Fetched {
    /// The `len` bytes from `offset` on, if they are there.
    fn get(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        self.bytes.get(start..start.checked_add(len)?)
    }
}

impl ReadAt for Ranges {
    fn len(&self) -> Result<u64, ReadError> {
        self.source.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let len = buf.len() as u64;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.get(offset, buf.len()).is_none() {
            let piece = self.piece(offset, len).ok_or_else(|| ReadError::Io {
                offset,
                len,
                source: io::Error::other("the plan does not fetch it"),
            })?;
            if offset < last.offset {
                // Out of order: what was fetched ahead stays.
                self.source.read_at(offset, buf)?;
                last.read.0 += 1;
                last.read.1 += len;
                return Ok(());
            }
            let piece_len = piece.end - piece.start;
            // No longer than a request, or than the buffer.
            last.bytes.resize(piece_len as usize, 0);
            last.offset = piece.start;
            let read = self.source.read_at(piece.start, &mut last.bytes);
            if read.is_err() {
                last.bytes.clear();
            }
            read?;
            last.read.0 += 1;
            last.read.1 += piece_len;
        }
        if let Some(bytes) = last.get(offset, buf.len()) {
            buf.copy_from_slice(bytes);
        }
        Ok(())
    }
}
