//! Images to encode, bytes to damage.

use bytes::Bytes;
use image_model::{DigestAlgorithm, Limits};
use lazyoci_rafs_format::flags::{BlobFeatures, Compressor, Digester};
use lazyoci_rafs_format::v5::{Bootstrap, EncodeError, Layout, LayoutOptions};
use lazyoci_rafs_format::v6::BlobEntry;
use lazyoci_rafs_format::{DecodeError, OwnedBootstrap};

pub(crate) use crate::store::*;

/// The golden that most corruptions start from.
pub(crate) const A4: &[u8] = include_bytes!("../goldens/a4-v5-none-sha256.boot");

/// Where the inodes of [`A4`] are, by number.
pub(crate) const INODES: [usize; 7] = [8360, 8496, 8632, 8768, 8984, 9200, 9416];

impl Stored {
    /// What was decoded, to be encoded again.
    pub(crate) fn decoded(bootstrap: &Bootstrap) -> Self {
        let OwnedBootstrap { image, places } = bootstrap.to_chunked().unwrap();
        let entries = bootstrap.blob_entries().to_vec();
        Self {
            image,
            places,
            entries,
        }
    }

    /// The same with a blob of version 5, which has nothing but chunks.
    pub(crate) fn of_v5(mut self) -> Self {
        for entry in &mut self.entries {
            entry.features = BlobFeatures::CAP_TAR_TOC;
            entry.compressed_size = entry.ci_offset;
            entry.ci_offset = 0;
            entry.ci_compressed_size = 0;
            entry.ci_uncompressed_size = 0;
        }
        self.image.blobs = self.entries.iter().map(BlobEntry::blob).collect();
        self
    }
}

pub(crate) fn options(algorithm: DigestAlgorithm, chunk_size: u32) -> LayoutOptions {
    LayoutOptions::default()
        .chunk_size(chunk_size)
        .compressor(Compressor::None)
        .digester(Digester::try_from(algorithm).unwrap())
}

pub(crate) fn encode(stored: &Stored, options: &LayoutOptions) -> Result<Vec<u8>, EncodeError> {
    let layout = Layout::plan(stored.input(), options)?;
    let mut bytes = Vec::new();
    layout.write_to(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, layout.len());
    Ok(bytes)
}

pub(crate) fn open(bytes: &[u8]) -> Result<Bootstrap, DecodeError> {
    Bootstrap::open(Bytes::copy_from_slice(bytes), &Limits::default())
}

/// All that a check finds.
pub(crate) fn check(bytes: &[u8]) -> Vec<String> {
    let mut findings = Vec::new();
    let bootstrap = open(bytes).unwrap();
    let summary = bootstrap.check(&mut |finding| findings.push(finding.to_string()));
    assert_eq!(summary.findings, findings.len() as u64);
    findings
}

/// `bytes` with some of them replaced, at offsets.
pub(crate) fn patched(bytes: &[u8], patches: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for &(offset, patch) in patches {
        bytes[offset..offset + patch.len()].copy_from_slice(patch);
    }
    bytes
}
