//! Where checkpoints are. They tell at which bit a block begins, which this inflater knows.

use bytes::Bytes;
use image_model::width::u64_from;
use image_model::{Digest, DigestAlgorithm};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use super::{Checkpoint, CheckpointOptions};
use crate::builder::digests::Digests;
use crate::builder::members::{Blocks, Inflated};
use crate::builder::output::Output;
use crate::builder::spans::Place;
use crate::error::BuildError;

const FLAGS: u32 = inflate_flags::TINFL_FLAG_HAS_MORE_INPUT
    | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF
    | inflate_flags::TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY;

pub(crate) struct Points {
    inflate: Box<DecompressorOxide>,
    span_size: u64,
    /// Most decoded bytes from one checkpoint to the next.
    limit: u64,
    done: Vec<Checkpoint>,
    at: Place,
}

impl Points {
    pub(super) fn new(options: &CheckpointOptions) -> Self {
        Self {
            inflate: Box::default(),
            span_size: options.span_size,
            limit: options.limits.max_frame_len.into(),
            done: Vec::new(),
            at: Place::default(),
        }
    }

    /// A block begins here, `bits` bits before the next whole byte.
    fn boundary(&mut self, bits: u8, output: &Output, digests: &mut Digests) {
        let since = |point: &Checkpoint| self.at.decoded.saturating_sub(point.decoded_offset);
        let last = self.done.last();
        // Not even spans of no size have two at one byte, as after a first member without content.
        if last.is_some_and(|point| since(point) <= self.span_size) {
            return;
        }
        let stored = self.at.stored;
        digests.end(stored);
        digests.begin(stored.saturating_sub(u64::from(bits != 0)));
        self.done.push(Checkpoint {
            stored_offset: stored,
            decoded_offset: self.at.decoded,
            bits,
            window: Bytes::copy_from_slice(output.window()),
            digest: Digest::new(DigestAlgorithm::Sha256, [0; 32]),
        });
    }

    /// The checkpoints, with their `digests`.
    pub(super) fn finish(mut self, digests: Vec<Digest>) -> Vec<Checkpoint> {
        for (point, digest) in self.done.iter_mut().zip(digests) {
            point.digest = digest;
        }
        self.done
    }
}

impl Blocks for Points {
    fn begin_member(
        &mut self,
        at: Place,
        output: &Output,
        digests: &mut Digests,
    ) -> Result<(), BuildError> {
        self.inflate.init();
        self.at = at;
        self.boundary(0, output, digests);
        Ok(())
    }

    fn inflate(
        &mut self,
        stored: &[u8],
        output: &mut Output,
        digests: &mut Digests,
    ) -> Result<Option<Inflated>, BuildError> {
        let (bytes, at) = output.all();
        let (status, read, written) = decompress(&mut self.inflate, stored, bytes, at, FLAGS);
        let ended = match status {
            TINFLStatus::Done => true,
            TINFLStatus::BlockBoundary
            | TINFLStatus::NeedsMoreInput
            | TINFLStatus::HasMoreOutput => false,
            _ => return Ok(None),
        };
        output.write(written);
        self.at.stored = self.at.stored.saturating_add(u64_from(read));
        self.at.decoded = self.at.decoded.saturating_add(u64_from(written));
        if status == TINFLStatus::BlockBoundary
            && let Some(state) = self.inflate.block_boundary_state()
        {
            self.boundary(state.num_bits, output, digests);
        }
        if let Some(point) = self.done.last()
            && self.at.decoded.saturating_sub(point.decoded_offset) > self.limit
        {
            let (stored, limit) = (point.stored_offset, self.limit);
            return Err(BuildError::SpanTooLong { stored, limit });
        }
        Ok(Some(Inflated {
            read,
            written,
            ended,
        }))
    }

    fn end_member(&mut self, _digests: &mut Digests) -> Result<(), BuildError> {
        Ok(())
    }

    fn end_stream(&mut self, stored: u64, digests: &mut Digests) {
        digests.end(stored);
    }

    fn settled(&self, stored: u64) -> u64 {
        stored
    }
}
