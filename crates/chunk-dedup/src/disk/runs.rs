//! Sorted runs of entries in a temporary file, and merging them.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{Read, Seek, SeekFrom, Write};

use image_model::width::u64_from;
use image_model::{BlobIndex, Digest, DigestAlgorithm, Frame, RecipeId};

use crate::error::DictionaryError;
use crate::placement::{Entry, Placement};

/// Entries, sorted by [`key`].
pub(super) type Source<'s> = Box<dyn Iterator<Item = Result<Entry, DictionaryError>> + 's>;

/// What entries are sorted by; of those that are the same in it, one is kept.
pub(super) fn key(entry: &Entry) -> (&[u8; 32], u32) {
    (entry.digest.as_bytes(), entry.len)
}

/// Which of two places of one chunk is kept: a rule that does not depend on which came first.
fn rank(placement: &Placement) -> impl Ord {
    let frame = &placement.frame;
    let place = (frame.blob, frame.offset, placement.offset_in_frame);
    let rest = (frame.stored_len, frame.len, frame.recipe);
    (place, rest, placement.index, placement.address)
}

/// Bytes of an entry in a run.
const LEN: usize = 76;

/// Entries of a run that are read in one go.
const READ: usize = 1024;

/// A file with runs of entries, one after the other.
#[derive(Debug)]
pub(super) struct RunFile<T> {
    file: RefCell<T>,
    /// Entries of each run.
    counts: Vec<u64>,
}

impl<T: Read + Write + Seek> RunFile<T> {
    pub(super) fn new(file: T) -> Self {
        Self {
            file: RefCell::new(file),
            counts: Vec::new(),
        }
    }

    /// Appends a run.
    pub(super) fn write(&mut self, entries: &[Entry]) -> Result<(), DictionaryError> {
        let mut bytes = Vec::with_capacity(READ * LEN);
        for entries in entries.chunks(READ) {
            bytes.clear();
            for entry in entries {
                bytes.extend_from_slice(&to_bytes(entry));
            }
            self.file.get_mut().write_all(&bytes)?;
        }
        self.counts.push(u64_from(entries.len()));
        Ok(())
    }

    /// All runs.
    pub(super) fn sources(&self, algorithm: DigestAlgorithm) -> Vec<Source<'_>> {
        let mut start = 0;
        let mut sources: Vec<Source<'_>> = Vec::with_capacity(self.counts.len());
        for &count in &self.counts {
            sources.push(Box::new(Run {
                file: &self.file,
                algorithm,
                at: start,
                left: count,
                bytes: Vec::new(),
                next: 0,
            }));
            start += count * u64_from(LEN);
        }
        sources
    }
}

/// A run that is read.
struct Run<'f, T> {
    file: &'f RefCell<T>,
    algorithm: DigestAlgorithm,
    /// Where the next read begins.
    at: u64,
    /// Entries that were not read yet.
    left: u64,
    bytes: Vec<u8>,
    /// The next entry in `bytes`.
    next: usize,
}

impl<T: Read + Seek> Run<'_, T> {
    fn fill(&mut self) -> Result<(), DictionaryError> {
        let count = usize::try_from(self.left).unwrap_or(READ).min(READ);
        self.bytes.resize(count * LEN, 0);
        let mut file = self.file.borrow_mut();
        file.seek(SeekFrom::Start(self.at))?;
        file.read_exact(&mut self.bytes)?;
        self.at += u64_from(self.bytes.len());
        self.left -= u64_from(count);
        self.next = 0;
        Ok(())
    }
}

impl<T: Read + Seek> Iterator for Run<'_, T> {
    type Item = Result<Entry, DictionaryError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.bytes.len() {
            if self.left == 0 {
                return None;
            }
            if let Err(error) = self.fill() {
                return Some(Err(error));
            }
        }
        let bytes = self.bytes.get(self.next..)?.first_chunk()?;
        self.next += LEN;
        Some(Ok(from_bytes(bytes, self.algorithm)))
    }
}

fn to_bytes(entry: &Entry) -> [u8; LEN] {
    let Placement {
        frame,
        offset_in_frame,
        index,
        address,
    } = entry.placement;
    let mut bytes = [0; LEN];
    bytes[..32].copy_from_slice(entry.digest.as_bytes());
    let small = [
        entry.len,
        frame.blob.0,
        frame.stored_len,
        frame.len,
        frame.recipe.0,
        offset_in_frame,
        index,
    ];
    for (to, number) in bytes[32..60].as_chunks_mut().0.iter_mut().zip(small) {
        *to = number.to_le_bytes();
    }
    for (to, number) in (bytes[60..].as_chunks_mut().0.iter_mut()).zip([frame.offset, address]) {
        *to = number.to_le_bytes();
    }
    bytes
}

fn from_bytes(bytes: &[u8; LEN], algorithm: DigestAlgorithm) -> Entry {
    let mut digest = [0; 32];
    digest.copy_from_slice(&bytes[..32]);
    let small = |at: usize| {
        let numbers = bytes[32..60].as_chunks().0;
        u32::from_le_bytes(numbers[at])
    };
    let long = |at: usize| u64::from_le_bytes(bytes[60..].as_chunks().0[at]);
    let frame = Frame {
        blob: BlobIndex(small(1)),
        offset: long(0),
        stored_len: small(2),
        len: small(3),
        recipe: RecipeId(small(4)),
    };
    Entry {
        digest: Digest::new(algorithm, digest),
        len: small(0),
        placement: Placement {
            frame,
            offset_in_frame: small(5),
            index: small(6),
            address: long(1),
        },
    }
}

/// All entries of several sources in one order, each chunk once.
pub(super) struct Merged<'s> {
    sources: Vec<Source<'s>>,
    /// The next entry of each source that has one, the least on top.
    heads: BinaryHeap<Reverse<Head>>,
    /// Entries that were left out, as another has the same chunk.
    pub(super) duplicates: u64,
}

struct Head {
    entry: Entry,
    source: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (key(&self.entry), self.source).cmp(&(key(&other.entry), other.source))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

impl<'s> Merged<'s> {
    pub(super) fn new(mut sources: Vec<Source<'s>>) -> Result<Self, DictionaryError> {
        let mut heads = BinaryHeap::with_capacity(sources.len());
        for (source, entries) in sources.iter_mut().enumerate() {
            if let Some(entry) = entries.next() {
                let entry = entry?;
                heads.push(Reverse(Head { entry, source }));
            }
        }
        Ok(Self {
            sources,
            heads,
            duplicates: 0,
        })
    }

    fn pop(&mut self) -> Result<Option<Entry>, DictionaryError> {
        let Some(mut top) = self.heads.peek_mut() else {
            return Ok(None);
        };
        let Reverse(Head { entry, source }) = &mut *top;
        let popped = *entry;
        match self.sources.get_mut(*source).and_then(Iterator::next) {
            Some(next) => *entry = next?,
            None => {
                let _ = std::collections::binary_heap::PeekMut::pop(top);
            }
        }
        Ok(Some(popped))
    }

    /// The next chunk.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, DictionaryError> {
        let Some(mut best) = self.pop()? else {
            return Ok(None);
        };
        while let Some(Reverse(head)) = self.heads.peek() {
            if key(&head.entry) != key(&best) {
                break;
            }
            let Some(other) = self.pop()? else { break };
            if rank(&other.placement) < rank(&best.placement) {
                best = other;
            }
            self.duplicates += 1;
        }
        Ok(Some(best))
    }
}
