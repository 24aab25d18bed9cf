//! Dictionary files.

use std::collections::BTreeMap;
use std::io::Cursor;

use image_model::{
    Blame, BlobId, BlobIndex, Cancelled, ChunkId, Digest, DigestAlgorithm, Fault, Frame, RecipeId,
};
use lazyoci_chunk_dedup::{
    BlobRecord, BuildOptions, Dictionary, DictionaryBuilder, DictionaryError, DictionaryFile,
    Entry, PlacedDictionary, Placement, Summary, merge,
};
use proptest::prelude::*;

const ALGORITHM: DigestAlgorithm = DigestAlgorithm::Blake3;

fn digest(n: u32) -> Digest {
    let mut bytes = [0; 32];
    let mut state = u64::from(n) + 1;
    for word in bytes.chunks_exact_mut(8) {
        state = state.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ state >> 29;
        word.copy_from_slice(&state.swap_bytes().to_le_bytes());
    }
    Digest::new(ALGORITHM, bytes)
}

fn blob(n: u32) -> BlobRecord {
    let id = BlobId::new(format!("blob-{n:04}").as_bytes()).expect("it is a name");
    BlobRecord::new(id)
        .origin(format!("repository/{n}"))
        .detail([1, n as u8])
}

/// A chunk of a blob with fixed chunks.
fn entry(n: u32, blob: u32, index: u32) -> Entry {
    let len = 1 + n % 4096;
    Entry {
        digest: digest(n),
        len,
        placement: Placement {
            frame: Frame {
                blob: BlobIndex(blob),
                offset: 1000 * u64::from(index),
                stored_len: 1 + n % 900,
                len,
                recipe: RecipeId(n % 3),
            },
            offset_in_frame: 0,
            index,
            address: 4096 * u64::from(index),
        },
    }
}

fn build(entries: &[Entry], blobs: &[BlobRecord], memory: usize) -> (Vec<u8>, Summary) {
    let options = BuildOptions::default().memory(memory).profile(*b"profile");
    let mut builder = DictionaryBuilder::new(ALGORITHM, Cursor::new(Vec::new()), options);
    for (index, blob) in (0..).zip(blobs) {
        let number = builder.add_blob(blob.clone()).expect("it is new");
        assert_eq!(number, BlobIndex(index));
    }
    for &entry in entries {
        builder.push(entry).expect("it is sound");
    }
    let mut bytes = Vec::new();
    let summary = builder
        .finish(&mut bytes, &mut ())
        .expect("there is memory");
    assert_eq!(summary.bytes, bytes.len() as u64);
    (bytes, summary)
}

fn many(count: u32) -> Vec<Entry> {
    (0..count).map(|n| entry(n, n % 3, n / 3)).collect()
}

fn blobs(count: u32) -> Vec<BlobRecord> {
    (0..count).map(blob).collect()
}

#[test]
fn what_was_put_in_is_found() {
    for count in [0, 1, 2, 3, 4, 7, 8, 100, 5000] {
        let entries = many(count);
        let (bytes, summary) = build(&entries, &blobs(3), 1 << 20);
        assert_eq!(
            (summary.chunks, summary.duplicates, summary.blobs),
            (count, 0, 3)
        );
        let file = DictionaryFile::open(bytes).unwrap();
        file.check().unwrap();
        assert_eq!((file.len(), file.is_empty()), (count, count == 0));
        assert_eq!(
            (file.algorithm(), file.profile()),
            (ALGORITHM, &b"profile"[..])
        );
        assert_eq!(file.blobs(), 3);
        assert_eq!(file.blob(BlobIndex(2)).unwrap(), blob(2));
        for wanted in &entries {
            let found = file.lookup(&wanted.digest, wanted.len).unwrap();
            assert_eq!(found, Some(wanted.placement));
            let id = file.find(&wanted.digest, wanted.len).unwrap().unwrap();
            let whole = (wanted.len, wanted.placement);
            assert_eq!(file.entry_placement(id).unwrap(), whole);
            assert_eq!(file.find(&wanted.digest, wanted.len + 1).unwrap(), None);
            let other = Digest::new(DigestAlgorithm::Sha256, *wanted.digest.as_bytes());
            assert_eq!(file.find(&other, wanted.len).unwrap(), None);
        }
        for n in count..count + 500 {
            assert_eq!(file.find(&digest(n), 1 + n % 4096).unwrap(), None);
        }
        let mut sorted = entries;
        sorted.sort_by_key(|entry| entry.digest);
        let listed: Result<Vec<Entry>, _> = file.entries().collect();
        assert_eq!(listed.unwrap(), sorted);
    }
}

#[test]
fn batches_answer_like_single_lookups() {
    let entries = many(3000);
    let (bytes, _) = build(&entries, &blobs(3), 1 << 20);
    let file = DictionaryFile::open(bytes).unwrap();
    let key = |n: u32| (digest(n), 1 + n % 4096);
    let mut keys: Vec<_> = (0..4000).map(|n| key(n * 7 % 4000)).collect();
    keys[5].1 += 1;
    keys[6].0 = Digest::new(DigestAlgorithm::Sha256, *keys[6].0.as_bytes());
    for count in [0, 1, 63, 64, 65, 4000] {
        let (mut ids, mut placements) = (Vec::new(), Vec::new());
        file.find_many(&keys[..count], &mut ids).unwrap();
        file.lookup_many(&keys[..count], &mut placements).unwrap();
        assert_eq!((ids.len(), placements.len()), (count, count));
        for ((key, id), placement) in keys.iter().zip(ids).zip(placements) {
            assert_eq!(id, file.find(&key.0, key.1).unwrap());
            assert_eq!(placement, file.lookup(&key.0, key.1).unwrap());
        }
    }
}

/// Digests that share all but their last bytes land in one bucket, whose search is not linear.
#[test]
fn digests_that_were_chosen_for_one_bucket_are_found() {
    let chosen = |n: u32| {
        let mut bytes = [7; 32];
        bytes[28..].copy_from_slice(&n.to_be_bytes());
        Digest::new(ALGORITHM, bytes)
    };
    let entries: Vec<Entry> = (0..1000)
        .map(|n| Entry {
            digest: chosen(2 * n),
            ..entry(n, 0, n)
        })
        .collect();
    let (bytes, _) = build(&entries, &blobs(1), 1 << 20);
    let file = DictionaryFile::open(bytes).unwrap();
    file.check().unwrap();
    let mut keys = Vec::new();
    for (n, entry) in (0..).zip(&entries) {
        let found = file.lookup(&entry.digest, entry.len).unwrap();
        assert_eq!(found, Some(entry.placement));
        assert_eq!(file.find(&chosen(2 * n + 1), entry.len).unwrap(), None);
        keys.extend([(entry.digest, entry.len), (chosen(2 * n + 1), entry.len)]);
    }
    let mut found = Vec::new();
    file.lookup_many(&keys, &mut found).unwrap();
    let expected = entries
        .iter()
        .flat_map(|entry| [Some(entry.placement), None]);
    assert!(found.into_iter().eq(expected));
}

/// One digest with several lengths, more of them than are compared one after the other.
#[test]
fn lengths_tell_chunks_of_one_digest_apart() {
    let entries: Vec<Entry> = (0..40)
        .map(|n| Entry {
            digest: digest(1),
            ..entry(n, 0, n)
        })
        .collect();
    let (bytes, _) = build(&entries, &blobs(1), 1 << 20);
    let file = DictionaryFile::open(bytes).unwrap();
    file.check().unwrap();
    for entry in &entries {
        let found = file.lookup(&entry.digest, entry.len).unwrap();
        assert_eq!(found, Some(entry.placement));
    }
}

#[test]
fn bytes_depend_on_the_set_alone() {
    let entries = many(2000);
    let (bytes, _) = build(&entries, &blobs(3), 1 << 20);
    // In another order, by another numbering of blobs, in runs of a few entries, and all twice.
    let mut others: Vec<Entry> = entries.iter().rev().copied().collect();
    for entry in &mut others {
        let blob = &mut entry.placement.frame.blob;
        *blob = BlobIndex(2 - blob.0);
    }
    others.extend(others.clone());
    let reversed: Vec<BlobRecord> = blobs(3).into_iter().rev().collect();
    for memory in [0, 3000, 1 << 20] {
        let (again, summary) = build(&others, &reversed, memory);
        assert_eq!((summary.chunks, summary.duplicates), (2000, 2000));
        assert_eq!(again, bytes, "{memory} bytes of memory");
    }
}

#[test]
fn of_several_places_the_first_is_kept() {
    let place = |blob, index| Entry {
        len: 5,
        ..entry(4, blob, index)
    };
    let all = [place(1, 0), place(0, 9), place(0, 8), place(2, 1)];
    for rotation in 0..all.len() {
        let mut entries = all;
        entries.rotate_left(rotation);
        for memory in [0, 1 << 20] {
            let (bytes, summary) = build(&entries, &blobs(3), memory);
            assert_eq!((summary.chunks, summary.duplicates), (1, 3));
            let file = DictionaryFile::open(bytes).unwrap();
            let found = file.lookup(&digest(4), 5).unwrap();
            assert_eq!(found, Some(place(0, 8).placement));
        }
    }
}

#[test]
fn merging_is_building_of_all() {
    let entries = many(3000);
    let (all, _) = build(&entries, &blobs(3), 1 << 20);
    let part = |range: std::ops::Range<usize>| {
        let (bytes, _) = build(&entries[range], &blobs(3), 1 << 20);
        DictionaryFile::open(bytes).unwrap()
    };
    let parts = [part(0..1000), part(900..2500), part(0..0), part(2500..3000)];
    let mut bytes = Vec::new();
    let summary = merge(&parts, &mut bytes, &mut ()).unwrap();
    assert_eq!(
        (summary.chunks, summary.duplicates, summary.blobs),
        (3000, 100, 3)
    );
    assert_eq!(bytes, all);

    // Blobs that only one of them knows.
    let (one, _) = build(&[entry(1, 0, 0)], &[blob(5)], 1 << 20);
    let (other, _) = build(&[entry(2, 1, 0)], &[blob(7), blob(3)], 1 << 20);
    let files = [one, other].map(|bytes| DictionaryFile::open(bytes).unwrap());
    let mut bytes = Vec::new();
    let _ = merge(&files, &mut bytes, &mut ()).unwrap();
    let file = DictionaryFile::open(bytes).unwrap();
    file.check().unwrap();
    let names: Vec<_> = (0..3).map(|n| file.blob(BlobIndex(n)).unwrap()).collect();
    assert_eq!(names, [blob(3), blob(5), blob(7)]);
    let found = |n: u32| file.lookup(&digest(n), 1 + n).unwrap().unwrap().frame.blob;
    assert_eq!([found(1), found(2)], [BlobIndex(1), BlobIndex(0)]);
}

#[test]
fn what_does_not_fit_is_not_merged() {
    let open = |bytes| DictionaryFile::open(bytes).unwrap();
    let (first, _) = build(&[entry(1, 0, 0)], &[blob(5)], 0);
    let (said, _) = build(&[entry(1, 0, 0)], &[blob(5).detail([9])], 0);
    let other = |algorithm, profile: &[u8]| {
        let options = BuildOptions::default().profile(profile);
        let builder = DictionaryBuilder::new(algorithm, Cursor::new(Vec::new()), options);
        let mut bytes = Vec::new();
        let _ = builder.finish(&mut bytes, &mut ()).unwrap();
        bytes
    };
    for (second, message) in [
        (said, "blob blob-0005 is described in two ways"),
        (
            other(ALGORITHM, b"other"),
            "dictionary 1, counted from 0, has another profile than the first",
        ),
        (
            other(DigestAlgorithm::Sha256, b"profile"),
            "dictionary 1, counted from 0, has another digest algorithm than the first",
        ),
    ] {
        let files = [open(first.clone()), open(second)];
        let error = merge(&files, &mut Vec::new(), &mut ()).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    let none: [DictionaryFile<Vec<u8>>; 0] = [];
    let error = merge(&none, &mut Vec::new(), &mut ()).unwrap_err();
    assert!(matches!(error, DictionaryError::Entry { .. }));
}

#[test]
fn impossible_entries_are_refused() {
    let options = BuildOptions::default();
    let mut builder = DictionaryBuilder::new(ALGORITHM, Cursor::new(Vec::new()), options);
    let _ = builder.add_blob(blob(0)).unwrap();
    let sound = entry(9, 0, 0);
    let with = |change: &dyn Fn(&mut Entry)| {
        let mut entry = sound;
        change(&mut entry);
        entry
    };
    for entry in [
        with(&|entry| entry.digest = Digest::new(DigestAlgorithm::Sha256, [0; 32])),
        with(&|entry| entry.placement.frame.blob = BlobIndex(1)),
        with(&|entry| entry.placement.frame.recipe = RecipeId(8)),
        with(&|entry| entry.placement.frame.offset = u64::MAX),
        with(&|entry| entry.placement.offset_in_frame = 1),
        with(&|entry| entry.len += 1),
    ] {
        let error = builder.push(entry).unwrap_err();
        assert!(matches!(error, DictionaryError::Entry { .. }), "{error}");
        assert_eq!(error.fault(), Fault::Misuse);
    }
    let error = builder.add_blob(blob(0).detail([])).unwrap_err();
    assert_eq!(error.to_string(), "blob blob-0000 is described in two ways");
}

#[test]
fn building_can_be_stopped() {
    let options = BuildOptions::default();
    let mut builder = DictionaryBuilder::new(ALGORITHM, Cursor::new(Vec::new()), options);
    let _ = builder.add_blob(blob(0)).unwrap();
    for n in 0..20_000 {
        builder.push(entry(n, 0, n)).unwrap();
    }
    let mut stop = |_: u64, _: Option<u64>| Err(Cancelled);
    let error = builder.finish(&mut Vec::new(), &mut stop).unwrap_err();
    assert_eq!(error.fault(), Fault::Cancelled);
}

/// As many chunks as a registry has, of the sizes that there are: 48 bytes for each, all in all.
#[test]
fn an_entry_takes_at_most_48_bytes() {
    for count in [1000, 100_000, 300_000] {
        let spread = |n: u32| u64::from(n).wrapping_mul(0x9e37_79b9) % (1 << 20);
        let entries: Vec<Entry> = (0..count)
            .map(|n| {
                let mut entry = entry(n, n % 100, n / 100);
                entry.len = 1 + spread(n) as u32;
                entry.placement.frame.len = entry.len;
                entry.placement.frame.stored_len = entry.len / 2 + 1;
                entry.placement.frame.offset = 500_000 * u64::from(n / 100);
                entry.placement.address = (1 << 20) * u64::from(n / 100);
                entry
            })
            .collect();
        let (bytes, _) = build(&entries, &blobs(100), 64 << 20);
        let file = DictionaryFile::open(bytes).unwrap();
        let without_blobs = file.bytes().len() as u64 - 100 * 40;
        let each = without_blobs as f64 / f64::from(count);
        assert!(each <= 48.0, "{count} entries: {each} bytes each");
    }
}

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
    // 7 bytes of profile, 3 ends of blobs, 3 descriptions of 26 bytes; 16 buckets.
    let starts = 128 + 7 + 24 + 3 * 26;
    let records = starts + 4 * 17;
    let record_len = DictionaryFile::open(&bytes[..]).unwrap().record_len();
    assert_eq!(records + 30 * record_len + 64, bytes.len());
    // A record that is in the same bucket as the next one.
    let first = |record: usize| bytes[records + record * record_len] >> 4;
    let alike = (0..29).find(|record| first(*record) == first(record + 1));
    let alike = alike.expect("there are more records than buckets");
    let repeated = records + alike * record_len;
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
            starts,
            &[1],
            "bucket 0 of the dictionary has records 1 to 1 of 30",
        ),
        (
            starts + 4,
            &[31],
            "bucket 0 of the dictionary has records 0 to 31 of 30",
        ),
        (
            records,
            &[0xff],
            "record 0 of the dictionary: its digest belongs into another bucket",
        ),
        (
            repeated + record_len,
            &bytes[repeated..repeated + record_len],
            "record RECORD of the dictionary: it is not in order",
        ),
        (
            records + 32,
            &[0xff; 8],
            "record 0 of the dictionary: there is no such blob",
        ),
        (
            bytes.len() - 64,
            &[1],
            "dictionary header, byte BYTE: end is 0, must be zeros",
        ),
    ] {
        let message = message
            .replace("BYTE", &(bytes.len() - 64).to_string())
            .replace("RECORD", &(alike + 1).to_string());
        assert_eq!(with(at, new), message);
    }
    assert_eq!(
        DictionaryFile::open(&bytes[..])
            .unwrap()
            .entry_placement(ChunkId::new(30))
            .unwrap_err()
            .to_string(),
        "record 30 of the dictionary: there is no such record"
    );
}

/// Made by this crate, version 0.1.0: a golden that keeps readers of version 1 readable.
#[test]
fn the_bytes_of_version_1() {
    let entries = [entry(1, 0, 0), entry(2, 1, 3)];
    let (bytes, _) = build(&entries, &[blob(0), blob(1)], 1 << 20);
    let hex: Vec<String> = bytes
        .chunks(32)
        .map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect())
        .collect();
    assert_eq!(hex.join("\n"), include_str!("version-1.hex").trim_end());
}

proptest! {
    #[test]
    fn any_set_is_found_again(
        numbers in proptest::collection::vec((0u32..400, 0u32..3, 0u32..64), 0..300),
        memory in 0usize..20_000,
    ) {
        let entries: Vec<Entry> =
            numbers.iter().map(|&(n, blob, index)| entry(n, blob, index)).collect();
        let (bytes, summary) = build(&entries, &blobs(3), memory);
        let mut model: BTreeMap<(Digest, u32), (u32, u32)> = BTreeMap::new();
        for &(n, blob, index) in &numbers {
            let place = model.entry((digest(n), 1 + n % 4096)).or_insert((blob, index));
            *place = (*place).min((blob, index));
        }
        prop_assert_eq!(summary.chunks as usize, model.len());
        prop_assert_eq!(summary.duplicates as usize, numbers.len() - model.len());
        let file = DictionaryFile::open(bytes).unwrap();
        file.check().unwrap();
        for n in 0..400 {
            let key = (digest(n), 1 + n % 4096);
            let expected = model.get(&key).map(|&(blob, index)| entry(n, blob, index).placement);
            prop_assert_eq!(file.lookup(&key.0, key.1).unwrap(), expected);
        }
    }

    #[test]
    fn any_placement_survives(
        offset in any::<u64>(),
        small in any::<[u32; 4]>(),
        recipe in 0u32..8,
        address in any::<u64>(),
    ) {
        let [stored_len, len, before, index] = small;
        let offset = offset.min(u64::MAX - u64::from(stored_len));
        let frame_len = len.saturating_add(before);
        let offset_in_frame = frame_len - len;
        let placement = Placement {
            frame: Frame { blob: BlobIndex(0), offset, stored_len, len: frame_len, recipe: RecipeId(recipe) },
            offset_in_frame,
            index,
            address,
        };
        let (bytes, _) = build(&[Entry { digest: digest(1), len, placement }], &blobs(1), 0);
        let file = DictionaryFile::open(bytes).unwrap();
        file.check().unwrap();
        prop_assert_eq!(file.lookup(&digest(1), len).unwrap(), Some(placement));
    }
}
