//! The summary of a decoded layer.

use image_model::Digest;
use image_model::width::u64_from;

use super::{Compression, StreamOptions};

/// The summary of a layer, known at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerSummary {
    /// Its compression.
    pub compression: Compression,
    /// The layer as stored: its digest is the one in a manifest.
    pub stored: Side,
    /// The tar: its digest is the DiffID.
    pub decoded: Side,
    /// Number of stored bytes after the last gzip member or zstd frame that were ignored
    /// ([`StreamOptions::ignore_trailing`]).
    pub trailing: u64,
}

/// One side of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Side {
    /// Length in bytes.
    pub len: u64,
    /// SHA-256, if requested (`StreamOptions::digests`, feature `sha256`).
    pub digest: Option<Digest>,
}

/// Measures one side.
pub(super) struct Meter {
    len: u64,
    #[cfg(feature = "sha256")]
    hasher: Option<sha2::Sha256>,
}

impl Meter {
    #[cfg_attr(
        not(feature = "sha256"),
        expect(unused_variables, reason = "digests are all that is chosen")
    )]
    pub(super) fn new(options: &StreamOptions) -> Self {
        Self {
            len: 0,
            #[cfg(feature = "sha256")]
            hasher: options.digests.then(sha2::Sha256::default),
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.len = self.len.saturating_add(u64_from(bytes.len()));
        #[cfg(feature = "sha256")]
        if let Some(hasher) = &mut self.hasher {
            sha2::Digest::update(hasher, bytes);
        }
    }

    pub(super) fn side(&self) -> Side {
        Side {
            len: self.len,
            #[cfg(feature = "sha256")]
            digest: self.hasher.clone().map(|hasher| {
                let bytes = sha2::Digest::finalize(hasher).into();
                Digest::new(image_model::DigestAlgorithm::Sha256, bytes)
            }),
            #[cfg(not(feature = "sha256"))]
            digest: None,
        }
    }
}
