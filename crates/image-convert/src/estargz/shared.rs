//! Files that share members.

use image_model::image::ChunkExtent;
use image_model::{ChunkId, Digest, ImagePath};
use verify::{ExtentBytes, Hasher};

use super::members::Members;
use crate::ConvertError;
use crate::stage::Stage;

/// A chunk, and which member it is in.
#[derive(Debug, Clone, Copy)]
pub(super) struct SharedChunk {
    /// Number of the member.
    pub(super) member: u64,
    /// Where it begins in the plain bytes of the member.
    pub(super) inner_offset: u64,
    pub(super) len: u32,
    pub(super) digest: Digest,
}

/// Cuts files into chunks of which several go into one member: a member ends before the content of a file, or a further
/// chunk of one, once it is long enough.
pub(super) struct Shared {
    min_len: usize,
    chunk_size: u32,
    max_chunks: u32,
    /// Number of the member that grows.
    member: u64,
    /// Where all chunks are, in order.
    pub(super) extents: Vec<ChunkExtent>,
    pub(super) content_bytes: u64,
    /// Bytes of the file that are still to come.
    left: u64,
    file_offset: u64,
    growing: Option<Growing>,
}

/// The chunk that grows.
struct Growing {
    inner_offset: u64,
    len: u32,
    hasher: Hasher,
}

impl Shared {
    /// `None` if members are not shared.
    pub(super) fn new(min_len: u32, chunk_size: u32, max_chunks: u32) -> Option<Self> {
        (min_len > 0).then(|| Self {
            min_len: min_len as usize,
            chunk_size,
            max_chunks,
            member: 0,
            extents: Vec::new(),
            content_bytes: 0,
            left: 0,
            file_offset: 0,
            growing: None,
        })
    }

    /// The caller has begun another member.
    pub(super) fn next_member(&mut self) {
        self.member += 1;
    }

    /// Chunks that were cut so far.
    pub(super) fn chunks(&self) -> u32 {
        // No more than `max_chunks`.
        self.extents.len() as u32
    }

    /// Begins a file of `size` bytes, whose content is to follow.
    pub(super) fn begin_file(&mut self, size: u64, path: &ImagePath) -> Result<(), ConvertError> {
        let limit = self.max_chunks;
        let room = limit.saturating_sub(self.chunks());
        if size.div_ceil(self.chunk_size.into()) > u64::from(room) {
            let path = path.clone();
            return Err(ConvertError::TooManyChunks { path, limit });
        }
        (self.left, self.file_offset) = (size, 0);
        Ok(())
    }

    /// Takes the next bytes of the file, whose first chunk may want a member of its `own`.
    pub(super) fn push(
        &mut self,
        bytes: ExtentBytes<'_>,
        stage: &mut Stage<'_, '_, Members<'_>>,
        own: bool,
    ) -> Result<(), ConvertError> {
        for slice in bytes.slices() {
            self.push_slice(slice, stage, own)?;
        }
        Ok(())
    }

    fn push_slice(
        &mut self,
        mut bytes: &[u8],
        stage: &mut Stage<'_, '_, Members<'_>>,
        own: bool,
    ) -> Result<(), ConvertError> {
        while !bytes.is_empty() {
            if self.growing.is_none() {
                self.open(stage, own)?;
            }
            let Some(growing) = &mut self.growing else {
                return Ok(());
            };
            // No more than the rest of a chunk.
            let len = (bytes.len() as u64).min((self.chunk_size - growing.len).into()) as usize;
            let (now, rest) = bytes.split_at(len);
            stage.append(now)?;
            growing.hasher.update(now);
            growing.len += len as u32;
            self.left -= len as u64;
            self.content_bytes += len as u64;
            bytes = rest;
            if growing.len == self.chunk_size || self.left == 0 {
                self.close(stage);
            }
        }
        Ok(())
    }

    /// Begins a chunk.
    fn open(
        &mut self,
        stage: &mut Stage<'_, '_, Members<'_>>,
        own: bool,
    ) -> Result<(), ConvertError> {
        if own || stage.growing_len() >= self.min_len {
            stage.begin_piece(0)?;
            self.next_member();
        }
        self.growing = Some(Growing {
            inner_offset: stage.growing_len() as u64,
            len: 0,
            hasher: Hasher::sha256(),
        });
        Ok(())
    }

    /// Ends the chunk that grows.
    fn close(&mut self, stage: &mut Stage<'_, '_, Members<'_>>) {
        let Some(growing) = self.growing.take() else {
            return;
        };
        let chunk = ChunkId::new(self.chunks());
        self.extents.push(ChunkExtent {
            file_offset: self.file_offset,
            chunk: Some(chunk),
        });
        self.file_offset += u64::from(growing.len);
        stage.target().shared.push_back(SharedChunk {
            member: self.member,
            inner_offset: growing.inner_offset,
            len: growing.len,
            digest: growing.hasher.finish(),
        });
    }
}
