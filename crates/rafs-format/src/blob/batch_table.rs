//! The batches of a blob.

use bytes::Bytes;
use image_model::width::{u64_from, usize_from, usize_up_to};
use image_model::{BlobIndex, Codec, Frame};

use super::batch_context::{BatchContext, BatchFault};
use super::chunk_info::{ChunkExtra, ChunkInfo};
use super::chunk_info_v2;
use super::error::BlobError;
use super::header::Contexts;
use crate::recipes::recipe_in;
use crate::v6::BlobEntry;

/// What follows the entries in the plain chunk information, and where each batch begins.
#[derive(Debug, Clone)]
pub(super) struct BatchTable {
    contexts: Bytes,
    /// First stored byte of each batch, as the first of its chunks has it; [`NOWHERE`] if none is in it.
    offsets: Box<[u64]>,
}

/// No byte of a blob.
const NOWHERE: u64 = u64::MAX;

impl BatchTable {
    /// Where they are in the chunk information of `blob`, whose header says `contexts`; its entries are `chunks`.
    pub(super) fn of_plain(
        blob: &BlobEntry,
        contexts: &Contexts,
        plain: &Bytes,
        chunks: impl Iterator<Item = ChunkInfo>,
    ) -> Result<Self, BlobError> {
        let &Contexts { offset, len, count } = contexts;
        let entries = u64_from(chunk_info_v2::LEN).saturating_mul(blob.chunk_count.into());
        let table = u64_from(BatchContext::LEN).saturating_mul(count.into());
        for (field, expected, found) in [
            ("context offset", entries, offset),
            (
                "context size",
                u64_from(plain.len()).saturating_sub(entries),
                len,
            ),
        ] {
            if found != expected {
                return Err(BlobError::Contradiction {
                    field,
                    expected,
                    found,
                });
            }
        }
        if count > blob.chunk_count || table != len {
            return Err(BlobError::ContextCount { count, len });
        }
        let start = usize_up_to(offset).min(plain.len());
        let mut offsets = vec![NOWHERE; usize_from(count)].into_boxed_slice();
        for chunk in chunks {
            if let ChunkExtra::Batch { context, .. } = chunk.extra
                && let Some(offset) = offsets.get_mut(usize_from(context))
                && *offset == NOWHERE
            {
                *offset = chunk.offset;
            }
        }
        Ok(Self {
            contexts: plain.slice(start..),
            offsets,
        })
    }

    fn raw(&self) -> &[[u8; BatchContext::LEN]] {
        self.contexts.as_chunks().0
    }

    /// Number of batches.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.raw().len()).unwrap_or(u32::MAX)
    }

    /// Number `index`, checked against `blob`, and where it begins in that; `None` if there are fewer.
    pub(super) fn batch(
        &self,
        index: u32,
        blob: &BlobEntry,
    ) -> Option<Result<(BatchContext, u64), BatchFault>> {
        let index = usize_from(index);
        let context = BatchContext::from_bytes(self.raw().get(index)?);
        let &offset = self.offsets.get(index)?;
        if offset == NOWHERE {
            return Some(Err(BatchFault::Unused));
        }
        let checked = context.check(offset, blob.data_len());
        Some(checked.map(|()| (context, offset)))
    }

    /// Checks every context, and its reserved bytes.
    pub(super) fn check_all(&self, blob: &BlobEntry, report: &mut dyn FnMut(BlobError)) {
        for (index, raw) in (0..).zip(self.raw()) {
            let reserved = |(context, _): (BatchContext, u64)| match context.to_bytes() == *raw {
                true => Ok(()),
                false => Err(BatchFault::Reserved),
            };
            let checked = self
                .batch(index, blob)
                .map(|found| found.and_then(reserved));
            if let Some(Err(fault)) = checked {
                report(BlobError::Batch { index, fault });
            }
        }
    }
}

/// The frame of a batch, which was checked, in blob number `number`, whose entry is `blob`.
pub(super) fn frame(
    (context, offset): (BatchContext, u64),
    (blob, number): (&BlobEntry, BlobIndex),
) -> Frame {
    let codec = match context.is_compressed() {
        true => blob.compressor.into(),
        false => Codec::None,
    };
    Frame {
        blob: number,
        offset,
        stored_len: context.stored_len,
        len: context.len,
        recipe: recipe_in(blob, number, codec),
    }
}
