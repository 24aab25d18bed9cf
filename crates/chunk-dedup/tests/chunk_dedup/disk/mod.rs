//! Dictionary files.

mod build;
mod damage;

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

/// Digests that share all but their last bytes are of one part, and differ in nothing that pilots tell apart but in the
/// length.
#[test]
fn digests_that_were_chosen_for_one_part_are_found() {
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

/// More records in one part than can have pilots: the first part, or the last one.
#[test]
fn a_part_may_have_more_records_than_have_pilots() {
    let chosen = |n: u32, last: bool| {
        let mut bytes = [if last { 0xff } else { 0 }; 32];
        bytes[28..].copy_from_slice(&n.to_be_bytes());
        Digest::new(ALGORITHM, bytes)
    };
    for (last, count) in [(false, 300), (true, 300), (false, 9000), (true, 9000)] {
        let entries: Vec<Entry> = (0..count)
            .map(|n| Entry {
                digest: chosen(2 * n, last),
                ..entry(n, 0, n)
            })
            .chain([Entry {
                digest: Digest::new(ALGORITHM, [0x7f; 32]),
                ..entry(1, 0, 1)
            }])
            .collect();
        let (bytes, _) = build(&entries, &blobs(1), 32 << 20);
        let file = DictionaryFile::open(bytes).unwrap();
        file.check().unwrap();
        for entry in &entries {
            let found = file.lookup(&entry.digest, entry.len).unwrap();
            assert_eq!(found, Some(entry.placement));
        }
        assert_eq!(file.lookup(&chosen(511, last), 1).unwrap(), None);
        let mut sorted = entries;
        sorted.sort_by_key(|entry| entry.digest);
        let listed: Result<Vec<Entry>, _> = file.entries().collect();
        assert_eq!(listed.unwrap(), sorted);
    }
}

/// One digest for all lengths but for its last bytes, and first bits of all kinds.
#[test]
fn digests_may_be_alike() {
    let heads = [0u64, 1, 2, 5, 28, 58, 59, 60, 61, 0xff];
    for count in [1u32, 2, 5, 27, 28, 58, 59, 60, 61, 70] {
        for head in heads {
            let with = |head: u64, bits: u32, n: u32| {
                let mut bytes = [0; 32];
                bytes[..8].copy_from_slice(&(head << 56 >> bits).to_be_bytes());
                bytes[28..].copy_from_slice(&n.to_be_bytes());
                Digest::new(ALGORITHM, bytes)
            };
            let bits = (count / 14).checked_ilog2().unwrap_or(0);
            let of = |n| with(head, bits, n);
            let entries: Vec<Entry> = (0..count)
                .map(|n| Entry {
                    digest: of(n),
                    ..entry(n, 0, n)
                })
                .collect();
            let (bytes, _) = build(&entries, &blobs(1), 1 << 20);
            let file = DictionaryFile::open(bytes).unwrap();
            file.check().unwrap();
            let keys: Vec<_> = entries.iter().map(|e| (e.digest, e.len)).collect();
            let mut found = Vec::new();
            file.lookup_many(&keys, &mut found).unwrap();
            for (entry, many) in entries.iter().zip(found) {
                let found = file.lookup(&entry.digest, entry.len).unwrap();
                assert_eq!(found, Some(entry.placement), "{head} of {count}");
                assert_eq!(many, found);
                assert_eq!(file.lookup(&entry.digest, entry.len + 1).unwrap(), None);
            }
            for missing in heads
                .iter()
                .flat_map(|&head| (0..3).map(move |bits| (head, bits)))
            {
                let missing = with(missing.0, missing.1, 7777);
                assert_eq!(file.lookup(&missing, 1).unwrap(), None);
            }
        }
    }
}

/// Keys of which no pilot is told from others, since they are the same in what is computed with: the part is searched.
#[test]
fn keys_that_no_pilot_tells_apart_are_found() {
    let chosen = |n: u32| {
        let mut bytes = [7; 32];
        bytes[28..].copy_from_slice(&n.to_be_bytes());
        Digest::new(ALGORITHM, bytes)
    };
    for count in [2, 3, 300] {
        let of_one = (0..count).map(|n| Entry {
            digest: chosen(2 * n),
            ..entry(1, 0, n)
        });
        let entries: Vec<Entry> = of_one.chain(many(100)).collect();
        let (bytes, _) = build(&entries, &blobs(3), 1 << 20);
        assert!(bytes[256..256 + 600].iter().all(|&pilot| pilot == 0xff));
        let file = DictionaryFile::open(bytes).unwrap();
        file.check().unwrap();
        for entry in &entries {
            let found = file.lookup(&entry.digest, entry.len).unwrap();
            assert_eq!(found, Some(entry.placement));
            assert_eq!(file.lookup(&entry.digest, 9999).unwrap(), None);
        }
        assert_eq!(file.lookup(&chosen(1), 2).unwrap(), None);
        let keys: Vec<_> = entries.iter().map(|e| (e.digest, e.len)).collect();
        let mut found = Vec::new();
        file.lookup_many(&keys, &mut found).unwrap();
        let expected = entries.iter().map(|entry| Some(entry.placement));
        assert!(found.into_iter().eq(expected));
    }
}

/// Made by this crate, version 0.1.0: a golden that keeps readers of version 2 readable.
#[test]
fn the_bytes_of_version_2() {
    let entries = [entry(1, 0, 0), entry(2, 1, 3)];
    let (bytes, _) = build(&entries, &[blob(0), blob(1)], 1 << 20);
    let hex: Vec<String> = bytes
        .chunks(32)
        .map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect())
        .collect();
    assert_eq!(hex.join("\n"), include_str!("../version-2.hex").trim_end());
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
