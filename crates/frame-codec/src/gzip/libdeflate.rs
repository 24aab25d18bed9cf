//! Members written by libdeflate. Reading stays with zlib-rs: libdeflate's safe interface does not
//! tell where the deflate stream ended, so bytes between it and the trailer would go unnoticed, and
//! it cannot decode prefixes.

use libdeflater::{CompressionLvl, Compressor, crc32};

use super::{header, trailer};
use crate::{CodecError, Compression};

/// Frames whose room is longer do not get it in the caller's vector.
const LONG: usize = 8 << 20;

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
        const FITS: &str = "the output has the maximum size";
        out.extend_from_slice(&header::write(self.level));
        let start = out.len();
        let bound = self.deflate.deflate_compress_bound(plain.len());
        if bound > LONG {
            // Fresh zeros of the system, of which only those that are overwritten take memory.
            let mut room = vec![0; bound];
            let len = self.deflate.deflate_compress(plain, &mut room);
            out.extend_from_slice(&room[..len.expect(FITS)]);
        } else {
            out.resize(start + bound, 0);
            let len = self.deflate.deflate_compress(plain, &mut out[start..]);
            out.truncate(start + len.expect(FITS));
        }
        out.extend_from_slice(&trailer(crc32(plain), plain));
    }
}
