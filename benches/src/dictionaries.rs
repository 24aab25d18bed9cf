//! Dictionaries of chunks that never were.

use std::fs;
use std::io::{self, BufWriter, Cursor, Write};

use bytes::Bytes;
use lazyoci::blob_io::Mapped;
use lazyoci::chunk_dedup::{
    BlobRecord, BuildOptions, DictionaryBuilder, DictionaryFile, Entry, Key, Placement, recipes,
};
use lazyoci::model::image::ChunkedParts;
use lazyoci::model::{
    Blob, BlobId, BlobIndex, Chunk, ChunkedImage, Digest, DigestAlgorithm, Frame, FrameId,
    RecipeId, Tree,
};

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

/// The same chunk as `HashMap` holds it: it knows as much as the other forms.
#[must_use]
pub fn pair(number: u32) -> (Key, Placement) {
    let entry = entry(number);
    ((entry.digest, entry.len), entry.placement)
}

/// The same chunk in the list of an image.
#[must_use]
pub fn chunk(number: u32) -> Chunk {
    let entry = entry(number);
    Chunk {
        digest: Some(entry.digest),
        len: entry.len,
        crc32c: None,
        frame: FrameId(number),
        offset_in_frame: 0,
    }
}

/// An image of the first `count` chunks, in no files.
///
/// # Panics
/// Never: its lists fit each other.
#[must_use]
pub fn image(count: u32) -> ChunkedImage {
    let parts = ChunkedParts {
        extents: Vec::new(),
        chunks: (0..count).map(chunk).collect(),
        frames: (0..count)
            .map(|number| entry(number).placement.frame)
            .collect(),
        recipes: recipes().collect(),
        blobs: (0..blobs(count))
            .map(|blob| Blob::new(name(blob)))
            .collect(),
    };
    ChunkedImage::new(Tree::implied(), parts).expect("its lists fit")
}

/// As many blobs as so many chunks need.
fn blobs(count: u32) -> u32 {
    count.div_ceil(PER_BLOB)
}

fn name(blob: u32) -> BlobId {
    BlobId::new(format!("{blob:064x}").as_bytes()).expect("it is a name")
}

/// Bytes of memory that this process has.
///
/// # Errors
/// If the system does not tell.
pub fn resident() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let figure = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    figure
        .map(|kib| kib << 10)
        .ok_or_else(|| io::Error::other("there is no VmRSS"))
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
    for blob in 0..blobs(count) {
        let record = BlobRecord::new(name(blob));
        builder.add_blob(record).expect("it is new");
    }
    builder
}

/// A dictionary file of the first `count` chunks, in memory.
///
/// # Panics
/// If there is not as much.
#[must_use]
pub fn file(count: u32) -> DictionaryFile<Vec<u8>> {
    let mut bytes = Vec::new();
    write(count, Cursor::new(Vec::new()), &mut bytes);
    DictionaryFile::open(bytes).expect("it was written by us")
}

/// A dictionary file of the first `count` chunks, on disk, mapped and read once. What was written is dropped from the
/// page cache before: the file is mapped as by any process that did not write it, where the system can with large pages.
///
/// # Panics
/// If there is no room in the folder for temporary files.
#[must_use]
pub fn mapped(count: u32) -> DictionaryFile<Bytes> {
    let temporary = || tempfile::tempfile().expect("a file can be created");
    let file = temporary();
    write(count, temporary(), &mut BufWriter::new(&file));
    file.sync_all().expect("it is written");
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("it can be dropped");
    let mapped = Mapped::map(&file).expect("it can be mapped");
    let pages = mapped.bytes().chunks(4096).map(|page| u64::from(page[0]));
    std::hint::black_box(pages.sum::<u64>());
    DictionaryFile::open(mapped.bytes().clone()).expect("it was written by us")
}

fn write<T: io::Read + Write + io::Seek>(count: u32, temporary: T, mut out: impl Write) {
    let mut builder = builder(count, temporary);
    for number in 0..count {
        builder.push(entry(number)).expect("it is sound");
    }
    builder.finish(&mut out, &mut ()).expect("there is room");
    out.flush().expect("there is room");
}

/// The keys of the chunks from `first` on, `count` of them, each once, in random order.
#[must_use]
pub fn questions(first: u32, count: u32) -> Vec<Key> {
    let numbers: Vec<u32> = (first..first + count).collect();
    let numbers = Random::new(7).choose(numbers, count as usize);
    numbers.into_iter().map(key).collect()
}
