//! What must be done to members in order: placing, digesting and writing them.

use std::io::{self, BufWriter, Write};

use blob_io::{DigestWriter, Written};
use estargz_toc::footer;
use estargz_toc::write::{Placed, Placements, TocMember};
use frame_codec::Encoder;
use image_model::{Digest, Limits};
use verify::Hasher;

use super::batch::Batch;
use crate::ConvertError;
use crate::report::ChunkCounts;

const BUFFER_LEN: usize = 256 << 10;

/// Writes a blob from front to end.
pub(super) struct Sink<'o> {
    out: BufWriter<DigestWriter<&'o mut dyn Write>>,
    placements: Placements,
    /// Of the tar.
    diff: Hasher,
    pub(super) counts: ChunkCounts,
}

/// A blob that is complete.
pub(super) struct Finished {
    pub(super) blob: Written,
    pub(super) diff_id: Digest,
}

impl<'o> Sink<'o> {
    pub(super) fn new(out: &'o mut dyn Write, limits: &Limits) -> Self {
        Self {
            out: BufWriter::with_capacity(BUFFER_LEN, DigestWriter::new(out)),
            placements: Placements::new(limits),
            diff: Hasher::sha256(),
            counts: ChunkCounts::default(),
        }
    }

    /// Takes the next members, in the order of the tar.
    pub(super) fn take(&mut self, batch: &Batch) -> Result<(), ConvertError> {
        for (member, stored) in batch.members.iter().zip(&batch.stored) {
            self.diff.update(&member.plain);
            if self.placements.push(stored.len, stored.chunk)?.is_some() {
                self.counts.stored += 1;
                self.counts.stored_bytes += stored.len;
            }
        }
        Ok(self.out.write_all(&batch.bytes)?)
    }

    /// Where the members came to lie.
    pub(super) fn place(self) -> Result<(Placed, End<'o>), ConvertError> {
        let end = End {
            out: self.out,
            diff: self.diff,
        };
        Ok((self.placements.finish()?, end))
    }
}

/// The blob as long as its TOC is missing.
pub(super) struct End<'o> {
    out: BufWriter<DigestWriter<&'o mut dyn Write>>,
    diff: Hasher,
}

impl End<'_> {
    /// Writes the TOC member and the footer.
    pub(super) fn finish(
        mut self,
        encoder: &mut Encoder,
        toc_member: TocMember,
        toc_offset: u64,
    ) -> Result<Finished, ConvertError> {
        self.diff.update(toc_member.plain());
        let mut stored = Vec::new();
        encoder.encode_frame(toc_member.plain(), &mut stored)?;
        drop(toc_member);
        self.out.write_all(&stored)?;
        self.out.write_all(&footer::encode(toc_offset))?;
        let out = self.out.into_inner().map_err(io::Error::from)?;
        let (out, blob) = out.finish();
        out.flush()?;
        Ok(Finished {
            blob,
            diff_id: self.diff.finish(),
        })
    }
}
