//! What the chunk information has after its entries: frames that only it tells of.

use std::ops::Range;

use bytes::Bytes;
use image_model::deflate::DeflateStart;
use image_model::width::u64_from;
use image_model::{BlobIndex, Frame, Recipe, RecipeId};

use super::batch_context::BatchContext;
use super::batch_table::{self, BatchTable};
use super::chunk_info::ChunkInfo;
use super::error::BlobError;
use super::header::Contexts;
use super::zran_context::ZranContext;
use super::zran_table::{self, ZranTable};
use crate::native::{is_batched, is_zran};
use crate::v6::BlobEntry;

/// How many contexts may hold the same stored bytes: decoding all of them costs no more than that many times the blob.
/// Writers need two, since a context begins with the block in which the one before ends.
pub(super) const MAX_OVERLAP: usize = 8;

/// What there are too many of.
pub(super) const OVERLAPPING: &str = "contexts over the same stored bytes";

/// Stored ranges of contexts, of which each begins where the one [`MAX_OVERLAP`] before it ends, or later.
#[derive(Debug, Clone, Default)]
pub(super) struct Overlaps([u64; MAX_OVERLAP]);

impl Overlaps {
    /// Adds the next; `false` if it begins too early.
    pub(super) fn push(&mut self, stored: &Range<u64>) -> bool {
        let [earliest, ..] = self.0;
        self.0.rotate_left(1);
        let [.., last] = &mut self.0;
        *last = stored.end;
        stored.start >= earliest
    }
}

/// The contexts of a blob.
#[derive(Debug, Clone)]
pub(super) enum ContextTable {
    /// It has none: each chunk is a frame.
    Nothing,
    Zran(ZranTable),
    Batch(BatchTable),
}

impl ContextTable {
    /// Those in the plain chunk information of `blob`, whose header says `contexts`; its entries are `chunks`.
    pub(super) fn of_plain(
        blob: &BlobEntry,
        contexts: &Contexts,
        plain: &Bytes,
        chunks: impl Iterator<Item = ChunkInfo>,
    ) -> Result<Self, BlobError> {
        let table = if is_zran(blob) {
            Self::Zran(ZranTable::of_plain(blob, contexts, plain)?)
        } else if is_batched(blob) {
            Self::Batch(BatchTable::of_plain(blob, contexts, plain, chunks)?)
        } else {
            Self::Nothing
        };
        let mut overlaps = Overlaps::default();
        // What cannot be used costs nothing, and is reported when it is.
        let frames = (0..table.count())
            .filter_map(|index| table.frame(index, (blob, BlobIndex(0)), RecipeId(0)).ok()?);
        for frame in frames {
            let stored = frame.offset..frame.offset.saturating_add(frame.stored_len.into());
            if !overlaps.push(&stored) {
                let limit = u64_from(MAX_OVERLAP);
                return Err(BlobError::Limit {
                    piece: OVERLAPPING,
                    declared: limit.saturating_add(1),
                    limit,
                });
            }
        }
        Ok(table)
    }

    /// Number of contexts.
    pub(super) fn count(&self) -> u32 {
        match self {
            Self::Nothing => 0,
            Self::Zran(zran) => zran.count(),
            Self::Batch(batch) => batch.count(),
        }
    }

    pub(super) fn zran(
        &self,
        index: u32,
        blob: &BlobEntry,
    ) -> Result<Option<ZranContext>, BlobError> {
        let Self::Zran(zran) = self else {
            return Ok(None);
        };
        let found = zran.context(index, blob).transpose();
        found.map_err(|fault| BlobError::Context { index, fault })
    }

    pub(super) fn batch(
        &self,
        index: u32,
        blob: &BlobEntry,
    ) -> Result<Option<(BatchContext, u64)>, BlobError> {
        let Self::Batch(batch) = self else {
            return Ok(None);
        };
        let found = batch.batch(index, blob).transpose();
        found.map_err(|fault| BlobError::Batch { index, fault })
    }

    /// Bytes that context `index` decodes to.
    pub(super) fn len(&self, index: u32, blob: &BlobEntry) -> Result<Option<u32>, BlobError> {
        match self {
            Self::Nothing => Ok(None),
            Self::Zran(_) => Ok(self.zran(index, blob)?.map(|found| found.out_len)),
            Self::Batch(_) => Ok(self.batch(index, blob)?.map(|(found, _)| found.len)),
        }
    }

    /// The frame that context `index` of blob number `number` is; `recipe` is the number of its recipe, if it has one of
    /// its own.
    pub(super) fn frame(
        &self,
        index: u32,
        (blob, number): (&BlobEntry, BlobIndex),
        recipe: RecipeId,
    ) -> Result<Option<Frame>, BlobError> {
        let zran = self.zran(index, blob)?;
        let batch = self.batch(index, blob)?;
        let zran = zran.map(|found| zran_table::frame(&found, number, recipe));
        Ok(zran.or_else(|| batch.map(|found| batch_table::frame(found, (blob, number)))))
    }

    /// The recipe of context `index`, if it has one of its own.
    pub(super) fn recipe(&self, index: u32, blob: &BlobEntry) -> Option<Recipe> {
        let context = self.zran(index, blob).ok()??;
        Some(zran_table::recipe(self.start(&context)))
    }

    /// How the deflate data of `context`, which is one of these, are entered.
    pub(super) fn start(&self, context: &ZranContext) -> DeflateStart {
        match self {
            Self::Zran(zran) => zran.start(context),
            _ => DeflateStart::default(),
        }
    }

    /// Checks every context, and its reserved bytes.
    pub(super) fn check_all(&self, blob: &BlobEntry, report: &mut dyn FnMut(BlobError)) {
        match self {
            Self::Nothing => {}
            Self::Zran(zran) => zran.check_all(blob, report),
            Self::Batch(batch) => batch.check_all(blob, report),
        }
    }
}
