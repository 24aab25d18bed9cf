//! Dictionaries as files.
//!
//! A file is immutable and holds a set of chunks with their placements, sorted by digest. Its bytes depend on
//! that set alone, so that its digest names it. [`DictionaryFile`] is a view of the bytes, mapped or in memory;
//! [`DictionaryBuilder`] writes a file of more chunks than fit in memory, and [`merge`] one of several files.

mod blobs;
mod block;
mod bucket;
mod build;
mod check;
mod columns;
mod find;
mod header;
mod iterate;
mod runs;
mod write;

use image_model::DigestAlgorithm;
use image_model::width::usize_from;

use crate::error::DictionaryError;
use block::Slot;
use bucket::Bucket;
use columns::{WINDOW, position};
use header::{Header, Sections};

pub use build::{BuildOptions, DictionaryBuilder};
pub use header::is_dictionary;
pub use iterate::Entries;
pub use write::{Summary, merge};

/// A dictionary file, as a view of its bytes.
///
/// Opening it takes the same time whatever its size: the header is checked, and nothing else is read. What a
/// lookup touches is checked as it is read, so that no byte of a damaged or hostile file makes it panic or read
/// elsewhere. A file can tell a wrong place all the same: whoever reads a chunk compares its length and digest.
/// [`check`](Self::check) reads everything.
///
/// ```
/// use image_model::{BlobId, BlobIndex, Digest, DigestAlgorithm, Frame, RecipeId};
/// use lazyoci_chunk_dedup::{
///     BlobRecord, BuildOptions, Dictionary, DictionaryBuilder, DictionaryFile, Entry, Placement,
/// };
///
/// let algorithm = DigestAlgorithm::Sha256;
/// let temporary = std::io::Cursor::new(Vec::new()); // or a file
/// let mut builder = DictionaryBuilder::new(algorithm, temporary, BuildOptions::default());
/// let blob = builder.add_blob(BlobRecord::new(BlobId::new(b"ab12")?))?;
/// let frame = Frame { blob, offset: 0, stored_len: 9, len: 20, recipe: RecipeId(2) };
/// let placement = Placement { frame, offset_in_frame: 0, index: 0, address: 0 };
/// let digest = Digest::new(algorithm, [7; 32]);
/// builder.push(Entry { digest, len: 20, placement })?;
/// let mut bytes = Vec::new();
/// builder.finish(&mut bytes, &mut ())?;
///
/// let file = DictionaryFile::open(bytes)?;
/// file.check()?;
/// assert_eq!(file.lookup(&digest, 20)?, Some(placement));
/// assert_eq!(file.find(&digest, 21)?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Layout
/// The header has 128 bytes. All numbers are little-endian.
///
/// | offset | size | field | unit and rule |
/// |---|---|---|---|
/// | 0 | 8 | magic | `89 4c 5a 43 48 44 0d 0a` |
/// | 8 | 4 | version | 1 |
/// | 12 | 1 | algorithm | of all digests: 1 SHA-256, 2 BLAKE3 |
/// | 13 | 1 | bucket_bits | *k*: the records are in 2^*k* buckets, by the first *k* bits of their digests; the binary logarithm, rounded down, of a fourteenth of the number of records, 0 to 28 |
/// | 14 | 2 | zero | |
/// | 16 | 4 | entries | records, at most 2^32 - 2 |
/// | 20 | 4 | blobs | blobs, at most 2^32 - 2 |
/// | 24 | 4 | profile_size | bytes of the profile |
/// | 28 | 4 | zero | |
/// | 32 | 8 | blob_size | bytes of the descriptions of blobs |
/// | 40 | 20 | columns | two bytes each, a shift and a width: see below |
/// | 60 | 64 | zero | |
/// | 124 | 4 | checksum | CRC-32 (IEEE) of the bytes before |
///
/// After it come, each where the one before ends:
///
/// | section | size | contains |
/// |---|---|---|
/// | profile | profile_size | for which images the placements are; the format's own encoding |
/// | blob ends | 8 for each blob | where its description ends, in the next section |
/// | blobs | blob_size | the descriptions, by ascending ids |
/// | zeros | 0 to 63 | so that the buckets begin at a multiple of 64 |
/// | buckets | 64 for each | which records they have, and how the digests of these go on: see below |
/// | blocks | 32 records in each | the records by ascending digest, and then by length |
/// | end | 60 | zero |
/// | checksum | 4 | CRC-32 of all bytes from the profile to here |
///
/// A description has one byte that says how long the id is, the id, two bytes for the length of the origin (a
/// repository), the origin in UTF-8, and the detail in the format's own encoding up to its end.
///
/// A bucket, of which there is one even if there is no record:
///
/// | offset | size | field | unit and rule |
/// |---|---|---|---|
/// | 0 | 4 | first | its first record; where the bucket before ends |
/// | 4 | 1 | count | its records; 255 if there are as many or more, which end where the next bucket begins |
/// | 5 | 59 | heads | of its first 59 records, the 8 bits of the digest after the first *k*; `ff` where there is no record |
///
/// A block has the digests of its 32 records, and then their placements; zeros where the last one has no record. Each
/// digest has 32 bytes, of which the first *j* = (*k* + 8) / 8 are known from the bucket: instead of them it begins with
/// the lowest *j* bytes of the length. So a lookup reads two places: the bucket, and if that has the head, nearly always
/// the one digest with it; and near that the placement, if it is asked for, or if some chunk has 2^(8*j*) bytes or more.
///
/// A placement is bits, lowest first, that make up ten numbers, padded with zeros to whole bytes. Of each number
/// some lowest bits are left out (the *shift*), as they are zero in all records, and then *width* bits are stored.
///
/// | number | maximum bits | is |
/// |---|---|---|
/// | length | 32 | bytes of the chunk, without the lowest *j* bytes of this number |
/// | blob | 32 | position of its blob |
/// | stored offset | 64 | first byte of the frame in the blob |
/// | stored length | 32 | bytes of the frame |
/// | beyond | 32 | decoded bytes of the frame minus the length |
/// | offset in the frame | 32 | first byte of the chunk in the decoded frame |
/// | recipe | 3 | how the frame is decoded: codec 0 none, 1 LZ4 block, 2 zstd, 3 gzip; plus 4 if more than the frame follows |
/// | position | 32 | of the chunk among those of its blob |
/// | address | 64 | first byte of the chunk in the decoded bytes of its blob |
/// | head | 8 | of a record behind the first 59 of its bucket, the 8 bits of the digest after the first *k*; else 0 |
///
/// A later version has another number, and no reader of this one accepts it. Source: this crate.
#[derive(Debug, Clone)]
pub struct DictionaryFile<B> {
    bytes: B,
    header: Header,
    sections: Sections,
    /// What no lookup has to compute again: bytes of a digest that buckets tell, of a placement, and of a block.
    known_len: u8,
    placement_len: usize,
    block_len: usize,
}

impl<B: AsRef<[u8]>> DictionaryFile<B> {
    /// The dictionary that `bytes` are.
    ///
    /// # Errors
    /// [`DictionaryError`] if the header is damaged, or the length is not what it says.
    pub fn open(bytes: B) -> Result<Self, DictionaryError> {
        let header = Header::from_bytes(bytes.as_ref())?;
        let sections = header.sections(bytes.as_ref().len())?;
        Ok(Self {
            bytes,
            known_len: header.known_len(),
            placement_len: header.columns.len(),
            block_len: block::len(&header.columns),
            header,
            sections,
        })
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// The algorithm of all digests.
    #[must_use]
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.header.algorithm
    }

    /// Number of chunks.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.header.entries
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.header.entries == 0
    }

    /// Bytes that a record takes.
    #[must_use]
    pub fn record_len(&self) -> usize {
        block::SLOT_LEN + self.placement_len
    }

    /// For which images the placements are, in the format's own encoding.
    pub fn profile(&self) -> &[u8] {
        self.section(Header::LEN, self.sections.blob_ends)
    }

    fn section(&self, start: usize, end: usize) -> &[u8] {
        // The length was compared when it was opened, but `AsRef` may answer otherwise the next time.
        self.bytes().get(start..end).unwrap_or_default()
    }

    /// A bucket.
    #[inline]
    fn bucket(&self, number: u32) -> Result<Bucket<'_>, DictionaryError> {
        let at = self.sections.buckets + position(number, bucket::LEN);
        let bytes = self.bytes().get(at..).and_then(<[u8]>::first_chunk);
        bytes.map(Bucket).ok_or(DictionaryError::Bucket {
            bucket: number,
            start: 0,
            end: 0,
            entries: self.header.entries,
        })
    }

    /// The records of a bucket: the first, and one past the last.
    #[inline]
    fn records_of(&self, number: u32, bucket: Bucket<'_>) -> Result<(u32, u32), DictionaryError> {
        let (start, count) = (bucket.first(), bucket.count());
        let end = match count {
            u8::MAX => self.start_of_next(number)?,
            // Too many is more than there are.
            count => start.saturating_add(count.into()),
        };
        let entries = self.header.entries;
        if start <= end && end <= entries {
            return Ok((start, end));
        }
        Err(DictionaryError::Bucket {
            bucket: number,
            start,
            end,
            entries,
        })
    }

    /// The record with which the next bucket begins.
    #[cold]
    fn start_of_next(&self, number: u32) -> Result<u32, DictionaryError> {
        match number + 1 {
            next if next < self.header.buckets() => Ok(self.bucket(next)?.first()),
            _ => Ok(self.header.entries),
        }
    }

    /// Where the block of a record begins.
    #[inline]
    fn block_of(&self, record: u32) -> usize {
        self.sections.records + usize_from(record) / block::RECORDS * self.block_len
    }

    /// Where the digest of a record is, and where its placement.
    #[inline]
    fn places(&self, record: u32) -> (usize, usize) {
        let block = self.block_of(record);
        let at = usize_from(record) % block::RECORDS;
        let slot = block + at * block::SLOT_LEN;
        (slot, block + block::placement_at(at, self.placement_len))
    }

    /// The digest of a record, if it is in the file.
    #[inline]
    fn slot(&self, record: u32) -> Option<Slot> {
        let bytes = self.bytes().get(self.places(record).0..)?;
        bytes.first_chunk().map(Slot::from_bytes)
    }

    /// The bytes in which the placement of a record is.
    #[inline]
    fn window(&self, record: u32) -> Result<&[u8; WINDOW], DictionaryError> {
        // As many bytes are behind the last record.
        let bytes = self.bytes().get(self.places(record).1..);
        let window = bytes.and_then(<[u8]>::first_chunk);
        window.ok_or(DictionaryError::Record {
            record,
            what: "it is not in the file",
        })
    }
}
