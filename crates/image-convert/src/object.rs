//! Objects on their way to an output.

use std::io::{self, Write};

use blob_io::{DigestWriter, ObjectRole, ObjectWriter, Output, Written};

use crate::ConvertError;

/// Bytes gathered before they are written.
pub(crate) const BUFFER_LEN: usize = 256 << 10;

/// The same of a bootstrap, which readers map: what is written at once, at a multiple of this, a page cache can hold in
/// one piece, and a processor of most kinds maps as one page. A mapping of many small ones costs more than a thousand
/// lookups.
const MAPPED_LEN: usize = 2 << 20;

/// An object that is written from front to end, in blocks, and called by the digest of what is written; dropped, it
/// leaves nothing.
pub(crate) struct DigestedObject<'o> {
    object: DigestWriter<Box<dyn ObjectWriter + 'o>>,
    block_len: usize,
    /// What is not written yet: the beginning of a block.
    block: Vec<u8>,
}

impl<'o> DigestedObject<'o> {
    /// Begins an object of `output`.
    pub(crate) fn begin(
        output: &'o mut dyn Output,
        role: ObjectRole,
    ) -> Result<Self, ConvertError> {
        Ok(Self {
            object: DigestWriter::new(output.begin(role)?),
            block_len: match role {
                ObjectRole::Bootstrap => MAPPED_LEN,
                _ => BUFFER_LEN,
            },
            block: Vec::new(),
        })
    }

    /// Completes the object.
    pub(crate) fn finish(mut self) -> Result<Written, ConvertError> {
        self.flush()?;
        let (object, written) = self.object.finish();
        object.finish(&written)?;
        Ok(written)
    }

    fn write_block(&mut self) -> io::Result<()> {
        self.object.write_all(&self.block)?;
        self.block.clear();
        Ok(())
    }
}

impl Write for DigestedObject<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.block.is_empty()
            && let Some(whole) = buf.get(..self.block_len)
        {
            self.object.write_all(whole)?;
            return Ok(whole.len());
        }
        let taken = buf.len().min(self.block_len - self.block.len());
        self.block.extend_from_slice(&buf[..taken]);
        if self.block.len() == self.block_len {
            self.write_block()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_block()?;
        self.object.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use blob_io::WriteError;

    use super::*;

    /// Notes how many bytes each write has.
    #[derive(Default, Clone)]
    struct Lens(Rc<RefCell<Vec<usize>>>);

    impl Write for Lens {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().push(buf.len());
            Ok(buf.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl ObjectWriter for Lens {
        fn finish(self: Box<Self>, _written: &Written) -> Result<(), WriteError> {
            Ok(())
        }
    }

    impl Output for Lens {
        fn begin(&mut self, _role: ObjectRole) -> Result<Box<dyn ObjectWriter + '_>, WriteError> {
            Ok(Box::new(self.clone()))
        }

        fn commit(&mut self) -> Result<(), WriteError> {
            Ok(())
        }
    }

    #[test]
    fn blocks_begin_at_multiples_of_their_length() {
        for (role, expected) in [
            (
                ObjectRole::Bootstrap,
                [2 << 20, 2 << 20, 805_696].as_slice(),
            ),
            (ObjectRole::Toc, &[256 << 10, 256 << 10, 256 << 10]),
        ] {
            let mut output = Lens::default();
            let mut object = DigestedObject::begin(&mut output, role).unwrap();
            for _ in 0..50 {
                object.write_all(&[7; 100_000]).unwrap();
            }
            let written = object.finish().unwrap();
            assert_eq!(written.len, 5_000_000);
            let lens = output.0.borrow();
            assert_eq!(lens[..3], expected[..]);
            assert_eq!(lens.iter().sum::<usize>(), 5_000_000);
        }
    }
}
