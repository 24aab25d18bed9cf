//! Undoing the compression of a section.

use bytes::Bytes;
use frame_codec::{CodecError, Decoder};
use image_model::width::{u64_from, usize_up_to};
use image_model::{Codec, Limits};

use super::error::BlobError;
use crate::flags::Compressor;

/// No codec here expands further: a zstd block of 128 KiB can take four bytes.
const MAX_RATIO: u64 = 1 << 16;

/// How a section is stored.
pub(super) struct Stored<'a> {
    /// Its name, for errors.
    pub(super) name: &'a str,
    pub(super) compressor: Compressor,
    /// Plain bytes.
    pub(super) len: u64,
}

impl Stored<'_> {
    /// The plain bytes: `stored` itself if it is not compressed. Reserves memory only for what
    /// `limits` allow and the stored bytes can decode to.
    pub(super) fn decode(
        &self,
        stored: &Bytes,
        decoder: &mut Decoder,
        limits: &Limits,
    ) -> Result<Bytes, BlobError> {
        let codec = Codec::from(self.compressor);
        let stored_len = u64_from(stored.len());
        if self.len > limits.max_metadata_len {
            return Err(BlobError::Limit {
                piece: "bytes of a section",
                declared: self.len,
                limit: limits.max_metadata_len,
            });
        }
        if codec == Codec::None && stored_len == self.len {
            return Ok(stored.clone());
        }
        if codec == Codec::None || self.len > stored_len.saturating_mul(MAX_RATIO) {
            let (expected, found) = (self.len, stored_len);
            return Err(self.error(CodecError::Length {
                codec,
                expected,
                found,
            }));
        }
        // No 32-bit platform gets here with more: `stored` itself would not fit.
        let len = usize_up_to(self.len);
        let mut plain = vec![0; len];
        decoder
            .decode(codec, stored, &mut plain)
            .map_err(|source| self.error(source))?;
        Ok(plain.into())
    }

    fn error(&self, source: CodecError) -> BlobError {
        BlobError::Decompress {
            section: self.name.into(),
            source,
        }
    }
}
