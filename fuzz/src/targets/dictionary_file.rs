//! Dictionary files that anybody may have written.

use std::collections::BTreeMap;
use std::io::Cursor;

use lazyoci::chunk_dedup::{
    BlobRecord, BuildOptions, Dictionary as _, DictionaryBuilder, DictionaryFile, Entry,
    PlacedDictionary as _, Placement, merge,
};
use lazyoci::model::{BlobId, BlobIndex, ChunkId, Digest, DigestAlgorithm, Frame, RecipeId};

use super::input::Input;

/// Opens any bytes as a dictionary file and asks it everything, with and without a repaired header; or takes them as
/// entries, and compares the file that is built of those with a map.
pub fn dictionary_file(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else {
        return;
    };
    if choice & 1 == 1 {
        return build(&mut Input::new(rest));
    }
    ask(rest);
    if let Some(sealed) = sealed(rest) {
        ask(&sealed);
    }
}

/// The bytes with the checksums that they ought to have, so that what comes after these is reached.
fn sealed(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    let header = crc32fast::hash(bytes.get(..124)?);
    bytes
        .get_mut(124..128)?
        .copy_from_slice(&header.to_le_bytes());
    let end = bytes.len().checked_sub(4).filter(|end| *end >= 128)?;
    let rest = crc32fast::hash(&bytes[128..end]);
    bytes[end..].copy_from_slice(&rest.to_le_bytes());
    Some(bytes)
}

fn ask(bytes: &[u8]) {
    let Ok(file) = DictionaryFile::open(bytes) else {
        return;
    };
    let checked = file.check();
    let mut entries = Vec::new();
    for entry in file.entries() {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(_) => assert!(checked.is_err(), "a file that was checked is sound"),
        }
    }
    for blob in 0..file.blobs().min(1000) {
        let record = file.blob(BlobIndex(blob));
        assert!(record.is_ok() || checked.is_err());
    }
    for id in 0..file.len().min(1000) {
        let placed = file.entry_placement(ChunkId::new(id));
        assert!(placed.is_ok() || checked.is_err());
    }
    let mut keys: Vec<_> = entries
        .iter()
        .map(|entry| (entry.digest, entry.len))
        .collect();
    keys.push((Digest::new(file.algorithm(), [0; 32]), 1));
    let mut found = Vec::new();
    let together = file.find_many(&keys, &mut found);
    for (position, (digest, len)) in keys.iter().enumerate() {
        let alone = file.find(digest, *len);
        if checked.is_ok() {
            assert_eq!(
                alone.expect("a file that was checked is sound"),
                found[position]
            );
        }
        let placed = file.lookup(digest, *len);
        if let (Some(entry), true) = (entries.get(position), checked.is_ok()) {
            assert_eq!(placed.expect("it is sound"), Some(entry.placement));
        }
    }
    assert!(together.is_ok() || checked.is_err());
    if checked.is_ok() {
        // Merged with nothing, its entries are the same; the bytes need not be, as blobs and columns may be others.
        let mut again = Vec::new();
        let file = [DictionaryFile::open(bytes).expect("it was opened")];
        let _ = merge(&file, &mut again, &mut ()).expect("a sound file can be merged");
        let again = DictionaryFile::open(again).expect("it was written by us");
        again.check().expect("it was written by us");
        let same: Result<Vec<Entry>, _> = again.entries().collect();
        assert_eq!(same.expect("it was checked"), entries);
    }
}

fn build(input: &mut Input<'_>) {
    let algorithm = DigestAlgorithm::Sha256;
    let memory = usize::from(input.u16());
    let options = BuildOptions::default().memory(memory);
    let mut builder = DictionaryBuilder::new(algorithm, Cursor::new(Vec::new()), options);
    for blob in 0..4u8 {
        let id = BlobId::new(&[b'a' + blob]).expect("it is a name");
        let index = builder.add_blob(BlobRecord::new(id)).expect("it is new");
        assert_eq!(index, BlobIndex(blob.into()));
    }
    let mut model: BTreeMap<(Digest, u32), (u32, u64)> = BTreeMap::new();
    let placement = |blob: u32, offset: u64, len: u32| Placement {
        frame: Frame {
            blob: BlobIndex(blob),
            offset,
            stored_len: len,
            len,
            recipe: RecipeId(0),
        },
        offset_in_frame: 0,
        index: 7,
        address: offset,
    };
    while !input.is_empty() {
        let mut bytes = [0; 32];
        // Few buckets, and some digests that are alike at first.
        bytes[0] = input.byte();
        bytes[31] = input.byte() & 3;
        let len = 1 + u32::from(input.byte() & 3);
        let (blob, offset) = (u32::from(input.byte() & 3), u64::from(input.u16()));
        let digest = Digest::new(algorithm, bytes);
        let placement = placement(blob, offset, len);
        builder
            .push(Entry {
                digest,
                len,
                placement,
            })
            .expect("it is sound");
        let place = model.entry((digest, len)).or_insert((blob, offset));
        *place = (*place).min((blob, offset));
    }
    let mut bytes = Vec::new();
    let summary = builder
        .finish(&mut bytes, &mut ())
        .expect("there is memory");
    assert_eq!(summary.chunks as usize, model.len());
    let file = DictionaryFile::open(bytes).expect("it was written by us");
    file.check().expect("it was written by us");
    for (&(digest, len), &(blob, offset)) in &model {
        let found = file.lookup(&digest, len).expect("it is sound");
        assert_eq!(found, Some(placement(blob, offset, len)));
    }
}
