//! Which chunk is read from which place at which the layer can be entered.

use gzip_index::{GzipIndex, Span};
use image_model::deflate::{DeflateStart, WINDOW_LEN};
use image_model::{Chunk, Decode};
use rafs_format::blob::{ReferenceBuilder, ZranContext};
use rafs_format::v6::ChunkPlace;

use crate::ConvertError;

/// Where a layer can be entered.
pub(super) struct Entries {
    pub(super) index: GzipIndex,
    /// Offsets of bytes in which spans begin, and those bytes.
    pub(super) shared_bytes: Vec<(u64, u8)>,
    pub(super) checkpoints: Vec<Checkpoint>,
}

/// How many bytes of the layer gave how many of the tar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) decoded: u64,
    pub(super) stored: u64,
}

/// A context that grows by chunks.
struct Growing {
    /// The span that it begins with.
    span: usize,
    end: Checkpoint,
    /// Its chunks: where they begin in the tar, and how long they are.
    chunks: Vec<(u64, u32)>,
}

impl Entries {
    /// Adds contexts and `chunks`, which begin at `places` of the tar, to `builder`: each lies in the context that begins
    /// last before it, and that is as long as its chunks need. Returns the number of its context, and its place, and sets
    /// where it begins in the context.
    pub(super) fn place(
        &self,
        chunks: &mut [Chunk],
        places: &[u64],
        builder: &mut ReferenceBuilder,
    ) -> Result<Vec<(u32, ChunkPlace)>, ConvertError> {
        let mut contexts: Vec<Growing> = Vec::new();
        for (chunk, &at) in chunks.iter().zip(places) {
            let end = self.end_of(at + u64::from(chunk.len));
            let span = self.entry_before(at);
            match contexts.last_mut().filter(|context| context.span == span) {
                Some(context) => {
                    if context.end.decoded < end.decoded {
                        context.end = end;
                    }
                    context.chunks.push((at, chunk.len));
                }
                None => contexts.push(Growing {
                    span,
                    end,
                    chunks: vec![(at, chunk.len)],
                }),
            }
        }
        for context in &contexts {
            self.push(context, builder)?;
        }
        let mut placed = Vec::with_capacity(chunks.len());
        let mut left = chunks.iter_mut();
        for (number, context) in (0..).zip(&contexts) {
            let start = self.index.spans()[context.span].decoded_offset;
            for &(at, len) in &context.chunks {
                // In the context, which has no more than 16 MiB.
                let offset = (at - start) as u32;
                placed.push(builder.push(number, offset, len)?);
                if let Some(chunk) = left.next() {
                    chunk.offset_in_frame = offset;
                }
            }
        }
        Ok(placed)
    }

    /// The last span at which byte `at` of the tar can be entered.
    fn entry_before(&self, at: u64) -> usize {
        let spans = self.index.spans();
        let mut nth = self.index.span_at(at).unwrap_or_default();
        while nth > 0 && !is_entry(&spans[nth], spans.get(nth + 1)) {
            nth -= 1;
        }
        nth
    }

    /// Up to where the layer has to be decoded for the bytes of the tar up to `end`.
    ///
    /// nydusd 2.2 fails if it comes to the end of a member, so there is always more to decode than is asked for, unless a
    /// chunk ends with its member.
    fn end_of(&self, end: u64) -> Checkpoint {
        let after = (self.checkpoints).partition_point(|checkpoint| checkpoint.decoded < end);
        let found = self.checkpoints.get(after).copied();
        let spans = self.index.spans();
        let Some(nth) = self.index.span_at(end.saturating_sub(1)) else {
            return found.unwrap_or(Checkpoint {
                decoded: end,
                stored: self.index.stored_len(),
            });
        };
        let span_end = Checkpoint {
            decoded: spans[nth].decoded_end(),
            stored: spans[nth].stored_end(),
        };
        // Not into the next member.
        let found = found.filter(|found| found.decoded <= span_end.decoded);
        let found = found.unwrap_or(span_end);
        let ends_member =
            found.decoded == span_end.decoded && spans.get(nth + 1).is_none_or(Span::begins_member);
        Checkpoint {
            decoded: end.max(found.decoded - u64::from(ends_member)),
            stored: found.stored,
        }
    }

    fn push(&self, context: &Growing, builder: &mut ReferenceBuilder) -> Result<(), ConvertError> {
        let span = self.index.spans()[context.span];
        let recipe = self.index.recipe(context.span);
        let start = match recipe.map(|recipe| recipe.decode) {
            Some(Decode::Deflate(start)) => start,
            _ => DeflateStart::default(),
        };
        let shared = &self.shared_bytes;
        let shared_byte = shared.binary_search_by_key(&span.stored_offset, |&(at, _)| at);
        let in_offset = span.stored_offset + u64::from(span.bits != 0);
        let len = |from: u64, to: u64| u32::try_from(to.saturating_sub(from)).unwrap_or(u32::MAX);
        let described = ZranContext {
            in_offset,
            out_offset: span.decoded_offset,
            in_len: len(in_offset, context.end.stored),
            out_len: len(span.decoded_offset, context.end.decoded),
            byte: shared_byte.map_or(0, |nth| shared[nth].1),
            ..ZranContext::default()
        };
        Ok(builder.push_context(described, &start)?)
    }
}

/// Whether all bytes before `span` are known that anything after it refers to: `next` follows it. What comes 32 KiB later
/// refers to nothing before it, but a span that ends earlier was looked at only up to its end.
fn is_entry(span: &Span, next: Option<&Span>) -> bool {
    span.begins_member()
        || span.decoded_len as usize >= WINDOW_LEN
        || next.is_none_or(Span::begins_member)
}
