//! The blobs of a dictionary file.

use image_model::width::{u64_from, usize_up_to};
use image_model::{BlobId, BlobIndex};

use super::DictionaryFile;
use super::columns::position;
use crate::error::DictionaryError;
use crate::placement::BlobRecord;

impl<B: AsRef<[u8]>> DictionaryFile<B> {
    /// Number of blobs.
    #[must_use]
    pub fn blob_count(&self) -> u32 {
        self.header.blobs
    }

    /// What the file says of a blob.
    ///
    /// # Errors
    /// [`DictionaryError::Blob`] if there is no such blob, or what is said is damaged.
    pub fn blob_record(&self, blob: BlobIndex) -> Result<BlobRecord, DictionaryError> {
        let fail = |what| DictionaryError::Blob { blob: blob.0, what };
        if blob.0 >= self.header.blobs {
            return Err(fail("there is no such blob"));
        }
        let start = match blob.0.checked_sub(1) {
            Some(before) => self.blob_end(before),
            None => 0,
        };
        let end = self.blob_end(blob.0);
        let all = self.section(self.sections.blobs, self.sections.blobs_end);
        let bytes = all.get(usize_up_to(start)..usize_up_to(end));
        let bytes = bytes.ok_or_else(|| fail("its description is not in the file"))?;
        parse(bytes).map_err(fail)
    }

    /// Where the description of a blob ends.
    pub(super) fn blob_end(&self, blob: u32) -> u64 {
        let ends = self.section(self.sections.blob_ends, self.sections.blobs);
        let end = ends.get(position(blob, 8)..).and_then(<[u8]>::first_chunk);
        u64::from_le_bytes(*end.unwrap_or(&[0; 8]))
    }
}

fn parse(bytes: &[u8]) -> Result<BlobRecord, &'static str> {
    let cut = "its description ends too early";
    let (&len, rest) = bytes.split_first().ok_or(cut)?;
    let (id, rest) = rest.split_at_checked(len.into()).ok_or(cut)?;
    let (len, rest) = rest.split_first_chunk().ok_or(cut)?;
    let len = usize::from(u16::from_le_bytes(*len));
    let (origin, detail) = rest.split_at_checked(len).ok_or(cut)?;
    let id = BlobId::new(id).map_err(|_| "its id is none")?;
    let origin = str::from_utf8(origin).map_err(|_| "its origin is not text")?;
    Ok(BlobRecord::new(id).origin(origin).detail(detail))
}

/// The description of a blob.
pub(super) fn description(blob: &BlobRecord) -> Result<Vec<u8>, DictionaryError> {
    let long = |_| DictionaryError::TooMany {
        what: "bytes of an origin",
    };
    let id = blob.id.as_str().as_bytes();
    let mut bytes = Vec::with_capacity(id.len() + blob.origin.len() + blob.detail.len() + 3);
    // Ids have at most 255 bytes.
    bytes.push(u64_from(id.len()).to_le_bytes()[0]);
    bytes.extend_from_slice(id);
    let len = u16::try_from(blob.origin.len()).map_err(long)?;
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(blob.origin.as_bytes());
    bytes.extend_from_slice(&blob.detail);
    Ok(bytes)
}
