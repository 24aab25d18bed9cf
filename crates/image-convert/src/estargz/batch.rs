//! What travels to a worker and back.

use estargz_toc::write::Member;
use frame_codec::Encoder;
use image_model::Digest;

use super::EstargzOptions;
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

    /// Plain bytes.
    pub(super) fn plain_len(&self) -> usize {
        self.plain_len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

/// What a thread does: digesting and compressing, with a context of its own.
pub(super) struct Worker {
    encoder: Encoder,
    chunk_size: usize,
    /// The last whole chunk of zeros without anything behind it, compressed, and its digest.
    zeros: Option<(Digest, Box<[u8]>)>,
}

impl Worker {
    pub(super) fn new(options: &EstargzOptions) -> Result<Self, ConvertError> {
        Ok(Self {
            encoder: Encoder::new(options.compression)?,
            chunk_size: options.chunk_size.get() as usize,
            zeros: None,
        })
    }

    /// Digests and compresses the members of `batch`.
    pub(super) fn work(&mut self, mut batch: Batch) -> Result<Batch, ConvertError> {
        for member in &batch.members {
            let start = batch.bytes.len();
            let digest = self.member(member, &mut batch.bytes)?;
            batch.stored.push(StoredMember {
                len: (batch.bytes.len() - start) as u64,
                chunk: digest.map(|digest| (member.content_len, digest)),
            });
        }
        Ok(batch)
    }

    /// Appends a compressed member to `bytes`; returns the digest of its chunk.
    fn member(
        &mut self,
        member: &Member,
        bytes: &mut Vec<u8>,
    ) -> Result<Option<Digest>, ConvertError> {
        let content = member.content();
        let whole = content.len() == self.chunk_size && content.len() == member.plain.len();
        if !whole || !chunk_dedup::is_zero(content) {
            self.encoder.encode_frame(&member.plain, bytes)?;
            return Ok((!content.is_empty()).then(|| verify::sha256(content)));
        }
        if self.zeros.is_none() {
            let mut stored = Vec::new();
            self.encoder.encode_frame(content, &mut stored)?;
            self.zeros = Some((verify::sha256(content), stored.into()));
        }
        let known = self.zeros.as_ref();
        Ok(known.map(|(digest, stored)| {
            bytes.extend_from_slice(stored);
            *digest
        }))
    }
}
