//! Decoded bytes that have not been read, and the 32 KiB before them.

use image_model::deflate::WINDOW_LEN;
use image_model::width::u64_from;

/// Number of decoded bytes to hold.
const ROOM: usize = 256 << 10;

pub(crate) struct Output {
    /// The window of what is decoded next lies before `end`.
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    total: u64,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self {
            bytes: vec![0; WINDOW_LEN + ROOM].into(),
            start: WINDOW_LEN,
            end: WINDOW_LEN,
            total: 0,
        }
    }

    /// Number of bytes decoded so far.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Where the next decoded bytes go; not empty unless it is full.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        let (bytes, end) = self.all();
        &mut bytes[end..]
    }

    /// All of the buffer, and where in it the next decoded bytes go, after the window.
    pub(crate) fn all(&mut self) -> (&mut [u8], usize) {
        if self.end == self.bytes.len() && self.start == self.end {
            let window = self.end.saturating_sub(WINDOW_LEN);
            self.bytes.copy_within(window.., 0);
            (self.start, self.end) = (WINDOW_LEN, WINDOW_LEN);
        }
        (&mut self.bytes, self.end)
    }

    /// Records that `len` bytes were decoded into the room.
    pub(crate) fn write(&mut self, len: usize) {
        self.end = self.end.saturating_add(len);
        self.total = self.total.saturating_add(u64_from(len));
    }

    pub(crate) fn is_full(&self) -> bool {
        self.end == self.bytes.len()
    }

    /// The last `len` bytes.
    pub(crate) fn last(&self, len: usize) -> &[u8] {
        &self.bytes[self.end.saturating_sub(len)..self.end]
    }

    /// The 32 KiB before what is decoded next; zeros before the first byte.
    pub(crate) fn window(&self) -> &[u8] {
        self.last(WINDOW_LEN)
    }

    /// The bytes that have not been read.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(crate) fn take(&mut self, len: usize) {
        self.start = self.start.saturating_add(len);
    }

    /// Passes over what has not been read.
    pub(crate) fn discard(&mut self) {
        self.start = self.end;
    }
}
