//! Entries of both versions.

use image_model::Fault;
use lazyoci_rafs_format::blob::{ChunkExtra, ChunkFault, ChunkInfo, chunk_info_v1, chunk_info_v2};
use proptest::prelude::*;

const CHUNK: ChunkInfo = ChunkInfo {
    address: 4096,
    len: 10000,
    offset: 5,
    stored_len: 10000,
    compressed: false,
    encrypted: false,
    extra: ChunkExtra::None,
};

fn words<const N: usize>(words: &[u64]) -> [u8; N] {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.try_into().unwrap()
}

#[test]
fn v1_words_of_nydus() {
    let first = ChunkInfo {
        address: 0,
        len: 5,
        offset: 0,
        stored_len: 5,
        ..CHUNK
    };
    let compressed = ChunkInfo {
        stored_len: 19,
        compressed: true,
        ..CHUNK
    };
    let widest = ChunkInfo {
        address: (1 << 44) - 4096,
        len: 1 << 24,
        offset: (1 << 40) - 1,
        stored_len: (1 << 24) - 15,
        compressed: true,
        ..CHUNK
    };
    for (chunk, expected) in [
        (first, [0x0000_4000_0000_0000, 0x0000_4000_0000_0000]),
        (CHUNK, [0x0270_f000_0000_1000, 0x0270_f000_0000_0005]),
        (compressed, [0x0270_f000_0000_1000, 0x0001_2000_0000_0005]),
        (widest, [0xffff_ffff_ffff_ff00, 0xffff_0fff_ffff_ffff]),
    ] {
        assert_eq!(
            chunk_info_v1::encode(&chunk),
            Ok(words(&expected)),
            "{chunk:?}"
        );
        assert_eq!(chunk_info_v1::decode(words(&expected)), chunk);
    }
}

#[test]
fn v1_ignores_reserved_bits() {
    let bytes = words(&[0x0270_f000_0000_10ff, 0x0270_f000_0000_0005]);
    assert_eq!(chunk_info_v1::decode(bytes), CHUNK);
}

#[test]
fn v2_words_of_nydus() {
    let crc = ChunkInfo {
        extra: ChunkExtra::Crc32c(0x4a42_964f),
        ..CHUNK
    };
    let batch = ChunkInfo {
        stored_len: 0,
        compressed: true,
        encrypted: true,
        extra: ChunkExtra::Batch {
            context: 7,
            offset: 9,
        },
        ..CHUNK
    };
    let zran = ChunkInfo {
        compressed: true,
        extra: ChunkExtra::Zran {
            context: 1,
            offset: u32::MAX,
        },
        ..CHUNK
    };
    let stored = 10000 << 40 | 5;
    for (chunk, expected) in [
        (CHUNK, [0x0000_270f_0000_0001, stored, 0]),
        (crc, [0x1000_270f_0000_0001, stored, 0x4a42_964f]),
        (batch, [0x0d00_270f_0000_0001, 5, 7 << 32 | 9]),
        (zran, [0x0300_270f_0000_0001, stored, 0x1_ffff_ffff]),
    ] {
        assert_eq!(
            chunk_info_v2::encode(&chunk),
            Ok(words(&expected)),
            "{chunk:?}"
        );
        assert_eq!(chunk_info_v2::decode(words(&expected)), Ok(chunk));
    }
}

#[test]
fn v2_refuses_what_nydus_refuses() {
    for (flags, data, fault) in [
        (0x10, 0, ChunkFault::ZeroCrc),
        (0x10, 1 << 32, ChunkFault::ZeroCrc),
        (0x06, 0, ChunkFault::Flags),
        (0x12, 1, ChunkFault::Flags),
        (0x14, 1, ChunkFault::Flags),
    ] {
        let bytes = words(&[flags << 56, 0, data]);
        assert_eq!(chunk_info_v2::decode(bytes), Err(fault), "{flags:#x}");
    }
    let reserved = words(&[0xe000_270f_0000_0001, 10000 << 40 | 5, 0]);
    assert_eq!(chunk_info_v2::decode(reserved), Ok(CHUNK));
}

#[test]
fn what_does_not_fit_is_refused() {
    let with = |edit: fn(&mut ChunkInfo)| {
        let mut chunk = CHUNK;
        edit(&mut chunk);
        chunk
    };
    let both = [
        (with(|c| c.len = 0), ChunkFault::Len { len: 0 }),
        (
            with(|c| c.len = (1 << 24) + 1),
            ChunkFault::Len { len: (1 << 24) + 1 },
        ),
        (
            with(|c| c.address = 4097),
            ChunkFault::Address { address: 4097 },
        ),
        (
            with(|c| c.address = 1 << 44),
            ChunkFault::Address { address: 1 << 44 },
        ),
        (
            with(|c| c.offset = 1 << 40),
            ChunkFault::Offset { offset: 1 << 40 },
        ),
    ];
    for (chunk, fault) in both {
        assert_eq!(chunk_info_v1::encode(&chunk), Err(fault));
        assert_eq!(chunk_info_v2::encode(&chunk), Err(fault));
    }
    let v1 = [
        (
            with(|c| c.stored_len = 0),
            ChunkFault::StoredLen { stored_len: 0 },
        ),
        (
            with(|c| c.stored_len = (1 << 24) + 1),
            ChunkFault::StoredLen {
                stored_len: (1 << 24) + 1,
            },
        ),
        (
            with(|c| c.compressed = true),
            ChunkFault::Compression {
                len: 10000,
                stored_len: 10000,
            },
        ),
        (
            with(|c| c.stored_len = 9),
            ChunkFault::Compression {
                len: 10000,
                stored_len: 9,
            },
        ),
        (with(|c| c.encrypted = true), ChunkFault::Flags),
        (with(|c| c.extra = ChunkExtra::Crc32c(1)), ChunkFault::Flags),
    ];
    for (chunk, fault) in v1 {
        assert_eq!(chunk_info_v1::encode(&chunk), Err(fault));
    }
    let v2 = [
        (
            with(|c| c.stored_len = 1 << 24),
            ChunkFault::StoredLen {
                stored_len: 1 << 24,
            },
        ),
        (
            with(|c| c.extra = ChunkExtra::Crc32c(0)),
            ChunkFault::ZeroCrc,
        ),
    ];
    for (chunk, fault) in v2 {
        assert_eq!(chunk_info_v2::encode(&chunk), Err(fault));
    }
}

/// Faults carry whose they are only inside a [`BlobError`](lazyoci_rafs_format::blob::BlobError).
#[test]
fn a_bad_entry_is_the_image_s_fault() {
    use image_model::Blame;
    let error = lazyoci_rafs_format::blob::BlobError::Chunk {
        index: 3,
        fault: ChunkFault::ZeroCrc,
    };
    assert_eq!(error.fault(), Fault::Corrupt);
    assert_eq!(error.to_string(), "invalid chunk information for chunk 3");
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "the CRC is 0"
    );
}

fn chunk() -> impl Strategy<Value = ChunkInfo> {
    (0..1u64 << 32, 1..=1u32 << 24, 0..1u64 << 40, 1..=1u32 << 24).prop_map(
        |(block, len, offset, stored_len)| ChunkInfo {
            address: block * 4096,
            len,
            offset,
            stored_len,
            compressed: len != stored_len,
            ..CHUNK
        },
    )
}

fn extra() -> impl Strategy<Value = ChunkExtra> {
    prop_oneof![
        Just(ChunkExtra::None),
        (1..=u32::MAX).prop_map(ChunkExtra::Crc32c),
        any::<(u32, u32)>().prop_map(|(context, offset)| ChunkExtra::Zran { context, offset }),
        any::<(u32, u32)>().prop_map(|(context, offset)| ChunkExtra::Batch { context, offset }),
    ]
}

proptest! {
    #[test]
    fn v1_round_trip(chunk in chunk()) {
        let bytes = chunk_info_v1::encode(&chunk).unwrap();
        prop_assert_eq!(chunk_info_v1::decode(bytes), chunk);
    }

    #[test]
    fn v1_bytes_survive_but_for_reserved_bits(bytes: [u8; 16]) {
        let mut expected = bytes;
        expected[0] = 0;
        prop_assert_eq!(chunk_info_v1::encode(&chunk_info_v1::decode(bytes)), Ok(expected));
    }

    #[test]
    fn v2_round_trip(
        chunk in chunk(),
        stored_len in 0..1u32 << 24,
        extra in extra(),
        compressed: bool,
        encrypted: bool,
    ) {
        let chunk = ChunkInfo { stored_len, compressed, encrypted, extra, ..chunk };
        let bytes = chunk_info_v2::encode(&chunk).unwrap();
        prop_assert_eq!(chunk_info_v2::decode(bytes), Ok(chunk));
    }

    #[test]
    fn v2_entries_that_decode_encode(bytes: [u8; 24]) {
        if let Ok(chunk) = chunk_info_v2::decode(bytes) {
            let again = chunk_info_v2::encode(&chunk).unwrap();
            prop_assert_eq!(chunk_info_v2::decode(again), Ok(chunk));
        }
    }
}
