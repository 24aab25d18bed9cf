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
    // 7 bytes of profile, 3 ends of blobs, 3 descriptions of 26 bytes, up to a multiple of 64; 1 part, nothing displaced.
    let zeros = 128 + 7 + 24 + 3 * 26;
    let pilots = zeros + 19;
    let firsts = pilots + 600;
    let records = firsts + 12 + 28;
    let record_len = DictionaryFile::open(&bytes[..]).unwrap().record_len();
    assert_eq!(records + 30 * record_len + 64, bytes.len());
    let placements = records + 32;
    let (first, rest) = bytes[records..].split_at(record_len);
    let swapped = [&rest[..record_len], first].concat();
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
            &[1][..],
            "chunk dictionary of version 1; this library knows version 2",
        ),
        (
            12,
            &[3],
            "dictionary header, byte 12: algorithm is 3, must be 1 or 2",
        ),
        (
            13,
            &[5],
            "dictionary header, byte 13: unused byte is 5, must be 0",
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
            zeros + 3,
            &[1],
            "dictionary header, byte 237: bytes before the pilots is 0, must be zeros",
        ),
        (
            pilots,
            &[bytes[pilots] ^ 1],
            "part 0 of the dictionary is not written as its records demand",
        ),
        (
            pilots + 599,
            &[0xff],
            "part 0 of the dictionary is not written as its records demand",
        ),
        (
            firsts,
            &[1],
            "part 0 of the dictionary has records 1 to 30 of 30",
        ),
        (
            firsts + 4,
            &[31],
            "part 0 of the dictionary has records 0 to 31 of 30",
        ),
        (
            firsts + 4,
            &[29],
            "part 1 of the dictionary has records 29 to 30 of 30",
        ),
        (
            firsts + 8,
            &[1],
            "dictionary header, byte 864: first records is 1, must be as the records demand",
        ),
        (
            firsts + 12,
            &[1],
            "dictionary header, byte 868: bytes before the records is 0, must be zeros",
        ),
        (
            records,
            &swapped,
            "record 0 of the dictionary: it is not written as its part demands",
        ),
        (
            records + record_len - 1,
            &[bytes[records + record_len - 1] ^ 0x80],
            "record 0 of the dictionary: it is not written as its part demands",
        ),
        (
            placements,
            &[0xff; 8],
            "record 0 of the dictionary: there is no such blob",
        ),
        (
            bytes.len() - 64,
            &[1],
            "dictionary header, byte BYTE: end is 0, must be zeros",
        ),
    ] {
        let message = message.replace("BYTE", &(bytes.len() - 64).to_string());
        assert_eq!(with(at, new), message);
    }
    // The first record twice.
    let mut repeated = bytes.clone();
    repeated.copy_within(records..placements + record_len - 32, records + record_len);
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

#[test]
fn records_in_wrong_places_are_refused_by_name() {
    let (bytes, _) = build(&many(5000), &blobs(3), 1 << 20);
    // 3 parts, which have 78 pairs of bytes for displaced records.
    let displaced = 256 + 3 * 600;
    let firsts = displaced + 2 * 78;
    let record_len = DictionaryFile::open(&bytes[..]).unwrap().record_len();
    let records = bytes.len() - 64 - 5000 * record_len;
    let first = |part: usize| {
        let bytes = bytes[firsts + 4 * part..].first_chunk().unwrap();
        u32::from_le_bytes(*bytes) as usize
    };
    assert_eq!((first(0), first(3)), (0, 5000));
    let with = |at: usize, new: u8| {
        let mut changed = bytes.clone();
        changed[at] = new;
        fault(&seal(changed)).unwrap_err().to_string()
    };
    // A digest in another part.
    assert_eq!(
        with(records, bytes[records] ^ 0x80),
        "record 0 of the dictionary: it is not in the part of its digest"
    );
    // As many records are displaced as places are behind the last one, where a record should be: at least one.
    let used = (displaced..firsts).find(|&at| bytes[at] != 0).unwrap();
    assert_eq!(
        with(used, bytes[used] ^ 1),
        format!(
            "dictionary header, byte {used}: displaced records is {}, must be as the records demand",
            bytes[used] ^ 1
        )
    );
    // A part that begins too late.
    let start = first(1) as u32;
    let low = start.to_le_bytes()[0];
    assert_eq!(
        with(firsts + 4, low.wrapping_add(1)),
        format!("record {start} of the dictionary: it is not in the part of its digest",)
    );
}

/// Whatever pilots and displaced records say, a lookup finds the chunk, or nothing, or a record that is not there.
#[test]
fn pilots_lead_to_no_wrong_chunk() {
    let entries = many(5000);
    let (bytes, _) = build(&entries, &blobs(3), 1 << 20);
    let pilots = 256..256 + 3 * 600 + 2 * 78;
    for seed in 0..8u8 {
        let mut changed = bytes.clone();
        for (at, byte) in (0u8..=255).cycle().zip(&mut changed[pilots.clone()]) {
            *byte ^= at.wrapping_mul(37).wrapping_add(seed) & seed;
        }
        let file = DictionaryFile::open(changed).unwrap();
        assert_eq!(file.check().is_ok(), seed == 0);
        let mut found = 0;
        for entry in &entries {
            match file.lookup(&entry.digest, entry.len) {
                Ok(None) => {}
                Ok(Some(placement)) => {
                    assert_eq!(placement, entry.placement);
                    found += 1;
                }
                Err(error) => assert_eq!(error.fault(), Fault::Corrupt),
            }
        }
        assert_eq!(found == entries.len(), seed == 0, "{found}");
    }
}
