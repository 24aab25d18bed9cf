//! The chunks of a regular file: its own entry and the `chunk` entries after it.

use image_model::image::ChunkRange;
use image_model::{Digest, DigestAlgorithm, ImagePath, Metadata};

use super::inode::unsigned;
use crate::error::EntryFault;
use crate::toc::TocEntry;

/// A regular file whose chunks are not complete yet.
#[derive(Debug)]
pub(super) struct OpenFile {
    /// Position of its entry.
    pub(super) index: usize,
    /// Its name, as stored.
    pub(super) name: Box<str>,
    pub(super) path: ImagePath,
    pub(super) metadata: Metadata,
    /// Length in bytes.
    pub(super) size: u64,
    pub(super) digest: Option<Digest>,
    /// Bytes in chunks so far.
    pub(super) covered: u64,
    /// Where its frames end, if the TOC tells.
    pub(super) end_offset: u64,
    pub(super) extents: ChunkRange,
}

/// A chunk, before its place is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileChunk {
    pub(super) file_offset: u64,
    pub(super) len: u64,
    pub(super) digest: Option<Digest>,
}

impl OpenFile {
    pub(super) fn new(
        index: usize,
        path: ImagePath,
        metadata: Metadata,
        entry: &TocEntry<'_>,
    ) -> Result<Self, EntryFault> {
        let file = Self {
            index,
            name: entry.name.as_ref().into(),
            path,
            metadata,
            size: unsigned("size", entry.size)?,
            digest: digest("digest", &entry.digest)?,
            covered: 0,
            end_offset: 0,
            extents: ChunkRange::default(),
        };
        match file.digest {
            Some(digest) if file.size == 0 && digest != empty_digest() => {
                Err(EntryFault::DigestsDiffer {
                    file: digest,
                    chunk: empty_digest(),
                })
            }
            _ => Ok(file),
        }
    }

    /// The chunk that `entry` describes, which must be the next one of the file.
    pub(super) fn next_chunk(&self, entry: &TocEntry<'_>) -> Result<FileChunk, EntryFault> {
        let size = self.size;
        if self.covered == size {
            return Err(EntryFault::ChunkAfterEnd { size });
        }
        let file_offset = unsigned("chunkOffset", entry.chunk_offset)?;
        if file_offset != self.covered {
            return Err(EntryFault::ChunkOrder {
                expected: self.covered,
                found: file_offset,
            });
        }
        let rest = size.saturating_sub(file_offset);
        let len = match unsigned("chunkSize", entry.chunk_size)? {
            0 => rest,
            len if len <= rest => len,
            len => {
                return Err(EntryFault::ChunkBeyondEnd {
                    chunk_offset: file_offset,
                    len,
                    size,
                });
            }
        };
        // As for most files, whose entry is the one with their only chunk.
        let is_whole = self.covered == 0 && entry.chunk_digest == entry.digest;
        let mut chunk_digest = match self.digest.filter(|_| is_whole) {
            Some(digest) => Some(digest),
            None => digest("chunkDigest", &entry.chunk_digest)?,
        };
        if len == size {
            match (self.digest, chunk_digest) {
                (Some(file), Some(chunk)) if file != chunk => {
                    return Err(EntryFault::DigestsDiffer { file, chunk });
                }
                (file, chunk) => chunk_digest = chunk.or(file),
            }
        }
        Ok(FileChunk {
            file_offset,
            len,
            digest: chunk_digest,
        })
    }

    /// Checks that the chunks cover the file.
    pub(super) fn check_complete(&self) -> Result<(), EntryFault> {
        if self.covered == self.size {
            Ok(())
        } else {
            Err(EntryFault::ChunksMissing {
                covered: self.covered,
                size: self.size,
            })
        }
    }
}

/// SHA-256 of no bytes.
pub(crate) fn empty_digest() -> Digest {
    verify::sha256(b"")
}

/// The digest in a field; `None` if it is empty.
fn digest(field: &'static str, text: &str) -> Result<Option<Digest>, EntryFault> {
    if text.is_empty() {
        return Ok(None);
    }
    if let Ok(digest) = text.parse::<Digest>()
        && digest.algorithm() == DigestAlgorithm::Sha256
    {
        return Ok(Some(digest));
    }
    match text.split_once(':') {
        Some((algorithm, _)) if algorithm != "sha256" => Err(EntryFault::DigestAlgorithm {
            field,
            algorithm: algorithm.into(),
        }),
        _ => Err(EntryFault::Digest {
            field,
            found: text.into(),
        }),
    }
}
