//! A decoded frame, and which of its chunks were found right.

use std::collections::HashSet;
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use image_model::Digest;
use verify::{CheckError, check_chunk};

use super::buffers::Buffer;

/// A frame's plain bytes, and which of its chunks were found right.
#[derive(Debug)]
pub(super) struct DecodedFrame {
    bytes: FrameBytes,
    verified: Mutex<HashSet<ChunkCheck>>,
}

#[derive(Debug)]
pub(super) enum FrameBytes {
    Decoded(Buffer),
    /// Stored as they are.
    Stored(Bytes),
}

/// A chunk of a frame, and what the image says of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ChunkCheck {
    pub(super) offset_in_frame: u32,
    pub(super) len: u64,
    pub(super) digest: Option<Digest>,
    pub(super) crc32c: Option<u32>,
}

impl ChunkCheck {
    /// Whether the image says anything of the bytes.
    pub(super) fn vouches(&self) -> bool {
        self.digest.is_some() || self.crc32c.is_some()
    }

    /// Compares the chunk with its digest and checksum; it lies in `frame`.
    pub(super) fn check(&self, frame: &[u8]) -> Result<(), CheckError> {
        let start = self.offset_in_frame as usize;
        let bytes = &frame[start..start + self.len as usize];
        check_chunk(bytes, self.digest.as_ref(), self.crc32c)
    }
}

impl DecodedFrame {
    pub(super) fn new(bytes: FrameBytes) -> Self {
        Self {
            bytes,
            verified: Mutex::default(),
        }
    }

    /// Compares a chunk, which lies in the frame, with its digest and checksum, if nobody did before.
    pub(super) fn verify(&self, chunk: &ChunkCheck) -> Result<(), CheckError> {
        if !chunk.vouches() || self.verified().contains(chunk) {
            return Ok(());
        }
        chunk.check(self)?;
        let mut verified = self.verified();
        // The records of a frame take less memory than the frame: an image may claim that it
        // contains any number of chunks.
        if verified.len() < 16 + self.len() / 256 {
            verified.insert(*chunk);
        }
        Ok(())
    }

    fn verified(&self) -> MutexGuard<'_, HashSet<ChunkCheck>> {
        // No thread panics while it holds the lock.
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for DecodedFrame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.bytes {
            FrameBytes::Decoded(buffer) => buffer,
            FrameBytes::Stored(bytes) => bytes,
        }
    }
}
