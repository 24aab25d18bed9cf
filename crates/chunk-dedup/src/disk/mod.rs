//! Dictionaries as files.
//!
//! A file is immutable and holds a set of chunks with their placements. Its bytes depend on
//! that set alone, so that its digest names it. [`DictionaryFile`] is a view of the bytes, mapped or in memory;
//! [`DictionaryBuilder`] writes a file of more chunks than fit in memory, and [`merge`] one of several files.

mod blobs;
mod build;
mod check;
mod columns;
mod find;
mod header;
mod iterate;
mod layout;
mod part;
mod runs;
mod write;

use image_model::DigestAlgorithm;
use image_model::width::usize_from;

use crate::error::DictionaryError;
use columns::position;
use header::{Header, Sections};
use part::PILOTS;

pub use build::{BuildOptions, DictionaryBuilder};
pub use header::is_dictionary;
pub use iterate::Entries;
pub use write::{Summary, merge};

/// Bytes of a digest.
const DIGEST_LEN: usize = 32;

/// Bytes that are read for a record: none has more, and as many are behind the last one.
const WINDOW: usize = 96;

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
/// | 8 | 4 | version | 2 |
/// | 12 | 1 | algorithm | of all digests: 1 SHA-256, 2 BLAKE3 |
/// | 13 | 3 | zero | |
/// | 16 | 4 | entries | records, at most 2^32 - 2 |
/// | 20 | 4 | blobs | blobs, at most 2^32 - 2 |
/// | 24 | 4 | profile_size | bytes of the profile |
/// | 28 | 4 | zero | |
/// | 32 | 8 | blob_size | bytes of the descriptions of blobs |
/// | 40 | 18 | columns | two bytes each, a shift and a width: see below |
/// | 58 | 66 | zero | |
/// | 124 | 4 | checksum | CRC-32 (IEEE) of the bytes before |
///
/// After it come, each where the one before ends, with *p* = entries / 2048 + 1 parts, rounded down:
///
/// | section | size | contains |
/// |---|---|---|
/// | profile | profile_size | for which images the placements are; the format's own encoding |
/// | blob ends | 8 for each blob | where its description ends, in the next section |
/// | blobs | blob_size | the descriptions, by ascending ids |
/// | zeros | 0 to 63 | so that the pilots begin at a multiple of 64 |
/// | pilots | 600 for each part | one byte each: see below |
/// | displaced | 2 for 64 records | records that are not in their places: see below |
/// | firsts | 4 for each part, and 8 | the first record of each part, the number of all, and the number of parts that are searched |
/// | zeros | 0 to 63 | so that the records begin at a multiple of 64 |
/// | records | 32 and the size of a placement | part after part |
/// | end | 60 | zero |
/// | checksum | 4 | CRC-32 of all bytes from the profile to here |
///
/// A description has one byte that says how long the id is, the id, two bytes for the length of the origin (a
/// repository), the origin in UTF-8, and the detail in the format's own encoding up to its end.
///
/// A record has a digest and then a placement. It is found by numbers of the digest and of the length: *f* is made of
/// the first four bytes of the digest, the first one highest; *m* of its bytes 8 to 15, the first one lowest, xor the
/// length times `9e3779b97f4a7c15`; all products are modulo 2^64, and divisions are rounded down.
///
/// | number | is |
/// |---|---|
/// | part | *f* * *p* / 2^32 |
/// | pilot | the byte of its part at *u* * 600 / 2^32, where *u* is the square of the lowest 32 bits of *m*, / 2^32 |
/// | place | *h* * (*n* + *n* / 64) / 2^32, where the part has *n* records and *h* is (*m* xor pilot * `9e3779b97f4a7c15`) * `bf58476d1ce4e5b9`, / 2^32 |
///
/// The place is that of the record in its part. If it is *n* or more, there is no such record: then two bytes of the
/// section *displaced* are its place, number *a* / 64 + place - *n*, where *a* is the first record of the part. A pilot
/// of 255 leads nowhere: all pilots of that part are 255, and its records are in order, by digest and then by length,
/// and searched. So it is if there are more than 4096 of them, or if no pilots were found with which no two of them
/// have one place. Bytes that are not needed are zero. The pilots are those that a certain search finds, which begins
/// with those of the most keys; whoever only reads need not know it. So a lookup reads one place in a table of 0.3
/// bytes an entry, and the one record.
///
/// A placement is bits, lowest first, that make up nine numbers, padded with zeros to whole bytes. Of each number
/// some lowest bits are left out (the *shift*), as they are zero in all records, and then *width* bits are stored. They
/// begin at a bit whose number has the same remainder modulo 8 as the shift: with eight bytes from there on, the number
/// is in its place. Numbers of no width have no bits. The first bits are those of the number that leaves the fewest bits
/// unused before it, of several the first one in this table; then come those of the next in the same way.
///
/// | number | maximum bits | is |
/// |---|---|---|
/// | length | 32 | bytes of the chunk |
/// | blob | 32 | position of its blob |
/// | stored offset | 64 | first byte of the frame in the blob |
/// | stored length | 32 | bytes of the frame |
/// | beyond | 32 | decoded bytes of the frame minus the length |
/// | offset in the frame | 32 | first byte of the chunk in the decoded frame |
/// | recipe | 3 | how the frame is decoded: codec 0 none, 1 LZ4 block, 2 zstd, 3 gzip; plus 4 if more than the frame follows |
/// | position | 32 | of the chunk among those of its blob |
/// | address | 64 | first byte of the chunk in the decoded bytes of its blob |
///
/// Another version has another number, and no reader of this one accepts it: dictionaries of version 1 are built again.
/// Source: this crate.
#[derive(Debug, Clone)]
pub struct DictionaryFile<B> {
    bytes: B,
    header: Header,
    sections: Sections,
    /// What no lookup has to compute again.
    parts: u32,
    record_len: usize,
    /// Whether some part has no pilots.
    searched: bool,
}

impl<B: AsRef<[u8]>> DictionaryFile<B> {
    /// The dictionary that `bytes` are.
    ///
    /// # Errors
    /// [`DictionaryError`] if the header is damaged, or the length is not what it says.
    pub fn open(bytes: B) -> Result<Self, DictionaryError> {
        let header = Header::from_bytes(bytes.as_ref())?;
        let sections = header.sections(bytes.as_ref().len())?;
        let firsts = bytes.as_ref().get(..sections.firsts_end);
        let searched = firsts.and_then(<[u8]>::last_chunk) != Some(&[0; 4]);
        Ok(Self {
            bytes,
            parts: header.parts(),
            record_len: layout::len(&header.columns),
            searched,
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
        self.record_len
    }

    /// For which images the placements are, in the format's own encoding.
    pub fn profile(&self) -> &[u8] {
        self.section(Header::LEN, self.sections.blob_ends)
    }

    fn section(&self, start: usize, end: usize) -> &[u8] {
        // The length was compared when it was opened, but `AsRef` may answer otherwise the next time.
        self.bytes().get(start..end).unwrap_or_default()
    }

    /// Some bytes, if they are in the file.
    #[inline(always)]
    fn array<const N: usize>(&self, at: usize) -> Option<&[u8; N]> {
        self.bytes().get(at..)?.first_chunk()
    }

    /// Where the pilots of a part are.
    #[inline(always)]
    fn pilots_of(&self, part: u32) -> usize {
        self.sections.pilots + position(part, usize_from(PILOTS))
    }

    /// The first record of a part, and that of the next one.
    #[inline(always)]
    fn range_of(&self, part: u32) -> Option<(u32, u32)> {
        let at = self.sections.firsts + position(part, 4);
        let [a, b, c, d, end @ ..] = *self.array::<8>(at)?;
        Some((u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(end)))
    }

    /// The same, if these are records.
    fn records_of(&self, part: u32) -> Result<(u32, u32), DictionaryError> {
        let entries = self.header.entries;
        let (start, end) = self.range_of(part).unwrap_or((u32::MAX, 0));
        if start <= end && end <= entries {
            return Ok((start, end));
        }
        Err(DictionaryError::Part {
            part,
            start,
            end,
            entries,
        })
    }

    /// Where a record is.
    #[inline(always)]
    fn place_of(&self, record: u32) -> usize {
        self.sections.records + position(record, self.record_len)
    }

    /// The bytes with which a record begins, and some behind it: as many are there for each record, and for no other
    /// number.
    #[inline(always)]
    fn window(&self, record: u32) -> Result<&[u8; WINDOW], DictionaryError> {
        match self.peek(record) {
            Some(window) => Ok(window),
            // An error that is built in any case costs as much as the lookup.
            None => Err(DictionaryError::Record {
                record,
                what: "it is not in the file",
            }),
        }
    }

    /// The same, if the record is in the file.
    #[inline(always)]
    fn peek(&self, record: u32) -> Option<&[u8; WINDOW]> {
        self.array(self.place_of(record))
    }
}
