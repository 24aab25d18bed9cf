//! The footer, and what it leads to.

use image_model::{Blame as _, BlobIndex, Fault, Limits, Object};
use lazyoci_rafs_format::v7::{Footer, Opener, V7Error};

use super::support::{footer_of, golden, open, opened, with_footer};

/// Sets a field of 8 bytes.
fn set(bytes: &mut [u8], offset: usize, value: u64) {
    bytes[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn a_blob_is_read_by_its_footer() {
    let blob = golden();
    let footer = footer_of(&blob).unwrap();
    assert!(Footer::is_in(&blob) && !Footer::is_in(&blob[..blob.len() - 1]));
    assert!(footer.has_bootstrap() && !footer.is_raw_device());
    assert_eq!(footer.feature_incompat, 1);
    assert_eq!(footer.data.start, 0);
    assert_eq!(footer.offset + 4096, blob.len() as u64);
    let mut gaps = footer.gaps();
    assert_eq!(gaps.next(), Some(footer.data.end..footer.bootstrap.start));
    assert_eq!(gaps.next(), None);
    let opener = Opener::blob(blob.len() as u64, &Limits::default());
    let (opened_blob, needs) = opened(blob.clone(), opener);
    let bootstrap = opened_blob.unwrap().bootstrap.unwrap();
    assert_eq!(bootstrap.len() % 4096, 0);
    let ranges: Vec<_> = needs.into_iter().map(|need| need.range).collect();
    let end = footer.offset..footer.offset + 4096;
    let (bootstrap, metadata) = (footer.bootstrap.clone(), footer.metadata.clone());
    assert_eq!(ranges, [end, bootstrap, metadata]);
    // As a device, the bootstrap is of no use.
    let opener = Opener::device(BlobIndex(3), blob.len() as u64, &Limits::default());
    let (opened_blob, needs) = opened(blob, opener);
    assert_eq!(opened_blob.unwrap().bootstrap, None);
    assert_eq!(needs.len(), 2);
    assert!(
        needs
            .iter()
            .all(|need| need.object == Object::Blob(BlobIndex(3)))
    );
}

#[test]
fn fields_that_break_rules() {
    let footer = footer_of(&golden()).unwrap();
    let (bootstrap, metadata) = (footer.bootstrap.clone(), footer.metadata.clone());
    let size = |range: &std::ops::Range<u64>| range.end - range.start;
    // Offset, value, the field that is told.
    let cases = [
        (0, u64::from_le_bytes(*b"NDFOOTED"), "magic"),
        (24, 1, "data_offset"),
        (24, 1 << 40, "bootstrap_offset"),
        (32, u64::MAX - 4095, "bootstrap_offset"),
        (40, bootstrap.start + 8, "bootstrap_offset"),
        (40, 0, "bootstrap_offset"),
        (48, size(&bootstrap) + 1, "bootstrap_size"),
        (48, size(&bootstrap) + 4096, "metadata_offset"),
        (48, u64::MAX, "bootstrap_size"),
        (48, 0, "bootstrap_compressed_size"),
        (56, 0, "bootstrap_compressed_size"),
        (56, size(&bootstrap) + 1, "bootstrap_compressed_size"),
        (64, metadata.start + 1, "metadata_offset"),
        (72, size(&metadata) + 4096, "metadata_size"),
        (72, 0, "metadata_size"),
    ];
    for (offset, value, expected) in cases {
        let blob = with_footer(|footer| set(footer, offset, value));
        match footer_of(&blob) {
            Err(V7Error::Field {
                field, structure, ..
            }) => {
                assert_eq!(
                    (field, structure),
                    (expected, "footer"),
                    "{offset}: {value:#x}"
                );
            }
            other => panic!("{offset}: {value:#x}: {other:?}"),
        }
    }
    // A length without compression, a raw device with metadata.
    for (features, expected) in [(0u32, "bootstrap_compressed_size"), (3, "metadata_size")] {
        let blob = with_footer(|footer| footer[12..16].copy_from_slice(&features.to_le_bytes()));
        match footer_of(&blob) {
            Err(V7Error::Field { field, .. }) => assert_eq!(field, expected),
            other => panic!("{features}: {other:?}"),
        }
    }
    let mut short = golden();
    short.truncate(4095);
    let error = open(short).unwrap_err();
    assert!(
        matches!(
            error,
            V7Error::Truncated {
                available: 4095,
                ..
            }
        ),
        "{error}"
    );
    // The blob does not end at a block.
    let mut long = golden();
    long.insert(0, 0);
    let error = footer_of(&long).unwrap_err();
    assert!(
        matches!(
            error,
            V7Error::Field {
                field: "offset",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn features_that_are_not_known() {
    let blob = with_footer(|footer| footer[12] = 5);
    let error = footer_of(&blob).unwrap_err();
    assert_eq!(error.fault(), Fault::Unsupported);
    // Those that need not be known, and bytes that are reserved.
    let blob = with_footer(|footer| {
        footer[8] = 1;
        footer[4095] = 1;
    });
    assert_eq!(footer_of(&blob).unwrap().feature_compat, 1);
}

#[test]
fn every_checksum_counts() {
    let footer = footer_of(&golden()).unwrap();
    for (at, expected) in [
        (footer.offset + 4095, "footer"),
        (footer.bootstrap.end - 1, "bootstrap"),
        (footer.metadata.end - 1, "blob metadata"),
    ] {
        let mut blob = golden();
        blob[at as usize] ^= 1;
        match open(blob) {
            Err(V7Error::Checksum { structure, .. }) => assert_eq!(structure, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
}

/// A frame that is cut, and one that is followed by more.
#[test]
fn bootstraps_that_do_not_decode() {
    let frame_len = footer_of(&golden()).unwrap().bootstrap_frame_len.unwrap();
    for len in [frame_len - 1, frame_len + 1, 5] {
        let blob = with_footer(|footer| set(footer, 56, len));
        let error = open(blob).unwrap_err();
        assert!(matches!(error, V7Error::Bootstrap(_)), "{len}: {error:?}");
    }
}

#[test]
fn bootstraps_beyond_the_limit() {
    let blob = golden();
    let limits = Limits::default().max_metadata_len(8191);
    let opener = Opener::blob(blob.len() as u64, &limits);
    let error = opened(blob, opener).0.unwrap_err();
    assert!(
        matches!(
            error,
            V7Error::Limit {
                what: "bytes of metadata",
                max: 8191,
                ..
            }
        ),
        "{error:?}"
    );
}
