//! Buffers that are used again.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of spare buffers that are kept.
const MAX_SPARE: usize = 8 << 20;

/// Shorter ones cost the allocator nothing.
const MIN_LEN: usize = 32 << 10;

/// Spare buffers: fresh memory of a megabyte costs more than it takes to fill it.
#[derive(Debug, Default)]
pub(super) struct BufferPool {
    spare: Mutex<Spare>,
}

#[derive(Debug, Default)]
struct Spare {
    buffers: Vec<Vec<u8>>,
    len: usize,
}

/// A buffer that goes back to its pool when it is dropped.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    pool: Arc<BufferPool>,
}

impl BufferPool {
    /// A buffer of `len` bytes, whatever they are.
    pub(super) fn buffer(pool: &Arc<Self>, len: usize) -> Buffer {
        let mut bytes = if len < MIN_LEN {
            Vec::new()
        } else {
            pool.take(len)
        };
        // Longer ones are cut; only what is longer than before is filled with zeros.
        bytes.resize(len, 0);
        Buffer {
            bytes,
            pool: Arc::clone(pool),
        }
    }

    /// The spare buffer that fits best, if one does.
    fn take(&self, len: usize) -> Vec<u8> {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = spare.buffers.iter().enumerate();
        let best = fitting
            .filter(|(_, buffer)| buffer.capacity() >= len)
            .min_by_key(|(_, buffer)| buffer.capacity());
        let Some((index, _)) = best else {
            return Vec::new();
        };
        let buffer = spare.buffers.swap_remove(index);
        spare.len -= buffer.capacity();
        buffer
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let len = bytes.capacity();
        if len < MIN_LEN {
            return;
        }
        let mut spare = self
            .pool
            .spare
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if spare.len + len <= MAX_SPARE {
            spare.len += len;
            spare.buffers.push(bytes);
        }
    }
}
