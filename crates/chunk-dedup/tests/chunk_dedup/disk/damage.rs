//! Damaged and hostile files.

use super::*;

fn fault(bytes: &[u8]) -> Result<(), DictionaryError> {
    let file = DictionaryFile::open(bytes)?;
    // None of it may panic, whatever it finds.
    for n in 0..40 {
        let _ = file.lookup(&digest(n), 1 + n % 4096);
        let _ = file.entry_placement(ChunkId::new(n));
        let _ = file.blob(BlobIndex(n));
    }
    let keys: Vec<_> = (0..40).map(|n| (digest(n), 1 + n % 4096)).collect();
    let _ = file.lookup_many(&keys, &mut Vec::new());
    let _ = file.entries().count();
    file.check()
}

#[test]
fn every_damage_is_noticed() {
    let (bytes, _) = build(&many(30), &blobs(3), 1 << 20);
    fault(&bytes).unwrap();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let error = fault(&damaged).unwrap_err();
            let expected = match at {
                0..8 => matches!(error, DictionaryError::NotADictionary),
                8..12 => matches!(error, DictionaryError::Version { .. }),
                12..128 => matches!(error, DictionaryError::HeaderChecksum { .. }),
                _ => matches!(error, DictionaryError::Checksum { .. }),
            };
            assert!(expected, "byte {at}: {error}");
        }
    }
    for len in 0..bytes.len() {
        let error = fault(&bytes[..len]).unwrap_err();
        let expected = match len {
            0..8 => matches!(error, DictionaryError::NotADictionary),
            _ => matches!(error, DictionaryError::Len { .. }),
        };
        assert!(expected, "{len} bytes: {error}");
    }
    let longer = [&bytes[..], &[0]].concat();
    let error = fault(&longer).unwrap_err();
    assert!(matches!(error, DictionaryError::Len { .. }));
}

/// Seals what somebody changed on purpose.
fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let header = crc32fast::hash(&bytes[..124]);
    bytes[124..128].copy_from_slice(&header.to_le_bytes());
    let end = bytes.len() - 4;
    let rest = crc32fast::hash(&bytes[128..end]);
    bytes[end..].copy_from_slice(&rest.to_le_bytes());
    bytes
}

#[test]
fn hostile_bytes_are_refused_by_name() {
    let (bytes, _) = build(&many(30), &blobs(3), 1 << 20);
    // 7 bytes of profile, 3 ends of blobs, 3 descriptions of 26 bytes, up to a multiple of 64; 2 buckets, 1 block.
    let zeros = 128 + 7 + 24 + 3 * 26;
    let buckets = zeros + 19;
    let digests = buckets + 2 * 64;
    let placements = digests + 32 * 32;
    let placement_len = DictionaryFile::open(&bytes[..]).unwrap().record_len() - 32;
    assert_eq!(placements + 32 * placement_len + 64, bytes.len());
    let count = u32::from(bytes[buckets + 4]);
    let with = |at: usize, new: &[u8]| {
        let mut changed = bytes.clone();
        changed[at..at + new.len()].copy_from_slice(new);
        let changed = seal(changed);
        fault(&changed)
            .expect_err(&format!("byte {at}"))
            .to_string()
    };
    for (at, new, message) in [
        (
            8,
            &[2][..],
            "chunk dictionary of version 2; this library knows version 1",
        ),
        (
            12,
            &[3],
            "dictionary header, byte 12: algorithm is 3, must be 1 or 2",
        ),
        (
            13,
            &[5],
            "dictionary header, byte 13: bucket_bits is 5, must be that of the number of entries",
        ),
        (
            16,
            &[0xff; 4],
            "dictionary header, byte 16: entries is 4294967295, must be at most 2^32 - 2",
        ),
        (
            30,
            &[1],
            "dictionary header, byte 30: unused byte is 1, must be 0",
        ),
        (
            41,
            &[33],
            "dictionary header, byte 40: columns is 8448, must be a shift and a width that the number can have",
        ),
        (
            135,
            &[0xff; 8],
            "blob 0 of the dictionary: its description is not in the file",
        ),
        (
            159,
            &[0],
            "blob 0 of the dictionary: its description ends too early",
        ),
        (
            159,
            &[200],
            "blob 0 of the dictionary: its description ends too early",
        ),
        (160, b"/", "blob 0 of the dictionary: its id is none"),
        (
            160,
            b"z",
            "blob 1 of the dictionary: it is not in the order of ids",
        ),
        (
            buckets,
            &[1],
            "bucket 0 of the dictionary has records 1 to COUNT+1 of 30",
        ),
        (
            buckets + 4,
            &[31],
            "bucket 0 of the dictionary has records 0 to 31 of 30",
        ),
        (
            buckets + 4,
            &[bytes[buckets + 4] - 1],
            "bucket 1 of the dictionary has records COUNT to 30 of 30",
        ),
        (
            zeros + 3,
            &[1],
            "dictionary header, byte 237: bytes before the buckets is 0, must be zeros",
        ),
        (
            buckets + 4,
            &[0xff],
            "bucket 0 of the dictionary is not written as its records demand",
        ),
        (
            buckets + 5,
            &[bytes[buckets + 5] ^ 1],
            "record 0 of the dictionary: its bucket says something else of its digest",
        ),
        (
            buckets + 5 + 58,
            &[0],
            "bucket 0 of the dictionary is not written as its records demand",
        ),
        (
            digests + 1,
            &[bytes[digests + 1] ^ 0x80],
            "record 0 of the dictionary: its bucket says something else of its digest",
        ),
        (
            digests + 30 * 32,
            &[1],
            "record 29 of the dictionary: its block is not written as its records demand",
        ),
        (
            placements,
            &[0xff; 8],
            "record 0 of the dictionary: there is no such blob",
        ),
        (
            placements + 30 * placement_len,
            &[1],
            "record 29 of the dictionary: its block is not written as its records demand",
        ),
        (
            bytes.len() - 64,
            &[1],
            "dictionary header, byte BYTE: end is 0, must be zeros",
        ),
    ] {
        let message = message
            .replace("BYTE", &(bytes.len() - 64).to_string())
            .replace("COUNT+1", &(count + 1).to_string())
            .replace("COUNT", &count.to_string());
        assert_eq!(with(at, new), message);
    }
    // The first record twice, which its bucket says too.
    let mut repeated = bytes.clone();
    repeated.copy_within(buckets + 5..buckets + 6, buckets + 6);
    repeated.copy_within(digests..digests + 32, digests + 32);
    repeated.copy_within(
        placements..placements + placement_len,
        placements + placement_len,
    );
    assert_eq!(
        fault(&seal(repeated)).unwrap_err().to_string(),
        "record 1 of the dictionary: it is not in order"
    );
    assert_eq!(
        DictionaryFile::open(&bytes[..])
            .unwrap()
            .entry_placement(ChunkId::new(30))
            .unwrap_err()
            .to_string(),
        "record 30 of the dictionary: there is no such record"
    );
}
