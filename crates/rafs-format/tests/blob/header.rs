//! The header of the chunk information.

use lazyoci_rafs_format::blob::{BlobError, CiHeader, Contexts};
use lazyoci_rafs_format::flags::{BlobFeatures, Compressor, FlagsError};
use proptest::prelude::*;

use crate::support::{golden_blob, patched};

/// Of `a4-v6-none-sha256.blob`.
const OFFSET: usize = 10037;

fn golden_header() -> [u8; CiHeader::LEN] {
    let (blob, _) = golden_blob("a4-v6-none-sha256");
    blob[OFFSET..].try_into().unwrap()
}

fn with(offset: usize, patch: &[u8]) -> Result<CiHeader, BlobError> {
    let bytes = patched(&golden_header(), offset, patch);
    CiHeader::from_bytes((&bytes[..]).try_into().unwrap())
}

#[test]
fn a_header_of_nydus() {
    let header = CiHeader::from_bytes(&golden_header()).unwrap();
    let expected = CiHeader {
        features: 0x4000_0001,
        compressor: Compressor::None,
        entries: 2,
        offset: 10005,
        stored_len: 32,
        len: 32,
        contexts: Contexts::default(),
    };
    assert_eq!(header, expected);
    assert_eq!(header.to_bytes(), golden_header());
    let (_, entry) = golden_blob("a4-v6-none-sha256");
    assert_eq!(header.check(&entry), Ok(()));
}

#[test]
fn both_magics_are_needed() {
    for offset in [0, 4092] {
        let error = BlobError::HeaderMagic {
            offset,
            found: 0xb10b_b10c,
        };
        assert_eq!(with(offset, &[0x0c]), Err(error));
    }
}

#[test]
fn compressors_must_be_known() {
    let error = FlagsError::UnknownCompressor { id: 4 };
    assert_eq!(with(8, &[4]), Err(error.into()));
}

#[test]
fn contradictions_to_the_blob_table() {
    let (_, entry) = golden_blob("a4-v6-none-sha256");
    for (offset, field, expected, found) in [
        (12, "ci_entries", 2, 3),
        (8, "ci_compressor", 0, 3),
        (16, "ci_offset", 10005, 9987),
        (24, "ci_compressed_size", 32, 3),
        (32, "ci_uncompressed_size", 32, 3),
    ] {
        let header = with(offset, &[3]).unwrap();
        let error = BlobError::Contradiction {
            field,
            expected,
            found,
        };
        assert_eq!(header.check(&entry), Err(error));
    }
}

#[test]
fn features_and_contexts_are_for_information() {
    let (_, mut entry) = golden_blob("a4-v6-none-sha256");
    for offset in [4, 40, 48, 56, 60, 4091] {
        assert_eq!(with(offset, &[9]).unwrap().check(&entry), Ok(()));
    }
    entry.features = entry.features | BlobFeatures::IS_CHUNKDICT_GENERATED;
    assert_eq!(with(12, &[3]).unwrap().check(&entry), Ok(()));
}

proptest! {
    #[test]
    fn round_trip(
        (features, entries, offset, stored_len) in any::<(u32, u32, u64, u64)>(),
        (len, context_offset, context_len, count) in any::<(u64, u64, u64, u32)>(),
        compressor in 0u32..4,
    ) {
        let header = CiHeader {
            features,
            compressor: Compressor::from_id(compressor).unwrap(),
            entries,
            offset,
            stored_len,
            len,
            contexts: Contexts { offset: context_offset, len: context_len, count },
        };
        prop_assert_eq!(CiHeader::from_bytes(&header.to_bytes()), Ok(header));
    }
}
