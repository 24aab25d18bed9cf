//! How a blob is built.

use image_model::XtsKey;

use super::build_error::BuildError;
use crate::flags::{Compat, Compressor, Digester};
use crate::version::Version;

/// Options for building a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlobOptions {
    /// Version of the image: blobs of version 5 contain only chunks, and possibly a bootstrap.
    pub version: Version,
    /// Release whose bytes to reproduce: 2.2 always compresses the chunk information with zstd, 2.4
    /// like the chunks.
    pub compat: Compat,
    /// Compressor for chunks; used only if it makes them smaller.
    pub compressor: Compressor,
    /// Digest algorithm for chunks.
    pub digester: Digester,
    /// Size of all chunks but a file's last, in bytes: a power of two, 4096 to 16 MiB.
    pub chunk_size: u32,
    /// Whether to append the chunk digests and a TOC.
    pub toc: bool,
    /// Whether each chunk is stored at its uncompressed address, padded to 4096 bytes, so that a
    /// kernel can mount the blob as a device of the bootstrap. Not with compression.
    pub aligned_data: bool,
    /// Bytes of a batch: files of less than half of it share one, and are compressed together. A power of two, 4096 to
    /// the chunk size; 0 for no batches. Version 6 alone; nydus reads it since release 2.3.
    pub batch_size: u32,
    /// What chunks and chunk information are encrypted with, if they are. Version 6 alone; nydus reads it since 2.3. The
    /// entry of the blob table holds the key, so that it is the bootstrap that is to be kept secret.
    pub key: Option<XtsKey>,
}

impl Default for BlobOptions {
    /// Version 6, 2.4, zstd, BLAKE3, chunks of 1 MiB, without TOC: the defaults of nydus-image.
    fn default() -> Self {
        Self {
            version: Version::default(),
            compat: Compat::default(),
            compressor: Compressor::Zstd,
            digester: Digester::Blake3,
            chunk_size: 1 << 20,
            toc: false,
            aligned_data: false,
            batch_size: 0,
            key: None,
        }
    }
}

impl BlobOptions {
    image_model::setters! {
        version: Version,
        compat: Compat,
        compressor: Compressor,
        digester: Digester,
        chunk_size: u32,
        toc: bool,
        aligned_data: bool,
        batch_size: u32,
        key: Option<XtsKey>,
    }

    /// Whether the chunk information has entries of version 2.
    pub(super) fn uses_v2(&self) -> bool {
        self.batch_size > 0 || self.key.is_some()
    }

    /// Fails if batches, or encryption, cannot be as wanted.
    pub(super) fn check_modes(&self) -> Result<(), BuildError> {
        let &Self {
            chunk_size,
            batch_size,
            ..
        } = self;
        if !self.uses_v2() {
            return Ok(());
        }
        let what = match batch_size {
            0 => "encryption",
            _ => "batches",
        };
        let with = match (self.version, self.compat) {
            (Version::V5, _) => Some("no chunk information"),
            (_, Compat::V2_2) => Some("the bytes of release 2.2"),
            _ => self.aligned_data.then_some("aligned data"),
        };
        if let Some(with) = with {
            return Err(BuildError::Excluded { with, what });
        }
        if batch_size == 0 {
            return Ok(());
        }
        match batch_size.is_power_of_two() && (MIN_BATCH_SIZE..=chunk_size).contains(&batch_size) {
            true => Ok(()),
            false => Err(BuildError::BatchSize {
                batch_size,
                chunk_size,
            }),
        }
    }
}

/// Bytes of the smallest batches.
const MIN_BATCH_SIZE: u32 = 4096;
