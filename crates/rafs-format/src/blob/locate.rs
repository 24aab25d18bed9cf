//! Finding what ends a blob, without doing I/O.

use std::ops::Range;

use image_model::{Digest, DigestAlgorithm, Step};
use verify::CheckError;

use super::error::{BlobError, TarHeaderFault};
use super::layout::Section;
use super::tar_header::TarHeader;
use super::toc::Toc;
use crate::v6::BlobEntry;

/// What ends a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trailer {
    /// A TOC.
    Toc(Toc),
    /// A bootstrap, inlined without a TOC: not compressed, at this range. Nothing vouches for it.
    Bootstrap(Range<u64>),
    /// Neither: the blob of a separate bootstrap, or no blob at all.
    None,
}

/// Bytes read at first: 28 entries and the tar header.
const TAIL: u64 = 4096;

/// Finds the TOC, or the inlined bootstrap, of a blob of which only the length is known, and what
/// the blob table says about its TOC, if anything.
///
/// It asks for ranges and is given bytes; the caller does the I/O in its own way.
///
/// ```
/// # use lazyoci_rafs_format::blob::{BlobError, LocateTrailer, Step, Trailer};
/// fn locate(blob: &[u8]) -> Result<Trailer, BlobError> {
///     let mut locate = LocateTrailer::new(blob.len() as u64);
///     let mut step = locate.start();
///     loop {
///         match step {
///             Step::Need(range) => {
///                 step = locate.supply(&blob[range.start as usize..range.end as usize])?;
///             }
///             Step::Done(trailer) => return Ok(trailer),
///         }
///     }
/// }
/// assert_eq!(locate(&[0; 600])?, Trailer::None);
/// # Ok::<(), BlobError>(())
/// ```
#[derive(Debug, Clone)]
pub struct LocateTrailer {
    blob_len: u64,
    /// Bytes asked for, from the end of the blob.
    asked: u64,
    known: Option<Known>,
}

/// What the blob table says about the TOC.
#[derive(Debug, Clone)]
struct Known {
    len: u64,
    digest: Option<Digest>,
}

impl LocateTrailer {
    /// Starts on a blob of `blob_len` bytes.
    #[must_use]
    pub fn new(blob_len: u64) -> Self {
        Self {
            blob_len,
            asked: blob_len.min(TAIL),
            known: None,
        }
    }

    /// Starts on the blob of a blob table's entry. If that knows the TOC, it must be there and
    /// have that length and digest.
    ///
    /// # Errors
    /// [`BlobError::OutOfBounds`] if the TOC does not fit, [`BlobError::Limit`] if it is too large.
    pub fn of(blob: &BlobEntry, blob_len: u64) -> Result<Self, BlobError> {
        let len = u64::from(blob.toc_size);
        if len == 0 {
            return Ok(Self::new(blob_len));
        }
        if len > Toc::MAX_LEN {
            return Err(too_large(len));
        }
        if len < TarHeader::LEN as u64 || len > blob_len {
            return Err(out_of_bounds(
                "TOC",
                blob_len.saturating_sub(len),
                len,
                blob_len,
            ));
        }
        let digest = Digest::new(DigestAlgorithm::Sha256, blob.toc_digest);
        let digest = (blob.toc_digest != [0; 32]).then_some(digest);
        Ok(Self {
            blob_len,
            asked: len,
            known: Some(Known { len, digest }),
        })
    }

    /// The first step.
    #[must_use]
    pub fn start(&self) -> Step<Trailer> {
        if self.blob_len < TarHeader::LEN as u64 {
            return Step::Done(Trailer::None);
        }
        Step::Need(self.range())
    }

    /// Takes the bytes that were needed and says what is next.
    ///
    /// # Errors
    /// [`BlobError::Given`] if `bytes` has another length than asked for; [`BlobError::TarHeader`],
    /// [`BlobError::TocLen`], [`BlobError::TocFlags`], [`BlobError::OutOfBounds`] if the trailer is
    /// damaged, [`BlobError::Limit`] if it is too large; [`BlobError::NoToc`],
    /// [`BlobError::Contradiction`], [`BlobError::Digest`] if it is not what the blob table says.
    pub fn supply(&mut self, bytes: &[u8]) -> Result<Step<Trailer>, BlobError> {
        let found = bytes.len() as u64;
        if found != self.asked {
            let expected = self.asked;
            return Err(BlobError::Given {
                piece: "end of the blob",
                expected,
                found,
            });
        }
        let Some(header) = bytes.last_chunk() else {
            return Ok(Step::Done(Trailer::None));
        };
        let header_offset = self.blob_len - TarHeader::LEN as u64;
        let header = match TarHeader::from_bytes(header, header_offset) {
            Ok(header) => header,
            Err(BlobError::TarHeader {
                fault: TarHeaderFault::Magic,
                ..
            }) if self.known.is_none() => {
                return Ok(Step::Done(Trailer::None));
            }
            Err(error) => return Err(error),
        };
        let len = header.section_len();
        if header.names(Section::Toc) {
            self.toc(bytes, len)
        } else if self.known.is_some() {
            Err(BlobError::NoToc)
        } else if header.names(Section::Bootstrap) {
            let start = header_offset.checked_sub(len).ok_or(out_of_bounds(
                "bootstrap",
                0,
                len,
                header_offset,
            ))?;
            Ok(Step::Done(Trailer::Bootstrap(start..header_offset)))
        } else {
            Ok(Step::Done(Trailer::None))
        }
    }

    /// `entries_len` comes from the tar header.
    fn toc(&mut self, bytes: &[u8], entries_len: u64) -> Result<Step<Trailer>, BlobError> {
        let len = entries_len.saturating_add(TarHeader::LEN as u64);
        if let Some(known) = &self.known
            && known.len != len
        {
            let (expected, found) = (known.len, len);
            return Err(BlobError::Contradiction {
                field: "length of the TOC",
                expected,
                found,
            });
        }
        if len > Toc::MAX_LEN {
            return Err(too_large(len));
        }
        let offset =
            self.blob_len
                .checked_sub(len)
                .ok_or(out_of_bounds("TOC", 0, len, self.blob_len))?;
        let Some(start) = self.asked.checked_sub(len) else {
            self.asked = len;
            return Ok(Step::Need(self.range()));
        };
        // `start` is at most the length of `bytes`, which is what was asked for.
        let toc = Toc::from_bytes(&bytes[start as usize..], offset)?;
        let (found, known) = (toc.digest(), self.known.as_ref());
        match known.and_then(|known| known.digest) {
            Some(expected) if expected != found => Err(BlobError::Digest {
                section: Section::Toc.name().into(),
                source: CheckError::Digest { expected, found },
            }),
            _ => Ok(Step::Done(Trailer::Toc(toc))),
        }
    }

    fn range(&self) -> Range<u64> {
        self.blob_len - self.asked..self.blob_len
    }
}

fn out_of_bounds(piece: &'static str, offset: u64, len: u64, blob_len: u64) -> BlobError {
    BlobError::OutOfBounds {
        piece,
        offset,
        len,
        blob_len,
    }
}

fn too_large(declared: u64) -> BlobError {
    BlobError::Limit {
        piece: "bytes of a TOC",
        declared,
        limit: Toc::MAX_LEN,
    }
}
