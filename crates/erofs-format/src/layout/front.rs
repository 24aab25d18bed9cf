//! The first block, which is known last: it holds the superblock, whose checksum covers all of it.

use std::io;

use image_model::width::usize_up_to;

use crate::superblock::Superblock;

/// Keeps the first block until it is complete, seals it, and passes on everything after it.
pub(super) struct Front<W> {
    superblock: Superblock,
    /// `None` once it is written.
    block: Option<Vec<u8>>,
    out: W,
}

impl<W> Front<W> {
    pub(super) fn new(superblock: Superblock, out: W) -> Self {
        Self {
            superblock,
            block: Some(Vec::new()),
            out,
        }
    }
}

impl<W: io::Write> io::Write for Front<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let Some(block) = &mut self.block else {
            return self.out.write(buf);
        };
        let len = usize_up_to(self.superblock.block_size.bytes());
        let missing = len.saturating_sub(block.len()).min(buf.len());
        block.extend_from_slice(&buf[..missing]);
        if block.len() == len {
            self.superblock.seal(block);
            self.out.write_all(block)?;
            self.block = None;
        }
        Ok(missing)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
