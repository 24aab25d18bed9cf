//! Members written by libdeflate.
//!
//! Reading stays with zlib-rs: libdeflate's safe interface does not tell where the deflate stream
//! ended, so bytes between it and the trailer would go unnoticed, and it decodes no prefixes.

use libdeflater::{CompressionLvl, Compressor, crc32};

use super::{header, trailer};
use crate::{CodecError, Compression};

pub(crate) struct LibdeflateCompressor {
    deflate: Compressor,
    level: u32,
}

impl LibdeflateCompressor {
    pub(crate) fn new(level: u32) -> Result<Self, CodecError> {
        let known = i32::try_from(level).ok().map(CompressionLvl::new);
        match known {
            Some(Ok(known)) => Ok(Self {
                deflate: Compressor::new(known),
                level,
            }),
            _ => Err(CodecError::Level {
                compression: Compression::Libdeflate { level },
                min: 0,
                max: 12,
            }),
        }
    }

    pub(crate) fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&header::write(self.level));
        let start = out.len();
        out.resize(start + self.deflate.deflate_compress_bound(plain.len()), 0);
        let len = self
            .deflate
            .deflate_compress(plain, &mut out[start..])
            .expect("the output has the maximum size");
        out.truncate(start + len);
        out.extend_from_slice(&trailer(crc32(plain), plain));
    }
}
