//! Objects of an encrypted blob: its chunk information, and the header of that.

use bytes::Bytes;
use image_model::XtsKey;

#[cfg(feature = "sha256")]
use super::build_error::BuildError;
use super::error::BlobError;

/// The plain bytes of `stored`, the piece `structure` of a blob that is encrypted with `key`; the same if it is not.
///
/// # Errors
/// [`BlobError::Encrypted`] if they cannot be what is encrypted so, or this build cannot decrypt them.
pub(super) fn decrypted(
    key: Option<&XtsKey>,
    structure: &'static str,
    stored: &Bytes,
) -> Result<Bytes, BlobError> {
    let Some(key) = key else {
        return Ok(stored.clone());
    };
    #[cfg(feature = "encryption")]
    let plain = frame_codec::xts::decrypt(key, stored).map(Bytes::from);
    #[cfg(not(feature = "encryption"))]
    let plain = {
        let _ = key;
        None
    };
    plain.ok_or(BlobError::Encrypted { structure })
}

impl super::toc::TocEntry {
    /// The section as it is [extracted](Self::extract) once it is not encrypted any more. `stored` are its bytes in the
    /// blob of `entry`.
    ///
    /// # Errors
    /// [`BlobError::Encrypted`].
    pub fn decrypt(
        &self,
        entry: &crate::v6::BlobEntry,
        stored: &Bytes,
    ) -> Result<Bytes, BlobError> {
        use super::layout::Section;
        let is = |section: Section| self.name() == section.name().as_bytes();
        let encrypted = is(Section::ChunkInfo) || is(Section::ChunkInfoHeader);
        let key = entry.xts_key().filter(|_| encrypted);
        decrypted(key.as_ref(), "section of the blob", stored)
    }
}

/// Whether it is taken for a padded object once it is encrypted.
#[cfg(feature = "sha256")]
pub(super) fn looks_padded(object: &[u8]) -> bool {
    #[cfg(feature = "encryption")]
    return frame_codec::xts::looks_padded(object);
    #[cfg(not(feature = "encryption"))]
    return object.is_empty();
}

/// `object`, encrypted with `key`, if there is one.
#[cfg(feature = "sha256")]
pub(super) fn encrypted<'o>(
    key: Option<&XtsKey>,
    object: &'o [u8],
) -> Result<std::borrow::Cow<'o, [u8]>, BuildError> {
    let Some(key) = key else {
        return Ok(object.into());
    };
    #[cfg(feature = "encryption")]
    {
        let mut stored = Vec::new();
        frame_codec::xts::encrypt(key, object, &mut stored);
        Ok(stored.into())
    }
    #[cfg(not(feature = "encryption"))]
    {
        let _ = key;
        Err(BuildError::NoEncryption)
    }
}
