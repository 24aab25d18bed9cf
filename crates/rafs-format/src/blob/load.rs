//! Loading what a blob says of its chunks, without doing I/O.

use std::ops::Range;

use bytes::Bytes;
use frame_codec::Decoder;
use image_model::{BlobIndex, Limits, Need, Object, Step, StepMachine};

use super::digests::ChunkDigests;
use super::error::BlobError;
use super::layout::Section;
use super::meta::BlobMeta;
use super::toc::{Toc, TocEntry};
use crate::v6::BlobEntry;

/// Loads the [`BlobMeta`] of a blob: one range of it, which the blob table names.
#[derive(Debug, Clone)]
pub struct LoadMeta {
    index: BlobIndex,
    blob: BlobEntry,
    range: Range<u64>,
    limits: Limits,
}

impl LoadMeta {
    /// Starts on `blob`, which is number `index` of its image.
    ///
    /// # Errors
    /// Those of [`BlobMeta::range`].
    pub fn new(index: BlobIndex, blob: &BlobEntry, limits: &Limits) -> Result<Self, BlobError> {
        Ok(Self {
            index,
            range: BlobMeta::range(blob, limits)?,
            blob: blob.clone(),
            limits: limits.clone(),
        })
    }
}

impl StepMachine for LoadMeta {
    type Found = BlobMeta;
    type Error = BlobError;

    fn start(&mut self) -> Result<Step<BlobMeta>, BlobError> {
        Ok(need(self.index, self.range.clone()))
    }

    /// # Errors
    /// Those of [`BlobMeta::decode`].
    fn supply(&mut self, bytes: Bytes) -> Result<Step<BlobMeta>, BlobError> {
        let meta = BlobMeta::decode(&self.blob, &bytes, &mut Decoder::new(), &self.limits)?;
        Ok(Step::Done(meta))
    }
}

/// Loads the [`ChunkDigests`] of a blob: one range of it, which the blob's TOC names and vouches for.
#[derive(Debug, Clone)]
pub struct LoadDigests {
    index: BlobIndex,
    blob: BlobEntry,
    section: TocEntry,
    limits: Limits,
}

impl LoadDigests {
    /// Starts on `blob`, which is number `index` of its image and has the TOC `toc`.
    ///
    /// # Errors
    /// [`BlobError::NoSection`] if the TOC lists no digests.
    pub fn new(
        index: BlobIndex,
        blob: &BlobEntry,
        toc: &Toc,
        limits: &Limits,
    ) -> Result<Self, BlobError> {
        Ok(Self {
            index,
            section: *toc.entry(Section::ChunkDigests)?,
            blob: blob.clone(),
            limits: limits.clone(),
        })
    }
}

impl StepMachine for LoadDigests {
    type Found = ChunkDigests;
    type Error = BlobError;

    fn start(&mut self) -> Result<Step<ChunkDigests>, BlobError> {
        Ok(need(self.index, self.section.range()))
    }

    /// # Errors
    /// Those of [`TocEntry::extract`]; [`BlobError::Given`] if there are more or fewer digests than
    /// chunks.
    fn supply(&mut self, bytes: Bytes) -> Result<Step<ChunkDigests>, BlobError> {
        let mut decoder = Decoder::new();
        let plain = self.section.extract(&bytes, &mut decoder, &self.limits)?;
        let algorithm = self.blob.digester.into();
        let digests = ChunkDigests::new(plain, algorithm, self.blob.chunk_count)?;
        Ok(Step::Done(digests))
    }
}

fn need<T>(index: BlobIndex, range: Range<u64>) -> Step<T> {
    let object = Object::Blob(index);
    Step::Need(Need { object, range })
}
