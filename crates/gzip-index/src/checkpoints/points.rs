//! Where checkpoints are. They tell at which bit a block begins, which this inflater knows.

use bytes::Bytes;
use image_model::width::u64_from;
use image_model::{Digest, DigestAlgorithm};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use sha2::{Digest as _, Sha256};

use super::{Checkpoint, CheckpointOptions};
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
    /// The last one, whose digest is not known yet.
    open: Option<(Checkpoint, Sha256)>,
    at: Place,
    last_byte: u8,
}

impl Points {
    pub(super) fn new(options: &CheckpointOptions) -> Self {
        Self {
            inflate: Box::default(),
            span_size: options.span_size,
            limit: options.limits.max_frame_len.into(),
            done: Vec::new(),
            open: None,
            at: Place::default(),
            last_byte: 0,
        }
    }

    /// A block begins here, `bits` bits before the next whole byte.
    fn boundary(&mut self, bits: u8, output: &Output) {
        let since = |point: &Checkpoint| self.at.decoded.saturating_sub(point.decoded_offset);
        let last = self.open.as_ref();
        // A first member without content does not make a second one at byte 0.
        if last.is_some_and(|(point, _)| since(point) <= self.span_size || since(point) == 0) {
            return;
        }
        let point = Checkpoint {
            stored_offset: self.at.stored,
            decoded_offset: self.at.decoded,
            bits,
            window: Bytes::copy_from_slice(output.window()),
            digest: Digest::new(DigestAlgorithm::Sha256, [0; 32]),
        };
        let mut digest = Sha256::default();
        if bits != 0 {
            digest.update([self.last_byte]);
        }
        self.close();
        self.open = Some((point, digest));
    }

    fn close(&mut self) {
        if let Some((mut point, digest)) = self.open.take() {
            point.digest = Digest::new(DigestAlgorithm::Sha256, digest.finalize().into());
            self.done.push(point);
        }
    }

    pub(super) fn finish(mut self) -> Vec<Checkpoint> {
        self.close();
        self.done
    }
}

impl Blocks for Points {
    fn begin_member(&mut self, at: Place, output: &Output) -> Result<(), BuildError> {
        self.inflate.init();
        self.at = at;
        self.boundary(0, output);
        Ok(())
    }

    fn pass(&mut self, stored: &[u8]) {
        if let Some((_, digest)) = &mut self.open {
            digest.update(stored);
        }
    }

    fn inflate(
        &mut self,
        stored: &[u8],
        output: &mut Output,
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
        let stored = &stored[..read];
        self.pass(stored);
        if let Some(&last) = stored.last() {
            self.last_byte = last;
        }
        self.at.stored = self.at.stored.saturating_add(u64_from(read));
        self.at.decoded = self.at.decoded.saturating_add(u64_from(written));
        if status == TINFLStatus::BlockBoundary
            && let Some(state) = self.inflate.block_boundary_state()
        {
            self.boundary(state.num_bits, output);
        }
        if let Some((point, _)) = &self.open
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

    fn end_member(&mut self) -> Result<(), BuildError> {
        Ok(())
    }
}
