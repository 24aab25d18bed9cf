//! What travels to a worker and back.

use estargz_toc::write::Member;
use frame_codec::Encoder;
use image_model::Digest;

use crate::ConvertError;

/// Plain bytes of a batch; only a longer member makes it longer.
pub(super) const BATCH_LEN: usize = 1 << 20;

/// Members of about a megabyte, and what a worker makes of them.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) members: Vec<Member>,
    plain_len: usize,
    /// By the worker: one for each member.
    pub(super) stored: Vec<StoredMember>,
    /// By the worker: the compressed members, end to end.
    pub(super) bytes: Vec<u8>,
}

/// A compressed member.
#[derive(Debug, Clone, Copy)]
pub(super) struct StoredMember {
    pub(super) len: u64,
    /// Length and SHA-256 of the chunk at its beginning, if there is one.
    pub(super) chunk: Option<(u32, Digest)>,
}

impl Batch {
    /// Adds a member; true if the batch is full then.
    pub(super) fn push(&mut self, member: Member) -> bool {
        self.plain_len += member.plain.len();
        self.members.push(member);
        self.plain_len >= BATCH_LEN
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

/// Digests and compresses the members of `batch`.
pub(super) fn work(encoder: &mut Encoder, mut batch: Batch) -> Result<Batch, ConvertError> {
    for member in &batch.members {
        let chunk = match member.content() {
            [] => None,
            content => Some((member.content_len, verify::sha256(content))),
        };
        let start = batch.bytes.len();
        encoder.encode_frame(&member.plain, &mut batch.bytes)?;
        let len = (batch.bytes.len() - start) as u64;
        batch.stored.push(StoredMember { len, chunk });
    }
    Ok(batch)
}
