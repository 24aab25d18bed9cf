//! Dictionaries of chunks that never were.

use std::io::Cursor;

use lazyoci::chunk_dedup::{
    BlobRecord, BuildOptions, DictionaryBuilder, DictionaryFile, Entry, Key, Placement,
};
use lazyoci::model::{BlobId, BlobIndex, Digest, DigestAlgorithm, Frame, RecipeId};

use crate::content::Random;

/// Chunks of a blob: as many as an image has.
const PER_BLOB: u32 = 10_000;

/// The chunk with this number: of up to 1 MiB, compressed to a third or so, in a blob of 10,000.
///
/// # Panics
/// Never: all of its numbers are small.
#[must_use]
pub fn entry(number: u32) -> Entry {
    let random = &mut Random::new(u64::from(number) << 8);
    let mut digest = [0; 32];
    for word in digest.as_chunks_mut().0 {
        *word = random.number().to_le_bytes();
    }
    let len = 1 + random.skewed(21) as u32;
    let index = number % PER_BLOB;
    let stored_len = len / 3 + 1;
    Entry {
        digest: Digest::new(DigestAlgorithm::Blake3, digest),
        len,
        placement: Placement {
            frame: Frame {
                blob: BlobIndex(number / PER_BLOB),
                offset: u64::from(index) * 100_000,
                stored_len,
                len,
                recipe: RecipeId(2),
            },
            offset_in_frame: 0,
            index,
            address: u64::from(index) * 4096 * 64,
        },
    }
}

/// What finds a chunk.
#[must_use]
pub fn key(number: u32) -> Key {
    let entry = entry(number);
    (entry.digest, entry.len)
}

/// A builder with as many blobs as `count` chunks need.
///
/// # Panics
/// If there is no memory.
#[must_use]
pub fn builder<T: std::io::Read + std::io::Write + std::io::Seek>(
    count: u32,
    temporary: T,
) -> DictionaryBuilder<T> {
    let options = BuildOptions::default();
    let mut builder = DictionaryBuilder::new(DigestAlgorithm::Blake3, temporary, options);
    for blob in 0..count.div_ceil(PER_BLOB) {
        let id = BlobId::new(format!("{blob:064x}").as_bytes()).expect("it is a name");
        builder.add_blob(BlobRecord::new(id)).expect("it is new");
    }
    builder
}

/// A dictionary file of the first `count` chunks, in memory.
///
/// # Panics
/// If there is not as much.
#[must_use]
pub fn file(count: u32) -> DictionaryFile<Vec<u8>> {
    let mut builder = builder(count, Cursor::new(Vec::new()));
    for number in 0..count {
        builder.push(entry(number)).expect("it is sound");
    }
    let mut bytes = Vec::new();
    builder
        .finish(&mut bytes, &mut ())
        .expect("there is memory");
    DictionaryFile::open(bytes).expect("it was written by us")
}

/// The keys of the chunks from `first` on, `count` of them, each once, in random order.
#[must_use]
pub fn questions(first: u32, count: u32) -> Vec<Key> {
    let numbers: Vec<u32> = (first..first + count).collect();
    let numbers = Random::new(7).choose(numbers, count as usize);
    numbers.into_iter().map(key).collect()
}
