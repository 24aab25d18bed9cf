//! The bytes of a dictionary file.

use std::collections::HashMap;
use std::io::{self, Write};

use image_model::width::{u64_from, usize_from};
use image_model::{BlobIndex, DigestAlgorithm, Frame, Progress};

use super::DictionaryFile;
use super::blobs::description;
use super::columns::{Bits, numbers_of};
use super::header::{Header, alignment};
use super::layout::{Index, records};
use super::part::parts;
use super::runs::{Merged, Source};
use crate::error::DictionaryError;
use crate::placement::{BlobRecord, Entry, Placement};

/// What a dictionary has become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Different chunks.
    pub chunks: u32,
    /// Entries that were left out, since another has the same chunk.
    pub duplicates: u64,
    /// Blobs.
    pub blobs: u32,
    /// Bytes of the file.
    pub bytes: u64,
}

/// What a file consists of, besides its entries.
pub(super) struct Content<'c> {
    pub(super) algorithm: DigestAlgorithm,
    pub(super) profile: &'c [u8],
    /// By ascending ids.
    pub(super) blobs: &'c [BlobRecord],
}

/// Blobs by numbers that do not depend on when they came.
#[derive(Debug)]
pub(super) struct Ranks(Vec<u32>);

impl Ranks {
    /// The entries of `source`, with these numbers.
    pub(super) fn renumber<'s>(
        &'s self,
        source: impl Iterator<Item = Result<Entry, DictionaryError>> + 's,
    ) -> Source<'s> {
        Box::new(source.map(|entry| entry.map(|entry| self.apply(entry))))
    }

    fn apply(&self, entry: Entry) -> Entry {
        let frame = entry.placement.frame;
        let rank = self.0.get(usize_from(frame.blob.0)).copied();
        let frame = Frame {
            blob: BlobIndex(rank.unwrap_or(frame.blob.0)),
            ..frame
        };
        let placement = Placement {
            frame,
            ..entry.placement
        };
        Entry { placement, ..entry }
    }
}

/// Blobs by ascending ids; and of each, where it is among them.
pub(super) fn ranks(blobs: Vec<BlobRecord>) -> (Vec<BlobRecord>, Ranks) {
    let mut numbered: Vec<(usize, BlobRecord)> = blobs.into_iter().enumerate().collect();
    numbered.sort_by(|(_, one), (_, other)| one.id.cmp(&other.id));
    let mut ranks = vec![0; numbered.len()];
    let mut sorted = Vec::with_capacity(numbered.len());
    for (rank, (number, blob)) in (0..).zip(numbered) {
        if let Some(place) = ranks.get_mut(number) {
            *place = rank;
        }
        sorted.push(blob);
    }
    (sorted, Ranks(ranks))
}

/// Entries between two looks at whether the caller wants to go on.
const TICK: u64 = 1 << 14;

/// Counts entries for the caller.
struct Ticks<'p> {
    progress: &'p mut dyn Progress,
    done: u64,
    total: Option<u64>,
}

impl Ticks<'_> {
    fn tick(&mut self) -> Result<(), DictionaryError> {
        self.done += 1;
        if self.done.is_multiple_of(TICK) {
            self.progress.advance(self.done, self.total)?;
        }
        Ok(())
    }
}

/// Writes a file of all entries of `sources`, which are asked for them three times.
pub(super) fn write<'s>(
    content: &Content<'_>,
    sources: &dyn Fn() -> Vec<Source<'s>>,
    out: &mut dyn Write,
    progress: &mut dyn Progress,
) -> Result<Summary, DictionaryError> {
    let mut ticks = Ticks {
        progress,
        done: 0,
        total: None,
    };
    let mut entries = Merged::new(sources())?;
    let (mut count, mut bits) = (0u64, Bits::default());
    while let Some(entry) = entries.next()? {
        bits.add(&numbers_of(&entry)?);
        count += 1;
        ticks.tick()?;
    }
    let duplicates = entries.duplicates;
    ticks.total = Some(count.saturating_mul(3));
    let too_many = |what| DictionaryError::TooMany { what };
    let below_max = |number: u64| u32::try_from(number).ok().filter(|n| *n < u32::MAX);
    let chunks = below_max(count).ok_or(too_many("chunks"))?;
    let mut descriptions = Vec::new();
    let mut ends = Vec::new();
    for blob in content.blobs {
        descriptions.extend_from_slice(&description(blob)?);
        ends.extend_from_slice(&u64_from(descriptions.len()).to_le_bytes());
    }
    let blobs = below_max(u64_from(content.blobs.len())).ok_or(too_many("blobs"))?;
    let profile_len = u32::try_from(content.profile.len());
    let header = Header {
        algorithm: content.algorithm,
        entries: chunks,
        blobs,
        profile_len: profile_len.map_err(|_| too_many("bytes of a profile"))?,
        blob_len: u64_from(descriptions.len()),
        columns: bits.columns(),
    };
    out.write_all(&header.to_bytes())?;
    let mut out = Summed::new(out);
    for section in [content.profile, &ends, &descriptions] {
        out.put(section)?;
    }
    out.align()?;

    let parts = parts(chunks);
    let mut entries = Merged::new(sources())?;
    let index = Index::of(
        parts,
        &mut || {
            ticks.tick()?;
            entries.next()
        },
        &mut |pilots| Ok(out.put(pilots)?),
    )?;
    out.put(&index.displaced)?;
    out.put(&index.firsts)?;
    out.align()?;

    let mut entries = Merged::new(sources())?;
    records(
        parts,
        &header.columns,
        &mut || {
            ticks.tick()?;
            entries.next()
        },
        &mut |_, record| Ok(out.put(record)?),
    )?;
    out.put(&[0; Header::END_LEN - 4])?;
    Ok(Summary {
        chunks,
        duplicates,
        blobs,
        bytes: u64_from(Header::LEN) + out.finish()?,
    })
}

/// Bytes on their way to a file, in pieces that are worth a call, with their checksum.
struct Summed<'o> {
    out: &'o mut dyn Write,
    buffer: Vec<u8>,
    checksum: crc32fast::Hasher,
    /// Bytes that were put.
    put: u64,
}

impl<'o> Summed<'o> {
    const BUFFER_LEN: usize = 64 << 10;

    fn new(out: &'o mut dyn Write) -> Self {
        Self {
            out,
            buffer: Vec::with_capacity(Self::BUFFER_LEN),
            checksum: crc32fast::Hasher::new(),
            put: 0,
        }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.buffer.len() + bytes.len() > Self::BUFFER_LEN {
            self.flush()?;
        }
        self.buffer.extend_from_slice(bytes);
        self.put += u64_from(bytes.len());
        Ok(())
    }

    /// Zeros, so that what follows begins where a processor fetches.
    fn align(&mut self) -> io::Result<()> {
        let zeros = alignment(u64_from(Header::LEN) + self.put);
        self.put([0; 64].get(..usize::from(zeros)).unwrap_or_default())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.checksum.update(&self.buffer);
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Appends the checksum; returns the number of all bytes.
    fn finish(mut self) -> io::Result<u64> {
        self.flush()?;
        let checksum = self.checksum.clone().finalize().to_le_bytes();
        self.out.write_all(&checksum)?;
        self.out.flush()?;
        Ok(self.put + u64_from(checksum.len()))
    }
}

/// Writes one dictionary of several to `out`: of the same algorithm and for the same images. It reads them from start
/// to end, and takes memory for the entries of one part of each, and two bytes for 64 entries of all. The result is the
/// same as if it was built of all their entries. Progress counts entries, each of which is read three times.
///
/// # Errors
/// [`DictionaryError`] if one of them is damaged, they do not fit together, `out` fails, or the caller stops.
pub fn merge<B: AsRef<[u8]>>(
    files: &[DictionaryFile<B>],
    out: &mut dyn Write,
    progress: &mut dyn Progress,
) -> Result<Summary, DictionaryError> {
    let mut blobs = Vec::new();
    let mut known = HashMap::new();
    let mut number_of = Vec::new();
    let first = files.first().ok_or(DictionaryError::Entry {
        what: "there is no dictionary",
    })?;
    for (position, file) in files.iter().enumerate() {
        for (what, same) in [
            ("digest algorithm", file.algorithm() == first.algorithm()),
            ("profile", file.profile() == first.profile()),
        ] {
            if !same {
                return Err(DictionaryError::Mismatch { position, what });
            }
        }
        let mut numbers = Vec::new();
        for blob in 0..file.blob_count() {
            let record = file.blob_record(BlobIndex(blob))?;
            let next = blobs.len();
            let number = *known.entry(record.id.clone()).or_insert(next);
            if number == next {
                blobs.push(record);
            } else if blobs.get(number) != Some(&record) {
                return Err(DictionaryError::Contradiction { id: record.id });
            }
            numbers.push(number);
        }
        number_of.push(numbers);
    }
    let (blobs, ranks) = ranks(blobs);
    // From the blobs of each file to those of all.
    let rank = |number: usize| ranks.0.get(number).copied().unwrap_or(u32::MAX);
    let of_files = number_of.into_iter();
    let of_files = of_files.map(|numbers| Ranks(numbers.into_iter().map(rank).collect()));
    let of_files: Vec<Ranks> = of_files.collect();
    let sources = || {
        let mut sources: Vec<Source<'_>> = Vec::with_capacity(files.len());
        for (file, ranks) in files.iter().zip(&of_files) {
            sources.push(ranks.renumber(file.entries()));
        }
        sources
    };
    let content = Content {
        algorithm: first.algorithm(),
        profile: first.profile(),
        blobs: &blobs,
    };
    write(&content, &sources, out, progress)
}
