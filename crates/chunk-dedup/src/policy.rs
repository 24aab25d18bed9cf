//! Which stored chunks an image may refer to.

use image_model::BlobId;

use crate::placement::BlobRecord;

/// What is worth sharing. Each blob to which an image refers is one more object that whoever runs it needs.
///
/// ```
/// use lazyoci_chunk_dedup::Policy;
/// let policy = Policy::default().min_chunk(4096).max_blobs(Some(8)).min_used(10);
/// assert_eq!(policy.origin, None);
/// assert!(policy.needs_uses());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Policy {
    /// Chunks of fewer bytes are stored again. Default: 0.
    pub min_chunk: u32,
    /// Only blobs of this repository are used. Default: all.
    pub origin: Option<String>,
    /// Maximum number of blobs that are used: those that save most. Default: any number.
    pub max_blobs: Option<u32>,
    /// A blob is used if the image shares at least this percentage of what is known to be in it. Default: 0.
    pub min_used: u8,
}

/// What an image would share with a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct BlobUse {
    /// The blob.
    pub id: BlobId,
    /// Chunks of it that the image has.
    #[cfg_attr(feature = "serde", serde(rename = "shared_chunks"))]
    pub chunks: u64,
    /// Their plain bytes.
    #[cfg_attr(feature = "serde", serde(rename = "shared_bytes"))]
    pub len: u64,
    /// Their stored bytes.
    #[cfg_attr(feature = "serde", serde(rename = "shared_stored_bytes"))]
    pub stored_len: u64,
    /// Bytes of all chunks that are stored in the blob, if known.
    #[cfg_attr(feature = "serde", serde(rename = "data_bytes"))]
    pub blob_len: Option<u64>,
}

impl Policy {
    image_model::setters! {
        min_chunk: u32,
        origin: Option<String>,
        max_blobs: Option<u32>,
        min_used: u8,
    }

    /// Whether the policy asks what an image would share with each blob.
    #[must_use]
    pub fn needs_uses(&self) -> bool {
        self.max_blobs.is_some() || self.min_used > 0
    }

    /// Whether chunks of a blob may be used at all.
    #[must_use]
    pub fn allows(&self, blob: &BlobRecord) -> bool {
        let origin = self.origin.as_ref();
        origin.is_none_or(|origin| *origin == blob.origin)
    }

    /// The blobs among `uses` that may be used; of equal ones, those whose ids come first.
    #[must_use]
    pub fn choose(&self, uses: &[BlobUse]) -> Vec<BlobId> {
        let well_used = |blob: &&BlobUse| {
            let percent = u128::from(blob.stored_len) * 100;
            let whole = blob.blob_len.unwrap_or(0);
            blob.chunks > 0 && percent >= u128::from(whole) * u128::from(self.min_used)
        };
        let mut chosen: Vec<&BlobUse> = uses.iter().filter(well_used).collect();
        chosen.sort_by(|one, other| {
            let more = other.stored_len.cmp(&one.stored_len);
            more.then_with(|| one.id.cmp(&other.id))
        });
        let most = self
            .max_blobs
            .map_or(usize::MAX, image_model::width::usize_from);
        chosen
            .into_iter()
            .take(most)
            .map(|blob| blob.id.clone())
            .collect()
    }
}
