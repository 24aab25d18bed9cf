//! What can be done to pieces out of order: digesting and compressing them.

use chunk_dedup::DictionaryError;
use frame_codec::{Compression, Decoder, Encoder};
use image_model::{Codec, Digest};
use verify::UnsupportedDigest;

use super::batch::{Batch, Made, Payload};
use super::blocks::{BLOCK, BlockHasher};
use super::rules::{ChunkDigest, KeptFrame, Rules, StoredFrames};
use crate::ConvertError;

/// Bytes that a kept frame may have more than one that is made here.
const KEPT_SLACK: usize = 1 << 10;

/// A thread's share of the work, with contexts of its own.
///
/// What is stored already needs no compression. Workers learn that from the dictionary, always a
/// little late: a chunk may be compressed in vain, but one that is found is stored for good. So the
/// output does not depend on who was faster.
pub(super) struct Worker<'d> {
    encoder: Encoder,
    rules: Rules<'d>,
    /// Chunks of zeros of the two lengths met last: whole ones, and the last one of a file.
    known_zeros: [Option<ZeroChunk>; 2],
    decoder: Decoder,
    /// What frames that may be kept hold.
    decoded: Vec<u8>,
    hasher: BlockHasher,
    /// The pieces of the batch whose blocks are digested.
    in_blocks: Vec<usize>,
}

/// A chunk of zeros, with nothing after it.
struct ZeroChunk {
    len: usize,
    digest: Option<(Digest, Option<u32>)>,
    /// Made when it is first needed.
    stored: Option<(Codec, Box<[u8]>)>,
}

impl<'d> Worker<'d> {
    pub(super) fn new(rules: Rules<'d>) -> Result<Self, ConvertError> {
        rules.digest.map(|how| digest(how, b"")).transpose()?;
        Ok(Self {
            encoder: Encoder::new(rules.compression)?,
            rules,
            known_zeros: [None, None],
            decoder: Decoder::new(),
            decoded: Vec::new(),
            hasher: BlockHasher::default(),
            in_blocks: Vec::new(),
        })
    }

    /// Fills `made` and `stored` of `batch`.
    pub(super) fn work(&mut self, mut batch: Batch) -> Result<Batch, ConvertError> {
        if let Some(origin) = self.rules.origin {
            batch.complete(origin)?;
        }
        self.in_blocks.clear();
        for index in 0..batch.pieces().len() {
            let piece = batch.pieces()[index];
            let chunk_len = piece.chunk_len as usize;
            let made = match batch.bytes(&piece) {
                Some(bytes) if piece.len != chunk_len || !chunk_dedup::is_zero(bytes) => {
                    let chunk = &bytes[..chunk_len];
                    let digest = self.digest(chunk)?;
                    let payload = self.payload(digest, piece.chunk_len)?;
                    let mut blocks = 0;
                    if payload != Payload::Known && self.wants_blocks(piece.chunk_len) {
                        self.in_blocks.push(index);
                        blocks = chunk_len.div_ceil(BLOCK);
                    }
                    let made = Made {
                        digest,
                        payload,
                        blocks,
                    };
                    match self.rules.groups(piece.chunk_len, piece.file_offset) {
                        true => made,
                        false => self.compress(&mut batch, index, made)?,
                    }
                }
                _ => {
                    let digest = self.zero_chunk(piece.len)?.digest;
                    let payload = self.payload(digest, piece.chunk_len)?;
                    let made = Made {
                        digest,
                        payload,
                        blocks: 0,
                    };
                    match self.rules.groups(piece.chunk_len, piece.file_offset) {
                        true => made,
                        false => self.store_zeros(piece.len, made, &mut batch.stored)?,
                    }
                }
            };
            batch.made.push(made);
        }
        if !self.in_blocks.is_empty() {
            let mut blocks = std::mem::take(&mut batch.blocks);
            let chunks = self.in_blocks.iter().map(|&index| {
                let piece = batch.pieces()[index];
                &batch.bytes(&piece).unwrap_or_default()[..piece.chunk_len as usize]
            });
            self.hasher.digest(chunks, &mut blocks);
            batch.blocks = blocks;
        }
        Ok(batch)
    }

    fn digest(&self, chunk: &[u8]) -> Result<Option<(Digest, Option<u32>)>, UnsupportedDigest> {
        match self.rules.digest {
            Some(how) if !chunk.is_empty() => digest(how, chunk).map(Some),
            _ => Ok(None),
        }
    }

    fn wants_blocks(&self, chunk_len: u32) -> bool {
        (self.rules.digest).is_some_and(|how| chunk_len < how.blocks_below)
    }

    /// What is to be done with a chunk that is not compressed yet.
    fn payload(
        &self,
        digest: Option<(Digest, Option<u32>)>,
        len: u32,
    ) -> Result<Payload, DictionaryError> {
        match digest {
            Some((digest, _)) if self.rules.knows(&digest, len)? => Ok(Payload::Known),
            _ => Ok(Payload::Plain),
        }
    }

    /// Whether there is nothing to compress.
    fn stays(&self, made: &Made) -> bool {
        made.payload == Payload::Known || self.rules.compression == Compression::None
    }

    fn compress(
        &mut self,
        batch: &mut Batch,
        index: usize,
        made: Made,
    ) -> Result<Made, ConvertError> {
        if self.stays(&made) {
            return Ok(made);
        }
        let mut stored = std::mem::take(&mut batch.stored);
        let piece = batch.pieces()[index];
        let plain = batch.bytes(&piece).unwrap_or_default();
        let kept = match (piece.kept, self.rules.frames) {
            (Some(frame), Some(frames)) => self.copy(plain, (&frame, frames), &mut stored),
            _ => Ok(None),
        };
        let payload = match kept {
            Ok(None) => encode(&mut self.encoder, &self.rules, plain, &mut stored),
            Ok(Some(copied)) => Ok(copied),
            Err(error) => Err(error),
        };
        batch.stored = stored;
        let payload = payload?;
        Ok(Made { payload, ..made })
    }

    /// Appends the stored bytes of a frame to `out`, if they hold `plain` and nothing else.
    fn copy(
        &mut self,
        plain: &[u8],
        (frame, frames): (&KeptFrame, &dyn StoredFrames),
        out: &mut Vec<u8>,
    ) -> Result<Option<Payload>, ConvertError> {
        let start = out.len();
        frames.read(frame, out)?;
        self.decoded.resize(plain.len(), 0);
        let codec = self.rules.compression.codec();
        let (mut stored, decoded) = (&out[start..], &mut self.decoded[..]);
        let held = match frame.whole || frames.single() {
            true => {
                stored = Decoder::first_frame(codec, stored);
                self.decoder.decode(codec, stored, decoded)
            }
            false => self.decoder.decode_frames(codec, stored, decoded),
        };
        let len = stored.len();
        let most = self.rules.compression.max_frame_len(plain.len()) + KEPT_SLACK;
        let too_long = len > most || self.rules.plain_if_shorter && len >= plain.len();
        let fits = held.is_ok() && !too_long && Decoder::window_fits(codec, stored);
        if !fits || self.decoded != plain {
            out.truncate(start);
            return Ok(None);
        }
        out.truncate(start + len);
        Ok(Some(Payload::Copied { codec, len }))
    }

    /// The chunk of `len` zeros, digested.
    fn zero_chunk(&mut self, len: usize) -> Result<&mut ZeroChunk, ConvertError> {
        let is_it =
            |known: &Option<ZeroChunk>| known.as_ref().is_some_and(|known| known.len == len);
        if !self.known_zeros.iter().any(is_it) {
            let digest = match self.rules.digest {
                // Not kept: that would be too much memory for each thread.
                Some(how) => Some(digest(how, &vec![0; len])?),
                None => None,
            };
            self.known_zeros.swap(0, 1);
            self.known_zeros[0] = Some(ZeroChunk {
                len,
                digest,
                stored: None,
            });
        }
        let mut known = self.known_zeros.iter_mut().flatten();
        Ok(known.find(|known| known.len == len).expect("it was made"))
    }

    /// Appends a compressed chunk of zeros to `out`.
    fn store_zeros(
        &mut self,
        len: usize,
        made: Made,
        out: &mut Vec<u8>,
    ) -> Result<Made, ConvertError> {
        if self.stays(&made) {
            return Ok(made);
        }
        if self.zero_chunk(len)?.stored.is_none() {
            let mut stored = Vec::new();
            let plain = vec![0; len];
            let codec = match encode(&mut self.encoder, &self.rules, &plain, &mut stored)? {
                Payload::Compressed { codec, .. } | Payload::Copied { codec, .. } => codec,
                Payload::Plain | Payload::Known => Codec::None,
            };
            self.zero_chunk(len)?.stored = Some((codec, stored.into()));
        }
        let payload = match &self.zero_chunk(len)?.stored {
            Some((codec, stored)) if *codec != Codec::None => {
                out.extend_from_slice(stored);
                Payload::Compressed {
                    codec: *codec,
                    len: stored.len(),
                }
            }
            _ => Payload::Plain,
        };
        Ok(Made { payload, ..made })
    }
}

/// Appends `plain` to `out` as the rules have it; nothing if it stays as it is.
fn encode(
    encoder: &mut Encoder,
    rules: &Rules<'_>,
    plain: &[u8],
    out: &mut Vec<u8>,
) -> Result<Payload, ConvertError> {
    let start = out.len();
    if rules.plain_if_shorter {
        if encoder.encode(plain, out)? == Codec::None {
            out.truncate(start);
            return Ok(Payload::Plain);
        }
    } else {
        encoder.encode_frame(plain, out)?;
    }
    Ok(Payload::Compressed {
        codec: rules.compression.codec(),
        len: out.len() - start,
    })
}

fn digest(how: ChunkDigest, bytes: &[u8]) -> Result<(Digest, Option<u32>), UnsupportedDigest> {
    let crc32c = how.with_crc.then(|| verify::crc32c(bytes));
    Ok((verify::digest(how.algorithm, bytes)?, crc32c))
}
