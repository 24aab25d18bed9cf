//! A file whose ends were read already.

use blob_io::{Counted, ReadAt, ReadError, ReadStats};
use bytes::Bytes;

/// A file whose first and last bytes were read to find out what it is: they are not read again.
pub(crate) struct Ends<'a> {
    source: Counted<&'a dyn ReadAt>,
    len: u64,
    head: Bytes,
    tail: Bytes,
}

impl<'a> Ends<'a> {
    /// Of `source` nothing was read.
    pub(crate) fn unread(source: &'a dyn ReadAt) -> Result<Self, ReadError> {
        Ok(Self {
            source: Counted::new(source),
            len: source.len()?,
            head: Bytes::new(),
            tail: Bytes::new(),
        })
    }

    /// Reads the first `len` bytes, or all if there are fewer.
    pub(crate) fn read_head(&mut self, len: usize) -> Result<&Bytes, ReadError> {
        self.head = self.read_bytes(0, self.at_most(len))?;
        Ok(&self.head)
    }

    /// Reads the last `len` bytes, or all if there are fewer.
    pub(crate) fn read_tail(&mut self, len: usize) -> Result<&Bytes, ReadError> {
        let len = self.at_most(len);
        self.tail = self.read_bytes(self.len - len as u64, len)?;
        Ok(&self.tail)
    }

    /// The first bytes, as far as they were read.
    pub(crate) fn head(&self) -> &Bytes {
        &self.head
    }

    /// What was read of the file so far.
    pub(crate) fn stats(&self) -> ReadStats {
        self.source.stats()
    }

    fn at_most(&self, len: usize) -> usize {
        usize::try_from(self.len).map_or(len, |all| all.min(len))
    }

    fn head_end(&self) -> u64 {
        self.head.len() as u64
    }

    fn tail_start(&self) -> u64 {
        self.len - self.tail.len() as u64
    }

    /// The end of `len` bytes at `offset`, which the file must have.
    fn end(&self, offset: u64, len: usize) -> Result<u64, ReadError> {
        let len = len as u64;
        let end = offset.checked_add(len).filter(|&end| end <= self.len);
        end.ok_or(ReadError::OutOfBounds {
            offset,
            len,
            blob_len: self.len,
        })
    }

    /// Bytes that were read already.
    fn known(&self, offset: u64, len: usize) -> Option<Bytes> {
        let pieces = [(0, &self.head), (self.tail_start(), &self.tail)];
        pieces.into_iter().find_map(|(start, piece)| {
            let from = usize::try_from(offset.checked_sub(start)?).ok()?;
            let to = from.checked_add(len)?;
            (to <= piece.len()).then(|| piece.slice(from..to))
        })
    }
}

impl ReadAt for Ends<'_> {
    fn len(&self) -> Result<u64, ReadError> {
        Ok(self.len)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let end = self.end(offset, buf.len())?;
        // Both are positions in `buf`, and the first is at most the second.
        let head = self.head_end().clamp(offset, end) - offset;
        let tail = (self.tail_start().clamp(offset, end) - offset).max(head);
        let (front, back) = buf.split_at_mut(tail as usize);
        let (front, middle) = front.split_at_mut(head as usize);
        if !front.is_empty() {
            front.copy_from_slice(&self.head[offset as usize..][..front.len()]);
        }
        if !middle.is_empty() {
            self.source.read_at(offset + head, middle)?;
        }
        if !back.is_empty() {
            let start = offset + tail - self.tail_start();
            back.copy_from_slice(&self.tail[start as usize..][..back.len()]);
        }
        Ok(())
    }

    fn read_bytes(&self, offset: u64, len: usize) -> Result<Bytes, ReadError> {
        if let Some(bytes) = self.in_memory(offset, len)? {
            return Ok(bytes);
        }
        let end = self.end(offset, len)?;
        if len > 0 && self.head_end() <= offset && end <= self.tail_start() {
            return self.source.read_bytes(offset, len);
        }
        let mut bytes = vec![0; len];
        self.read_at(offset, &mut bytes)?;
        Ok(bytes.into())
    }

    fn in_memory(&self, offset: u64, len: usize) -> Result<Option<Bytes>, ReadError> {
        match self.known(offset, len) {
            Some(bytes) => Ok(Some(bytes)),
            None => self.source.in_memory(offset, len),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not in memory, so that every read counts.
    struct File(Vec<u8>);

    impl ReadAt for File {
        fn len(&self) -> Result<u64, ReadError> {
            Ok(self.0.len() as u64)
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
            self.0.read_at(offset, buf)
        }
    }

    /// Whatever was read first, every range has its bytes, and costs those that are not known.
    #[test]
    fn no_byte_is_read_twice() {
        let bytes: Vec<u8> = (0..10).collect();
        for (head, tail) in (0..=11).flat_map(|head| (0..=11).map(move |tail| (head, tail))) {
            for (start, end) in (0..=10).flat_map(|start| (start..=10).map(move |end| (start, end)))
            {
                let file = Counted::new(File(bytes.clone()));
                let mut ends = Ends::unread(&file).unwrap();
                assert_eq!(ends.read_head(head).unwrap(), &bytes[..head.min(10)]);
                assert_eq!(ends.read_tail(tail).unwrap(), &bytes[10 - tail.min(10)..]);
                let known = |at: &usize| *at < head || *at + tail >= 10;
                let before = file.stats();
                assert_eq!(before.bytes, (0..10).filter(known).count() as u64);
                let read = ends.read_bytes(start as u64, end - start).unwrap();
                assert_eq!(read, bytes[start..end]);
                let missing = (start..end).filter(|at| !known(at)).count() as u64;
                let after = file.stats();
                assert_eq!(after.bytes - before.bytes, missing);
                assert_eq!(after.requests - before.requests, missing.min(1));
            }
        }
    }

    #[test]
    fn bytes_behind_the_end_are_refused() {
        let bytes = Bytes::from_static(b"0123456789");
        let mut ends = Ends::unread(&bytes).unwrap();
        ends.read_head(4).unwrap();
        for (offset, len) in [(9, 2), (11, 0), (u64::MAX, 1), (0, usize::MAX)] {
            let error = ends.read_bytes(offset, len).unwrap_err();
            let expected = (offset, len as u64, 10);
            assert!(
                matches!(error, ReadError::OutOfBounds { offset, len, blob_len }
                    if (offset, len, blob_len) == expected),
                "{error:?}"
            );
        }
    }
}
