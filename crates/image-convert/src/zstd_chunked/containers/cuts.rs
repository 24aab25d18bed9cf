//! Cutting a file where its source has cut it.

use chunk_dedup::rollsum::Part;

use crate::stage::SourceChunk;

/// Says where the chunks of a file end, as [`RollsumChunker`](chunk_dedup::rollsum::RollsumChunker) does.
pub(super) struct SourceCuts<'c> {
    chunks: std::slice::Iter<'c, SourceChunk>,
    /// Bytes of the current chunk that are still to come.
    left: u64,
    begun: bool,
}

impl<'c> SourceCuts<'c> {
    pub(super) fn new(chunks: &'c [SourceChunk]) -> Self {
        Self {
            chunks: chunks.iter(),
            left: 0,
            begun: false,
        }
    }

    /// Takes the next bytes of the file. What comes after the last chunk is one more.
    pub(super) fn feed<E>(
        &mut self,
        mut bytes: &[u8],
        take: &mut impl FnMut(Part<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            if !self.begun {
                self.begun = true;
                self.left = (self.chunks.next()).map_or(u64::MAX, |chunk| chunk.len.into());
            }
            let len = self.left.min(bytes.len() as u64);
            let (now, rest) = bytes.split_at(len as usize);
            take(Part::Data(now))?;
            self.left -= len;
            bytes = rest;
            if self.left == 0 {
                self.begun = false;
                take(Part::End)?;
            }
        }
        Ok(())
    }

    /// Ends the file, and its last chunk if that is incomplete.
    pub(super) fn end_file<E>(
        &mut self,
        take: &mut impl FnMut(Part<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match std::mem::take(&mut self.begun) {
            true => take(Part::End),
            false => Ok(()),
        }
    }
}
