//! Cutting content into the pieces of the batch that grows.

use image_model::ImagePath;
use verify::ExtentBytes;

use super::batch::Chunk;
use super::rules::SourceChunk;
use super::{Stage, Target};
use crate::ConvertError;

/// What the piece that grows is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Growing {
    Nothing,
    /// Bytes without a chunk.
    Bytes,
    /// A chunk that is not complete, the first so many of its bytes zeros that are nowhere.
    Chunk {
        zeros: u32,
    },
    /// A complete chunk, and what follows it.
    Whole(Chunk),
    /// A complete chunk of zeros that are nowhere.
    WholeZeros {
        len: u32,
        file_offset: u64,
    },
}

impl<T: Target> Stage<'_, '_, T> {
    /// Begins a file of `size` bytes, whose content is to follow; `path` is asked only for errors.
    pub(crate) fn begin_file(
        &mut self,
        size: u64,
        path: impl Fn() -> ImagePath,
    ) -> Result<(), ConvertError> {
        let limit = self.max_chunks;
        if size.div_ceil(self.chunker.max_len().into()) > u64::from(limit.saturating_sub(self.cut))
        {
            return Err(ConvertError::TooManyChunks {
                path: path(),
                limit,
            });
        }
        self.chunker.end_file();
        (self.left, self.file_offset) = (size, 0);
        self.kept.clear();
        self.follows = false;
        Ok(())
    }

    /// Says which chunks the file that was begun has in the source, so that their frames are kept where a piece turns out
    /// to hold the same bytes; whether it is cut where the source has cut it.
    pub(crate) fn keep(&mut self, chunks: &[SourceChunk], follow: bool) {
        self.kept.clear();
        self.kept.extend(chunks);
        let room = self.max_chunks.saturating_sub(self.cut) as usize;
        self.follows = follow && chunks.len() <= room;
    }

    /// Length of the chunk that comes, if the source says.
    fn told_len(&self) -> Option<u32> {
        let next = self.kept.front().filter(|_| self.follows)?;
        Some(next.len)
    }

    /// Takes the next bytes of the file.
    pub(crate) fn push(&mut self, bytes: ExtentBytes<'_>) -> Result<(), ConvertError> {
        let mut data = match bytes {
            ExtentBytes::Zeros(len) => return self.fill_zeros(len),
            ExtentBytes::Data(data) => data,
        };
        self.fill(data.len() as u64, &mut |place| {
            let (now, rest) = data.split_at(place.len());
            place.copy_from_slice(now);
            data = rest;
            Ok(())
        })
    }

    /// Takes the next `len` bytes of the file, which `read` puts where they are to be, slice by slice.
    pub(crate) fn fill(
        &mut self,
        len: u64,
        read: &mut dyn FnMut(&mut [u8]) -> Result<(), ConvertError>,
    ) -> Result<(), ConvertError> {
        let mut left = len.min(self.left);
        while left > 0 {
            let now = self.open_room(left)?;
            read(self.batch.extend(now))?;
            left -= now as u64;
            self.feed(self.batch.growing().len() - now, now)?;
        }
        Ok(())
    }

    /// Makes room for the next bytes of the file, of which there are `left`; says for how many.
    fn open_room(&mut self, left: u64) -> Result<usize, ConvertError> {
        self.open_chunk()?;
        // At most the length of a chunk.
        let now = self.missing().min(left) as usize;
        if self.batch.growing().is_empty() {
            let whole = self.missing().min(self.left) as usize;
            self.reserve(whole + self.rules.room_behind)?;
        } else {
            self.reserve(now)?;
        }
        Ok(now)
    }

    /// Takes the next `len` bytes of the file, which workers read at `offset` of the [origin](super::Rules::origin).
    /// Only for chunkers that do not look at content.
    pub(crate) fn fetch(&mut self, len: u64, offset: u64) -> Result<(), ConvertError> {
        let mut left = len.min(self.left);
        let mut at = offset;
        while left > 0 {
            let now = self.open_room(left)?;
            if !self.batch.extend_later(now, at)
                && let Some(origin) = self.rules.origin
            {
                origin.fetch(at, self.batch.extend(now))?;
            }
            left -= now as u64;
            at += now as u64;
            self.feed(self.batch.growing().len() - now, now)?;
        }
        Ok(())
    }

    /// Takes the next `len` bytes of the file, which are zeros.
    pub(crate) fn fill_zeros(&mut self, len: u64) -> Result<(), ConvertError> {
        if self.follows {
            return self.fill(len, &mut |place| {
                place.fill(0);
                Ok(())
            });
        }
        let mut left = len.min(self.left);
        while left > 0 {
            if !matches!(self.growing, Growing::Chunk { .. }) {
                self.close()?;
                self.growing = Growing::Chunk { zeros: 0 };
            }
            let now = self.missing().min(left);
            let begun = self.batch.growing().len();
            if begun > 0 {
                self.reserve(now as usize)?;
                self.batch.extend(now as usize).fill(0);
                left -= now;
                self.feed(begun, now as usize)?;
                continue;
            }
            let end = self.chunker.feed_zeros(now);
            let fed = end.unwrap_or(now);
            left -= fed;
            self.left -= fed;
            let Growing::Chunk { zeros } = &mut self.growing else {
                continue;
            };
            *zeros += fed as u32;
            if end.is_some() || self.left == 0 {
                let len = *zeros;
                let file_offset = self.end_chunk(len).file_offset;
                self.growing = Growing::WholeZeros { len, file_offset };
            }
        }
        Ok(())
    }

    /// Takes more bytes of a chunk that ends where the caller [says](Self::end_here), of a file of 0 bytes.
    pub(crate) fn grow(&mut self, bytes: &[u8]) -> Result<(), ConvertError> {
        self.open_chunk()?;
        // A long one is copied few times.
        let room = bytes.len().max(self.batch.growing().len());
        self.reserve(room)?;
        self.batch.extend(bytes.len()).copy_from_slice(bytes);
        Ok(())
    }

    /// Takes `len` more zeros of such a chunk, which has nothing else.
    pub(crate) fn grow_zeros(&mut self, len: u32) -> Result<(), ConvertError> {
        if !matches!(self.growing, Growing::Chunk { .. }) {
            self.close()?;
            self.growing = Growing::Chunk { zeros: 0 };
        }
        if let Growing::Chunk { zeros } = &mut self.growing {
            *zeros += len;
        }
        Ok(())
    }

    /// Ends a chunk that was [grown](Self::grow).
    pub(crate) fn end_here(&mut self) {
        match self.growing {
            Growing::Chunk { zeros: len @ 1.. } => {
                let file_offset = self.end_chunk(len).file_offset;
                self.growing = Growing::WholeZeros { len, file_offset };
            }
            // No longer than the caller lets it grow.
            Growing::Chunk { .. } => self.end_bytes(self.batch.growing().len()),
            _ => {}
        }
    }

    /// Begins a piece without a chunk, with room for `len` bytes.
    pub(crate) fn begin_piece(&mut self, len: usize) -> Result<(), ConvertError> {
        self.close()?;
        self.reserve(len)?;
        self.growing = Growing::Bytes;
        Ok(())
    }

    /// Appends bytes to the piece that grows, after its chunk if it has one; to a new piece after a chunk whose frame may
    /// be kept as it is.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), ConvertError> {
        if let Growing::Whole(Chunk {
            kept: Some(kept), ..
        }) = self.growing
            && kept.whole
        {
            self.close()?;
        }
        if self.growing == Growing::Nothing {
            self.growing = Growing::Bytes;
        }
        self.settle_zeros()?;
        self.reserve(bytes.len())?;
        self.batch.extend(bytes.len()).copy_from_slice(bytes);
        Ok(())
    }

    /// Length of the piece that grows, in bytes.
    pub(crate) fn growing_len(&self) -> usize {
        self.batch.growing().len()
    }

    /// Ends the piece that grows.
    pub(crate) fn close(&mut self) -> Result<(), ConvertError> {
        let len = self.batch.growing().len();
        match std::mem::replace(&mut self.growing, Growing::Nothing) {
            Growing::Nothing => return Ok(()),
            Growing::Bytes | Growing::Chunk { .. } => {
                self.batch.cut(len, Chunk::default());
            }
            Growing::Whole(chunk) => self.batch.cut(len, chunk),
            Growing::WholeZeros { len, file_offset } => self.batch.push_zeros(len, file_offset),
        }
        if self.batch.is_full(self.batch_len) {
            self.submit()?;
        }
        Ok(())
    }

    /// Sees to it that a chunk grows, in the batch.
    fn open_chunk(&mut self) -> Result<(), ConvertError> {
        if let Growing::Chunk { .. } = self.growing {
            return self.settle_zeros();
        }
        self.close()?;
        self.growing = Growing::Chunk { zeros: 0 };
        Ok(())
    }

    /// Puts zeros that are nowhere into the batch, since other bytes follow.
    fn settle_zeros(&mut self) -> Result<(), ConvertError> {
        let (zeros, missing, settled) = match self.growing {
            Growing::Chunk { zeros: 0 } => return Ok(()),
            Growing::Chunk { zeros } => {
                let missing = self.missing().min(self.left) as usize;
                (zeros, missing, Growing::Chunk { zeros: 0 })
            }
            Growing::WholeZeros { len, file_offset } => {
                let chunk = Chunk {
                    len,
                    file_offset,
                    kept: None,
                };
                (len, 0, Growing::Whole(chunk))
            }
            _ => return Ok(()),
        };
        self.reserve(zeros as usize + missing + self.rules.room_behind)?;
        self.batch.extend(zeros as usize).fill(0);
        self.growing = settled;
        Ok(())
    }

    /// Bytes that the chunk which grows may still get.
    fn missing(&self) -> u64 {
        let zeros = match self.growing {
            Growing::Chunk { zeros } => u64::from(zeros),
            _ => 0,
        };
        let grown = self.batch.growing().len() as u64 + zeros;
        let len = self.told_len().unwrap_or_else(|| self.chunker.max_len());
        u64::from(len).saturating_sub(grown)
    }

    /// Looks where the chunk ends, now that `len` bytes came after the `begun` that it had.
    fn feed(&mut self, begun: usize, len: usize) -> Result<(), ConvertError> {
        self.left -= len as u64;
        if let Some(told) = self.told_len() {
            // No more than that was read.
            if self.batch.growing().len() == told as usize || self.left == 0 {
                self.end_bytes(self.batch.growing().len());
            }
            return Ok(());
        }
        let mut fed = begun;
        while let Some(end) = self.chunker.feed(&self.batch.growing()[fed..]) {
            fed += end;
            self.end_bytes(fed);
            if fed == self.batch.growing().len() {
                return Ok(());
            }
            // The next chunk has begun already.
            let Growing::Whole(chunk) = self.growing else {
                return Ok(());
            };
            self.batch.cut(fed, chunk);
            self.growing = Growing::Chunk { zeros: 0 };
            fed = 0;
        }
        if self.left == 0 {
            let len = self.batch.growing().len();
            self.end_bytes(len);
        }
        Ok(())
    }

    /// Ends the chunk that grows in the batch after `len` bytes.
    fn end_bytes(&mut self, len: usize) {
        // At most the length of a chunk.
        self.growing = Growing::Whole(self.end_chunk(len as u32));
    }

    /// Counts a chunk that ends here, and looks for its frame.
    fn end_chunk(&mut self, len: u32) -> Chunk {
        self.cut += 1;
        let file_offset = self.file_offset;
        self.file_offset += u64::from(len);
        let mut kept = None;
        while let Some(next) = self.kept.front()
            && next.file_offset < self.file_offset
        {
            if (next.file_offset, next.len) == (file_offset, len) {
                kept = next.frame;
            }
            self.kept.pop_front();
        }
        Chunk {
            len,
            file_offset,
            kept,
        }
    }
}
