//! Why a TOC cannot be used.

use image_model::{Blame, Fault};

/// A TOC that is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TocError {
    /// Longer than the limit.
    #[error("the TOC has {len} bytes, the limit is {limit}")]
    TooLong {
        /// Bytes of the document.
        len: u64,
        /// [`Limits::max_metadata_len`](image_model::Limits::max_metadata_len).
        limit: u64,
    },
    /// The document is no JSON, or not this one.
    #[error("the TOC's JSON")]
    Json(#[from] serde_json::Error),
}

impl Blame for TocError {
    fn fault(&self) -> Fault {
        match self {
            Self::TooLong { .. } => Fault::Limit,
            Self::Json(_) => Fault::Corrupt,
        }
    }
}
