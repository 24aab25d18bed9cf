//! Tar headers behind sections.

use image_model::Limits;
use lazyoci_rafs_format::blob::{BlobError, Section, TarHeader, TarHeaderFault};
use proptest::prelude::*;

use crate::support::{golden, patched};

/// Of `a4-v6-none-sha256-toc.blob`: where each header is, what it names.
const GOLDEN: [(usize, Section, u64); 4] = [
    (0x2715, Section::Data, 10005),
    (0x3935, Section::ChunkInfo, 4128),
    (0x3b75, Section::ChunkDigests, 64),
    (0x3f75, Section::Toc, 512),
];

fn header_at(blob: &[u8], offset: usize) -> [u8; 512] {
    blob[offset..offset + 512].try_into().unwrap()
}

#[test]
fn headers_of_nydus() {
    let blob = golden("a4-v6-none-sha256-toc.blob");
    for (offset, section, len) in GOLDEN {
        let bytes = header_at(&blob, offset);
        let header = TarHeader::from_bytes(&bytes, offset as u64).unwrap();
        assert!(header.names(section));
        assert_eq!(header.section_len(), len);
        assert_eq!(header, TarHeader::new(section, len));
        assert_eq!(header.to_bytes(), bytes);
    }
}

#[test]
fn names_are_compared_whole() {
    assert!(!TarHeader::new(Section::ChunkInfoHeader, 1).names(Section::ChunkInfo));
    assert!(!TarHeader::new(Section::ChunkInfo, 1).names(Section::ChunkInfoHeader));
}

#[test]
fn damage_is_found() {
    let blob = golden("a4-v6-none-sha256-toc.blob");
    let bytes = header_at(&blob, 0x2715);
    for (at, byte, fault) in [
        (257, b'U', TarHeaderFault::Magic),
        (0, b'I', TarHeaderFault::Checksum),
        (150, b'9', TarHeaderFault::Checksum),
        (511, 1, TarHeaderFault::Checksum),
    ] {
        let bytes = header_at(&patched(&bytes, at, &[byte]), 0);
        let error = BlobError::TarHeader {
            offset: 0x2715,
            fault,
        };
        assert_eq!(
            TarHeader::from_bytes(&bytes, 0x2715),
            Err(error),
            "byte {at}"
        );
    }
}

#[test]
fn a_right_checksum_does_not_make_a_file() {
    // The same sum of bytes: one less there, one more in a field that nobody reads.
    let with = |at: usize, byte: u8| {
        let mut bytes = TarHeader::new(Section::Data, 8).to_bytes();
        let old = bytes[at];
        bytes[at] = byte;
        let sum = octal(&bytes[148..155]) + u64::from(byte) - u64::from(old);
        bytes[148..155].copy_from_slice(format!("{sum:07o}").as_bytes());
        TarHeader::from_bytes(&bytes, 0)
    };
    let error = |fault| Err(BlobError::TarHeader { offset: 0, fault });
    assert_eq!(with(156, b'5'), error(TarHeaderFault::Kind { found: b'5' }));
    assert_eq!(with(130, b'9'), error(TarHeaderFault::Size));
    assert_eq!(with(124, 0), error(TarHeaderFault::Size));
}

fn octal(digits: &[u8]) -> u64 {
    u64::from_str_radix(str::from_utf8(digits).unwrap(), 8).unwrap()
}

#[test]
fn sizes_beyond_8_gib_are_binary() {
    let len = 1 << 33;
    assert_eq!(
        &TarHeader::new(Section::Data, len - 1).to_bytes()[124..136],
        b"77777777777\0"
    );
    let bytes = TarHeader::new(Section::Data, len).to_bytes();
    assert_eq!(bytes[124..136], [0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
}

proptest! {
    #[test]
    fn round_trip(len: u64) {
        let header = TarHeader::new(Section::Bootstrap, len);
        prop_assert_eq!(TarHeader::from_bytes(&header.to_bytes(), 0), Ok(header));
    }

    #[test]
    fn any_bytes_are_answered(at in 0usize..512, byte: u8, noise in any::<[u8; 16]>()) {
        let mut bytes = TarHeader::new(Section::Toc, Limits::default().max_metadata_len).to_bytes();
        bytes[at] = byte;
        bytes[124..136].copy_from_slice(&noise[..12]);
        let _ = TarHeader::from_bytes(&bytes, 0);
    }
}
