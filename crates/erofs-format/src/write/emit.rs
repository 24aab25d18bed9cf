//! Writing what was planned, from its first byte to its last.

use std::io;

use image_model::width::{u64_from, usize_up_to};

/// Bytes gathered before they are written.
const BUFFER: usize = 64 << 10;

/// Gathers bytes and knows at which one it is.
#[derive(Debug)]
pub struct Emitter<W> {
    out: W,
    /// Bytes that are not written yet.
    pub buffer: Vec<u8>,
    /// Bytes handed on already.
    written: u64,
    /// Whether zeros between structures are written.
    gaps: bool,
}

impl<W: io::Write> Emitter<W> {
    /// Starts at byte 0 of `out`.
    pub fn new(out: W) -> Self {
        Self {
            out,
            buffer: Vec::with_capacity(BUFFER),
            written: 0,
            gaps: true,
        }
    }

    /// The same, but of the zeros between structures none is written: for what only digests them.
    pub fn without_gaps(out: W) -> Self {
        Self {
            gaps: false,
            ..Self::new(out)
        }
    }

    /// At which byte it is.
    pub fn position(&self) -> u64 {
        self.written.saturating_add(u64_from(self.buffer.len()))
    }

    /// Continues at `offset`, with zeros until there.
    ///
    /// # Errors
    /// Errors of the writer.
    ///
    /// # Panics
    /// If it is after `offset` already.
    pub fn seek(&mut self, offset: u64) -> io::Result<()> {
        let mut gap = offset
            .checked_sub(self.position())
            .expect("nothing is planned over what comes before it");
        if !self.gaps {
            self.written = self.written.saturating_add(gap);
            return Ok(());
        }
        while gap > 0 {
            let part = usize_up_to(gap).min(BUFFER);
            let filled = self.buffer.len().saturating_add(part);
            self.buffer.resize(filled, 0);
            self.flush_if_full()?;
            gap = gap.saturating_sub(u64_from(part));
        }
        Ok(())
    }

    /// Writes what is gathered, if that is much.
    ///
    /// # Errors
    /// Errors of the writer.
    pub fn flush_if_full(&mut self) -> io::Result<()> {
        if self.buffer.len() >= BUFFER {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what is gathered.
    ///
    /// # Errors
    /// Errors of the writer.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.written = self.position();
        self.buffer.clear();
        Ok(())
    }
}
