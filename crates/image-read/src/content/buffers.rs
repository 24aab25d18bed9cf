//! Buffers that are used again.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of spare buffers that are kept.
const MAX_SPARE: usize = 4 << 20;

/// Shorter ones cost the allocator nothing.
const MIN_LEN: usize = 32 << 10;

/// Spare buffers: fresh memory of a megabyte costs more than it takes to fill it.
#[derive(Debug, Default)]
pub(super) struct BufferPool {
    spare: Mutex<Spare>,
}

#[derive(Debug, Default)]
struct Spare {
    /// Those that came back first stand first.
    buffers: VecDeque<Vec<u8>>,
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
        let spare = match len {
            ..MIN_LEN => None,
            _ => pool.take(len),
        };
        let bytes = match spare {
            Some(mut bytes) => {
                // Only what is longer than before is filled with zeros.
                bytes.resize(len, 0);
                bytes
            }
            None => vec![0; len],
        };
        Buffer {
            bytes,
            pool: Arc::clone(pool),
        }
    }

    /// The spare buffer that fits best, if one does. One that is far too long does not: what is in
    /// it may stay for long, and counts as what it is.
    fn take(&self, len: usize) -> Option<Vec<u8>> {
        let fits = len..=len.saturating_add(len / 4);
        let mut spare = self.spare();
        let fitting = spare.buffers.iter().enumerate();
        let best = fitting
            .filter(|(_, buffer)| fits.contains(&buffer.capacity()))
            .min_by_key(|(_, buffer)| buffer.capacity());
        let (index, _) = best?;
        let buffer = spare.buffers.remove(index)?;
        spare.len -= buffer.capacity();
        Some(buffer)
    }

    /// Keeps a buffer, and drops those that nobody took for longest if they are too many.
    fn put(&self, bytes: Vec<u8>) {
        let len = bytes.capacity();
        if !(MIN_LEN..=MAX_SPARE).contains(&len) {
            return;
        }
        let mut dropped = Vec::new();
        let mut spare = self.spare();
        while spare.len + len > MAX_SPARE
            && let Some(oldest) = spare.buffers.pop_front()
        {
            spare.len -= oldest.capacity();
            dropped.push(oldest);
        }
        spare.len += len;
        spare.buffers.push_back(bytes);
        drop(spare);
        // Memory is returned to the system after the lock is released.
        drop(dropped);
    }

    /// Drops all spare buffers.
    pub(super) fn clear(&self) {
        let dropped = std::mem::take(&mut *self.spare());
        drop(dropped);
    }

    fn spare(&self) -> MutexGuard<'_, Spare> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.pool.put(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_used_again_for_what_is_about_as_long() {
        let pool = Arc::default();
        let at = |buffer: &Buffer| buffer.as_ptr();
        let mut first = BufferPool::buffer(&pool, 1 << 20);
        first.fill(7);
        let place = at(&first);
        drop(first);
        // One of a tenth would keep a megabyte.
        let short = BufferPool::buffer(&pool, 100 << 10);
        assert_ne!(at(&short), place);
        assert_eq!(short[..], vec![0; 100 << 10]);
        let again = BufferPool::buffer(&pool, 900 << 10);
        assert_eq!((at(&again), again.len()), (place, 900 << 10));
        let other = BufferPool::buffer(&pool, 900 << 10);
        assert_ne!(at(&other), place);
    }

    #[test]
    fn spare_buffers_are_bounded_and_the_oldest_go() {
        let pool = Arc::default();
        let lens = (0..40).map(|n| (1 << 20) - n);
        let buffers: Vec<_> = lens.map(|len| BufferPool::buffer(&pool, len)).collect();
        let places: Vec<_> = buffers.iter().map(|buffer| buffer.as_ptr()).collect();
        drop(buffers);
        let spare = pool.spare();
        let kept: Vec<_> = spare.buffers.iter().map(Vec::as_ptr).collect();
        assert_eq!(kept, places[36..]);
        assert!(spare.len <= MAX_SPARE);
    }
}
