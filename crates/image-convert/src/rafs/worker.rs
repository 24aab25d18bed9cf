//! What can be done to chunks out of order: digesting and compressing them.

use frame_codec::{Compression, Encoder};
use image_model::{Codec, Digest, DigestAlgorithm};
use verify::UnsupportedDigest;

use super::batch::{DigestedChunk, Job, Payload};
use super::known::KnownChunks;
use crate::ConvertError;

/// A thread's share of the work, with contexts of its own.
///
/// What is stored already needs no compression. Workers learn that from [`KnownChunks`], always a
/// little late: a chunk may be compressed in vain, but one that is found is stored for good. So the
/// output does not depend on who was faster.
pub(super) struct Worker<'t> {
    encoder: Encoder,
    digester: Digester,
    known: &'t KnownChunks,
    zeros: Zeros,
}

#[derive(Clone, Copy)]
struct Digester {
    algorithm: DigestAlgorithm,
    with_crc: bool,
}

impl Digester {
    fn digest(self, bytes: &[u8]) -> Result<(Digest, Option<u32>), UnsupportedDigest> {
        let crc32c = self.with_crc.then(|| verify::crc32c(bytes));
        Ok((verify::digest(self.algorithm, bytes)?, crc32c))
    }
}

/// Zeros of one length and what is known of them, made when the first hole is met.
#[derive(Default)]
struct Zeros {
    bytes: Vec<u8>,
    /// The two lengths asked for last: whole chunks, and the last one of a file.
    known: [Option<(u32, Digest, Option<u32>)>; 2],
}

impl<'t> Worker<'t> {
    pub(super) fn new(
        compression: Compression,
        algorithm: DigestAlgorithm,
        with_crc: bool,
        known: &'t KnownChunks,
    ) -> Result<Self, ConvertError> {
        let digester = Digester {
            algorithm,
            with_crc,
        };
        digester.digest(b"")?;
        Ok(Self {
            encoder: Encoder::new(compression)?,
            digester,
            known,
            zeros: Zeros::default(),
        })
    }

    /// Fills `chunks` and `stored` of `job`.
    pub(super) fn work(&mut self, mut job: Job) -> Result<Job, ConvertError> {
        self.digest(&mut job)?;
        if self.encoder.compression() != Compression::None {
            self.known.mark(&mut job);
            self.compress(&mut job)?;
        }
        Ok(job)
    }

    fn digest(&mut self, job: &mut Job) -> Result<(), ConvertError> {
        for cut in job.batch.cuts() {
            let (digest, crc32c) = match job.batch.bytes(cut) {
                Some(bytes) => self.digester.digest(bytes)?,
                None => self.digest_zeros(cut.len)?,
            };
            job.chunks.push(DigestedChunk {
                digest,
                crc32c,
                payload: Payload::Plain,
            });
        }
        Ok(())
    }

    fn digest_zeros(&mut self, len: u32) -> Result<(Digest, Option<u32>), ConvertError> {
        let Zeros { bytes, known } = &mut self.zeros;
        if let Some(&(_, digest, crc32c)) = known.iter().flatten().find(|zeros| zeros.0 == len) {
            return Ok((digest, crc32c));
        }
        let (digest, crc32c) = self.digester.digest(zeros(bytes, len))?;
        *known = [Some((len, digest, crc32c)), known[0]];
        Ok((digest, crc32c))
    }

    fn compress(&mut self, job: &mut Job) -> Result<(), ConvertError> {
        for (cut, chunk) in job.batch.cuts().iter().zip(&mut job.chunks) {
            if chunk.payload == Payload::Nothing {
                continue;
            }
            let plain = match job.batch.bytes(cut) {
                Some(bytes) => bytes,
                None => zeros(&mut self.zeros.bytes, cut.len),
            };
            let start = job.stored.len();
            match self.encoder.encode(plain, &mut job.stored)? {
                Codec::None => job.stored.truncate(start),
                codec => {
                    let len = (job.stored.len() - start) as u32;
                    chunk.payload = Payload::Compressed { codec, len };
                }
            }
        }
        Ok(())
    }
}

/// The first `len` of `bytes`, all of which are zero, grown as needed.
pub(super) fn zeros(bytes: &mut Vec<u8>, len: u32) -> &[u8] {
    if bytes.len() < len as usize {
        bytes.resize(len as usize, 0);
    }
    &bytes[..len as usize]
}
