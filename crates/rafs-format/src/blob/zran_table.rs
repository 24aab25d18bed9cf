//! The contexts of a blob in zran mode, with their dictionaries.

use bytes::Bytes;
use image_model::deflate::{DeflateStart, WINDOW_LEN, Window};
use image_model::width::{u64_from, usize_from, usize_up_to};
use image_model::{BlobIndex, Decode, Frame, Recipe, RecipeId};

use super::chunk_info_v2;
use super::error::BlobError;
use super::header::Contexts;
use super::zran_context::{MAX_CONTEXT_LEN, ZranContext, ZranFault};
use crate::v6::BlobEntry;

/// What follows the entries in the plain chunk information: contexts, then the area of their dictionaries. Both are
/// views.
#[derive(Debug, Clone)]
pub(super) struct ZranTable {
    contexts: Bytes,
    area: Bytes,
}

impl ZranTable {
    /// Where they are in the chunk information of `blob`, whose header says `contexts`.
    pub(super) fn of_plain(
        blob: &BlobEntry,
        contexts: &Contexts,
        plain: &Bytes,
    ) -> Result<Self, BlobError> {
        let &Contexts { offset, len, count } = contexts;
        let entries = u64_from(chunk_info_v2::LEN).saturating_mul(blob.chunk_count.into());
        let table = u64_from(ZranContext::LEN).saturating_mul(count.into());
        let total = u64_from(plain.len());
        for (field, expected, found) in [
            ("context offset", entries, offset),
            ("context size", total.saturating_sub(entries), len),
        ] {
            if found != expected {
                return Err(BlobError::Contradiction {
                    field,
                    expected,
                    found,
                });
            }
        }
        if count > blob.chunk_count || table > len {
            return Err(BlobError::ContextCount { count, len });
        }
        let start = usize_up_to(offset).min(plain.len());
        let rest = plain.slice(start..);
        let end = usize_up_to(table).min(rest.len());
        Ok(Self {
            contexts: rest.slice(..end),
            area: rest.slice(end..),
        })
    }

    fn raw(&self) -> &[[u8; ZranContext::LEN]] {
        self.contexts.as_chunks().0
    }

    /// Number of contexts.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.raw().len()).unwrap_or(u32::MAX)
    }

    /// Number `index`, checked against `blob`; `None` if there are fewer.
    pub(super) fn context(
        &self,
        index: u32,
        blob: &BlobEntry,
    ) -> Option<Result<ZranContext, ZranFault>> {
        let context = ZranContext::from_bytes(self.raw().get(usize_from(index))?);
        let checked = context.check(blob.data_len(), u64_from(self.area.len()));
        Some(checked.map(|()| context))
    }

    /// How the deflate data of `context`, which was checked, are entered.
    pub(super) fn start(&self, context: &ZranContext) -> DeflateStart {
        let len = usize_from(context.dict_len);
        let start = usize_up_to(context.dict_offset);
        let window = u16::try_from(len)
            .ok()
            .filter(|&len| len > 0)
            .and_then(|run| {
                let gap = u16::try_from(WINDOW_LEN.checked_sub(len)?).ok()?;
                let end = start
                    .checked_add(len)
                    .filter(|&end| end <= self.area.len())?;
                let [[g0, g1], [l0, l1]] = [gap.to_le_bytes(), run.to_le_bytes()];
                Window::new(vec![g0, g1, l0, l1].into(), self.area.slice(start..end))
            });
        DeflateStart {
            bits: context.bits,
            window: window.unwrap_or_default(),
        }
    }

    /// Checks every context, its reserved bytes, and that nydusd reads it.
    pub(super) fn check_all(&self, blob: &BlobEntry, report: &mut dyn FnMut(BlobError)) {
        for (index, raw) in (0..).zip(self.raw()) {
            let found = self.context(index, blob).transpose();
            let canonical = |context: ZranContext| match context {
                ZranContext { out_len, .. } if out_len > MAX_CONTEXT_LEN => {
                    Err(ZranFault::TooLong { out_len })
                }
                _ if context.to_bytes() != *raw => Err(ZranFault::Reserved),
                _ => Ok(()),
            };
            if let Err(fault) = found.and_then(|found| found.map_or(Ok(()), canonical)) {
                report(BlobError::Context { index, fault });
            }
        }
    }
}

/// The frame of `context`, which was checked, in blob number `blob`.
pub(crate) fn frame(context: &ZranContext, blob: BlobIndex, recipe: RecipeId) -> Frame {
    Frame {
        blob,
        offset: context.stored_offset(),
        stored_len: context.in_len.saturating_add((context.bits != 0).into()),
        len: context.out_len,
        recipe,
    }
}

/// The recipe of a frame that begins so.
pub(crate) fn recipe(start: DeflateStart) -> Recipe {
    Recipe::from(Decode::DeflateMembers(start))
}
