//! A dictionary file of entries in any order.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::io::{Read, Seek, Write};

use image_model::width::usize_from;
use image_model::{BlobId, BlobIndex, DigestAlgorithm, Progress};

use super::columns::numbers;
use super::runs::{RunFile, Source, key};
use super::write::{Content, Summary, ranks, write};
use crate::error::DictionaryError;
use crate::placement::{BlobRecord, Entry};

/// How a dictionary is built.
///
/// ```
/// use lazyoci_chunk_dedup::BuildOptions;
/// let options = BuildOptions::default().memory(1 << 20);
/// assert_eq!((options.memory, options.profile.len()), (1 << 20, 0));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildOptions {
    /// For which images the placements are, in the format's own encoding. Default: nothing.
    pub profile: Vec<u8>,
    /// Bytes of memory for entries; more of them go to the temporary file. Default: 64 MiB.
    pub memory: usize,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            profile: Vec::new(),
            memory: 64 << 20,
        }
    }
}

impl BuildOptions {
    image_model::setters! {
        profile: impl Into<Vec<u8>> = profile.into(),
        memory: usize,
    }
}

/// Takes entries in any order, and writes a dictionary file of them.
///
/// Memory: what the [options](BuildOptions::memory) allow, the descriptions of blobs, and 80 KiB for each time that
/// this memory was filled. Entries that do not fit wait in a temporary file, 76 bytes each, sorted. If a chunk has
/// several places, the one in the blob whose id comes first is kept, and of several there the one that begins first.
#[derive(Debug)]
pub struct DictionaryBuilder<T> {
    algorithm: DigestAlgorithm,
    options: BuildOptions,
    blobs: Vec<BlobRecord>,
    blob_of: HashMap<BlobId, BlobIndex>,
    /// Entries that are not in the file.
    entries: Vec<Entry>,
    runs: RunFile<T>,
}

impl<T: Read + Write + Seek> DictionaryBuilder<T> {
    /// A dictionary of chunks with digests by `algorithm`. `temporary` is an empty file, best one without a name.
    #[must_use]
    pub fn new(algorithm: DigestAlgorithm, temporary: T, options: BuildOptions) -> Self {
        Self {
            algorithm,
            options,
            blobs: Vec::new(),
            blob_of: HashMap::new(),
            entries: Vec::new(),
            runs: RunFile::new(temporary),
        }
    }

    /// Adds a blob, or finds it among those that were added; returns the number by which entries refer to it.
    ///
    /// # Errors
    /// [`DictionaryError::Contradiction`] if it was described in another way before, and
    /// [`DictionaryError::TooMany`].
    pub fn add_blob(&mut self, blob: BlobRecord) -> Result<BlobIndex, DictionaryError> {
        let next = u32::try_from(self.blobs.len()).ok();
        let next = next.filter(|next| *next < u32::MAX - 1);
        let next = next.ok_or(DictionaryError::TooMany { what: "blobs" })?;
        match self.blob_of.entry(blob.id.clone()) {
            Slot::Vacant(slot) => {
                self.blobs.push(blob);
                Ok(*slot.insert(BlobIndex(next)))
            }
            Slot::Occupied(slot) => {
                let index = *slot.get();
                let known = self.blobs.get(usize_from(index.0));
                match known == Some(&blob) {
                    true => Ok(index),
                    false => Err(DictionaryError::Contradiction { id: blob.id }),
                }
            }
        }
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// [`DictionaryError::Entry`] if the entry is of another algorithm, refers to no blob, or its chunk is not in
    /// its frame; [`DictionaryError::Io`] if the temporary file cannot be written.
    pub fn push(&mut self, entry: Entry) -> Result<(), DictionaryError> {
        if entry.digest.algorithm() != self.algorithm {
            let what = "its digest is by another algorithm";
            return Err(DictionaryError::Entry { what });
        }
        if usize_from(entry.placement.frame.blob.0) >= self.blobs.len() {
            let what = "its blob was not added";
            return Err(DictionaryError::Entry { what });
        }
        if numbers(entry.len, &entry.placement).is_none() {
            let what = "its placement is none that a chunk can have";
            return Err(DictionaryError::Entry { what });
        }
        let most = (self.options.memory / size_of::<Entry>()).max(1);
        if self.entries.len() >= most {
            self.spill()?;
        }
        if self.entries.len() == self.entries.capacity() {
            let more = self.entries.len().max(1024);
            self.entries
                .reserve_exact(more.min(most - self.entries.len()));
        }
        self.entries.push(entry);
        Ok(())
    }

    fn spill(&mut self) -> Result<(), DictionaryError> {
        self.entries
            .sort_unstable_by(|one, other| key(one).cmp(&key(other)));
        self.runs.write(&self.entries)?;
        self.entries.clear();
        Ok(())
    }

    /// Writes the file to `out`. Progress counts entries, each of which is read three times.
    ///
    /// # Errors
    /// [`DictionaryError`] if there are too many chunks, the temporary file or `out` fails, or the caller stops.
    pub fn finish(
        mut self,
        out: &mut dyn Write,
        progress: &mut dyn Progress,
    ) -> Result<Summary, DictionaryError> {
        self.entries
            .sort_unstable_by(|one, other| key(one).cmp(&key(other)));
        let (blobs, ranks) = ranks(self.blobs);
        let content = Content {
            algorithm: self.algorithm,
            profile: &self.options.profile,
            blobs: &blobs,
        };
        let (entries, runs) = (&self.entries, &self.runs);
        let sources = || {
            let mut sources: Vec<Source<'_>> = Vec::new();
            for run in runs.sources(content.algorithm) {
                sources.push(ranks.renumber(run));
            }
            sources.push(ranks.renumber(entries.iter().copied().map(Ok)));
            sources
        };
        write(&content, &sources, out, progress)
    }
}
