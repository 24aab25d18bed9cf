//! LZ4 blocks by lz4_flex: no frame, no size prefix.

use image_model::Codec;
use lz4_flex::block::{CompressTable, DecompressError, compress_into_with_table, decompress_into};

use crate::{CodecError, Compression};

pub(crate) struct Compressor {
    /// For plain bytes that fit 16-bit positions. A table for all sizes would be upgraded
    /// permanently by the first long input, and short ones compress to different bytes with the
    /// large table.
    small: CompressTable,
    large: CompressTable,
}

impl Compressor {
    pub(crate) fn new() -> Self {
        Self {
            small: CompressTable::small(),
            large: CompressTable::large(),
        }
    }

    pub(crate) fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        let table = if plain.len() < usize::from(u16::MAX) {
            &mut self.small
        } else {
            &mut self.large
        };
        let start = out.len();
        out.resize(start + Compression::Lz4Block.max_frame_len(plain.len()), 0);
        let stored_len = compress_into_with_table(plain, &mut out[start..], table)
            .expect("the output has the maximum size");
        out.truncate(start + stored_len);
    }
}

pub(crate) fn decompress(stored: &[u8], out: &mut [u8]) -> Result<(), CodecError> {
    let codec = Codec::Lz4Block;
    let expected = out.len() as u64;
    let malformed = |detail| CodecError::Malformed { codec, detail };
    let found = decompress_into(stored, out).map_err(|error| match error {
        DecompressError::OutputTooSmall { .. } => CodecError::TooLong { codec, expected },
        DecompressError::LiteralOutOfBounds | DecompressError::ExpectedAnotherByte => {
            CodecError::Truncated {
                codec,
                stored_len: stored.len() as u64,
            }
        }
        DecompressError::OffsetZero => malformed("match with offset 0"),
        DecompressError::OffsetOutOfBounds => malformed("match before the start of the block"),
        _ => malformed("refused by lz4_flex"),
    })? as u64;
    if found == expected {
        Ok(())
    } else {
        Err(CodecError::Length {
            codec,
            expected,
            found,
        })
    }
}
