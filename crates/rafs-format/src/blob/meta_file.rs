//! Chunk information as a file of its own.
//!
//! | offset | size | content |
//! |---|---|---|
//! | 0 | n | the chunk information, uncompressed |
//! | n | 0 to 4095 | zeros up to a multiple of 4096 |
//! | end - 4096 | 4096 | the header, as in the blob |
//!
//! nydusd keeps such files in its cache as `ID.blob.meta`, and bootstrap layers of images have them as
//! `image/ID.blob.meta`, so that a blob can be read without asking it for this first.
//!
//! Source: nydus v2, `storage/src/meta/mod.rs` (`BlobCompressionContextInfo`).

use bytes::Bytes;
use image_model::Limits;
use image_model::width::u64_from;

use super::error::BlobError;
use super::header::CiHeader;
use super::meta::BlobMeta;
use crate::v6::BlobEntry;
use crate::view;

/// What the file is padded to.
const ALIGN: u64 = 4096;

/// The file that holds `entries` and the header `header`.
#[cfg(feature = "sha256")]
pub(super) fn write(entries: &[u8], header: &[u8; CiHeader::LEN]) -> Vec<u8> {
    let mut file = entries.to_vec();
    file.resize(file.len().next_multiple_of(CiHeader::LEN), 0);
    file.extend_from_slice(header);
    file
}

impl BlobMeta {
    /// Opens the chunk information of `blob` in a file of its own, `file`.
    ///
    /// # Errors
    /// Those of [`range`](Self::range); [`BlobError::Contradiction`] if `file` has another length;
    /// [`BlobError::HeaderMagic`], [`BlobError::Flags`], [`BlobError::Contradiction`] if the header
    /// is damaged; [`BlobError::Reserved`] if the padding is not zero.
    pub fn decode_file(blob: &BlobEntry, file: &Bytes, limits: &Limits) -> Result<Self, BlobError> {
        Self::range(blob, limits)?;
        let len = blob.ci_uncompressed_size;
        let expected = view::align(len, ALIGN).saturating_add(ALIGN);
        let found = u64_from(file.len());
        let (body, header) = match file.split_last_chunk() {
            Some(parts) if found == expected => parts,
            _ => {
                return Err(BlobError::Contradiction {
                    field: "length of the file of chunk information",
                    expected,
                    found,
                });
            }
        };
        let header = CiHeader::from_bytes(header)?;
        header.check(blob)?;
        let plain =
            file.slice(..usize::try_from(len).map_or(body.len(), |len| len.min(body.len())));
        if body.iter().skip(plain.len()).any(|&byte| byte != 0) {
            return Err(BlobError::Reserved {
                structure: "padding of the chunk information",
            });
        }
        Self::of_plain(blob, &header, &plain)
    }
}
