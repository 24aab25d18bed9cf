//! A member written piece by piece, by zlib-rs.

use std::io::{self, Write};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

use super::header;
use crate::CodecError;

pub(crate) struct MemberWriter<W: Write> {
    deflate: DeflateEncoder<W>,
    crc: Crc,
    /// The header, until it is written.
    header: Option<[u8; header::FIXED_LEN]>,
}

impl<W: Write> MemberWriter<W> {
    pub(crate) fn new(level: u32, out: W) -> Result<Self, CodecError> {
        if level > 9 {
            return Err(CodecError::Level {
                compression: crate::Compression::Gzip { level },
                min: 0,
                max: 9,
            });
        }
        Ok(Self {
            deflate: DeflateEncoder::new(out, Compression::new(level)),
            crc: Crc::new(),
            header: Some(header::write(level)),
        })
    }

    fn begin(&mut self) -> io::Result<()> {
        match self.header.take() {
            // Nothing was compressed so far.
            Some(header) => self.deflate.get_mut().write_all(&header),
            None => Ok(()),
        }
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.begin()?;
        let mut out = self.deflate.finish()?;
        out.write_all(&self.crc.sum().to_le_bytes())?;
        out.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(out)
    }
}

impl<W: Write> Write for MemberWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.begin()?;
        let written = self.deflate.write(buf)?;
        self.crc.update(&buf[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
