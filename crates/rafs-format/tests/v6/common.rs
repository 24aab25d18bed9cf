//! Images to encode, bytes to damage.

use bytes::Bytes;
use image_model::{DigestAlgorithm, Limits, RecipeId};
use lazyoci_rafs_format::DecodeError;
use lazyoci_rafs_format::flags::{Compressor, Digester};
use lazyoci_rafs_format::v6::{Bootstrap, EncodeError, Layout, LayoutOptions, OwnedBootstrap};

pub(crate) use crate::store::*;

pub(crate) const LZ4: RecipeId = RecipeId(1);
pub(crate) const ZSTD: RecipeId = RecipeId(2);

/// The golden that most corruptions start from.
pub(crate) const A4: &[u8] = include_bytes!("../goldens/a4-v6-none-sha256.boot");

/// What was decoded, to be encoded again.
impl Stored {
    pub(crate) fn decoded(bootstrap: &Bootstrap) -> Self {
        let OwnedBootstrap { image, places } = bootstrap.to_chunked().unwrap();
        let entries = bootstrap.blob_entries().to_vec();
        Self {
            image,
            places,
            entries,
        }
    }
}

pub(crate) fn a4(algorithm: DigestAlgorithm) -> Stored {
    let mut store = Store::new(algorithm, 1 << 20);
    let tree = a4_tree(&mut store);
    store.image(tree)
}

/// Options for what [`Store`] stores.
pub(crate) fn options(algorithm: DigestAlgorithm, chunk_size: u32) -> LayoutOptions {
    LayoutOptions::default()
        .chunk_size(chunk_size)
        .compressor(Compressor::None)
        .digester(Digester::try_from(algorithm).unwrap())
}

pub(crate) fn a4_options() -> LayoutOptions {
    options(DigestAlgorithm::Sha256, 1 << 20)
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

/// `bytes` with some of them replaced, at offsets.
pub(crate) fn patched(bytes: &[u8], patches: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for &(offset, patch) in patches {
        bytes[offset..offset + patch.len()].copy_from_slice(patch);
    }
    bytes
}

/// The error about one field.
pub(crate) fn field(
    structure: &'static str,
    offset: usize,
    field: &'static str,
    found: u64,
    rule: &'static str,
) -> DecodeError {
    DecodeError::Field {
        structure,
        offset: offset as u64,
        field,
        found,
        rule,
    }
}
