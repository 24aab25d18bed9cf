//! Bytes of a blob that may change although every digest in the bootstrap still holds.

use std::ops::Range;

use image_model::BlobIndex;
use image_model::width::{u64_from, usize_from};

use super::meta::{BlobMeta, entry_len};
use crate::flags::Compressor;
use crate::v6::Bootstrap;

impl BlobMeta {
    /// Tells `range`, in their order, which bytes of the blob's chunks and chunk information nothing in
    /// `bootstrap`, which lists it as number `blob`, vouches for:
    ///
    /// * compressed chunks, and chunk information that is compressed: a digest vouches for what they
    ///   decode to, and other bytes can decode to the same (bits of a frame's header that decoders
    ///   ignore, a match that refers to equal bytes elsewhere);
    /// * chunks that `bootstrap` has no record of, with their entries.
    ///
    /// Chunks of a layer as it was are not in the blob that has the chunk information.
    ///
    /// A digest of the whole blob, such as its name or its TOC has, vouches for all of them.
    pub fn unvouched(
        &self,
        bootstrap: &Bootstrap,
        blob: BlobIndex,
        range: &mut dyn FnMut(Range<u64>),
    ) {
        let mut recorded = vec![false; usize_from(self.chunk_count())];
        for record in bootstrap.chunk_records_of(blob) {
            if let Some(recorded) = recorded.get_mut(usize_from(record.index)) {
                *recorded = true;
            }
        }
        let mut runs = Runs {
            run: 0..0,
            tell: range,
        };
        for (index, &recorded) in (0..).zip(&recorded) {
            // A wrong one was reported by the check.
            if !self.blob().is_separate()
                && let Ok(chunk) = self.chunk(index)
                && (self.is_compressed(&chunk) || !recorded)
            {
                runs.push(self.stored_range(&chunk));
            }
        }
        let entry = self.blob();
        let start = entry.ci_offset;
        // One bit of what is encrypted changes a block, which entries share.
        let whole = entry.xts_key().is_some() && recorded.contains(&false);
        if entry.ci_compressor != Compressor::None || whole {
            runs.push(start..start.saturating_add(entry.ci_compressed_size));
        } else {
            let len = entry_len(entry);
            for (index, _) in recorded.iter().enumerate().filter(|(_, known)| !**known) {
                let start = start.saturating_add(u64_from(index).saturating_mul(len));
                runs.push(start..start.saturating_add(len));
            }
        }
        runs.finish();
    }
}

/// Ranges that meet, as one.
struct Runs<'a> {
    run: Range<u64>,
    tell: &'a mut dyn FnMut(Range<u64>),
}

impl Runs<'_> {
    fn push(&mut self, range: Range<u64>) {
        // Of the same batch.
        if range.end == self.run.end && range.start >= self.run.start {
            return;
        }
        if range.start == self.run.end {
            self.run.end = range.end;
            return;
        }
        self.finish();
        self.run = range;
    }

    fn finish(&mut self) {
        if !self.run.is_empty() {
            (self.tell)(self.run.clone());
        }
    }
}
