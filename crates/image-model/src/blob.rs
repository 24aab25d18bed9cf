//! Blobs: the stored objects that hold frames.

use std::fmt;

/// Position of a blob in its image's blob list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobIndex(pub u32);

/// Name of a blob: its file name in a store, the hex part of its digest in a registry.
///
/// Safe as a file name: 1 to 255 visible ASCII characters, no `/`, neither `.` nor `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(Box<str>);

/// Text that is not a [`BlobId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a blob id: must be 1 to 255 visible ASCII characters without `/`", id.escape_ascii())]
pub struct BlobIdError {
    /// The bytes given.
    pub id: Vec<u8>,
}

impl BlobId {
    /// Checks and takes `id`.
    ///
    /// # Errors
    /// [`BlobIdError`] if `id` is unsafe as a file name.
    pub fn new(id: &[u8]) -> Result<Self, BlobIdError> {
        let safe = (1..=255).contains(&id.len())
            && id.iter().all(|&b| b.is_ascii_graphic() && b != b'/')
            && id != b"."
            && id != b"..";
        match str::from_utf8(id) {
            Ok(text) if safe => Ok(Self(text.into())),
            _ => Err(BlobIdError { id: id.to_vec() }),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for BlobId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// What an image says about one of its blobs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Blob {
    /// Name of the blob.
    pub id: BlobId,
    /// Bytes of the stored object, if known.
    pub stored_len: Option<u64>,
    /// Bytes of its logical, decoded address space, if known.
    pub decoded_len: Option<u64>,
    /// Chunks in the blob, including those that this image does not use, if known.
    pub chunk_count: Option<u32>,
}

impl Blob {
    /// A blob of which only the name is known.
    #[must_use]
    pub fn new(id: BlobId) -> Self {
        Self {
            id,
            stored_len: None,
            decoded_len: None,
            chunk_count: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blob_ids_are_safe_file_names() {
        assert_eq!(BlobId::new(b"ab12").unwrap().as_str(), "ab12");
        for bad in [
            &b""[..],
            b".",
            b"..",
            b"a/b",
            b"a\0",
            b"\xff",
            b"a b",
            &[b'a'; 256],
        ] {
            assert_eq!(BlobId::new(bad), Err(BlobIdError { id: bad.to_vec() }));
        }
    }
}
