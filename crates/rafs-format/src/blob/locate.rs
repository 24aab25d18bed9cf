//! Finding what ends a blob, without doing I/O.

use std::ops::Range;

use bytes::Bytes;
use image_model::width::{u64_from, usize_up_to};
use image_model::{BlobIndex, Digest, DigestAlgorithm, Need, Object, Step, StepMachine};
use verify::CheckError;

use super::error::{BlobError, TarHeaderFault, check_given};
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

const HEADER_LEN: u64 = u64_from(TarHeader::LEN);

/// Finds the TOC, or the inlined bootstrap, of a blob of known length, and what the blob table says
/// about its TOC, if anything. It requests ranges, and the caller supplies the bytes.
///
/// ```
/// use bytes::Bytes;
/// use image_model::StepMachine;
/// use lazyoci_rafs_format::blob::{BlobError, LocateTrailer, Trailer};
///
/// fn locate(blob: &Bytes) -> Result<Trailer, BlobError> {
///     let locate = LocateTrailer::new(blob.len() as u64);
///     locate.drive(|need| Ok(blob.slice(need.range.start as usize..need.range.end as usize)))
/// }
/// assert_eq!(locate(&Bytes::from_static(&[0; 600]))?, Trailer::None);
/// # Ok::<(), BlobError>(())
/// ```
#[derive(Debug, Clone)]
pub struct LocateTrailer {
    object: Object,
    blob_len: u64,
    /// Bytes requested first, from the end of the blob.
    first: u64,
    /// Bytes requested last.
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
    /// Starts on a blob of `blob_len` bytes, which is the file that is opened.
    #[must_use]
    pub fn new(blob_len: u64) -> Self {
        Self::starting(blob_len, TAIL, None)
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
        if len < HEADER_LEN || len > blob_len {
            let offset = blob_len.saturating_sub(len);
            return Err(out_of_bounds("TOC", offset, len, blob_len));
        }
        let digest = Digest::new(DigestAlgorithm::Sha256, blob.toc_digest);
        let digest = (blob.toc_digest != [0; 32]).then_some(digest);
        Ok(Self::starting(blob_len, len, Some(Known { len, digest })))
    }

    fn starting(blob_len: u64, first: u64, known: Option<Known>) -> Self {
        let first = blob_len.min(first);
        Self {
            object: Object::Opened,
            blob_len,
            first,
            asked: first,
            known,
        }
    }

    /// Asks for bytes of the blob number `index` instead of the file that is opened.
    #[must_use]
    pub fn in_blob(mut self, index: BlobIndex) -> Self {
        self.object = Object::Blob(index);
        self
    }

    /// `entries_len` comes from the tar header.
    fn toc(&mut self, bytes: &[u8], entries_len: u64) -> Result<Step<Trailer>, BlobError> {
        let len = entries_len.saturating_add(HEADER_LEN);
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
            return Ok(self.need(len));
        };
        // `start` is at most the length of `bytes`, which is what was requested.
        let toc = Toc::from_bytes(&bytes[usize_up_to(start)..], offset)?;
        let (found, known) = (toc.digest(), self.known.as_ref());
        match known.and_then(|known| known.digest) {
            Some(expected) if expected != found => Err(BlobError::Digest {
                section: Section::Toc.name().into(),
                source: CheckError::Digest { expected, found },
            }),
            _ => Ok(Step::Done(Trailer::Toc(toc))),
        }
    }

    /// The last `len` bytes.
    fn need(&mut self, len: u64) -> Step<Trailer> {
        self.asked = len;
        Step::Need(Need {
            object: self.object,
            range: self.blob_len.saturating_sub(len)..self.blob_len,
        })
    }
}

impl StepMachine for LocateTrailer {
    type Found = Trailer;
    type Error = BlobError;

    fn start(&mut self) -> Result<Step<Trailer>, BlobError> {
        if self.blob_len < HEADER_LEN {
            return Ok(Step::Done(Trailer::None));
        }
        Ok(self.need(self.first))
    }

    /// # Errors
    /// [`BlobError::Given`] if `bytes` has another length than requested; [`BlobError::TarHeader`],
    /// [`BlobError::TocLen`], [`BlobError::TocFlags`], [`BlobError::OutOfBounds`] if the trailer is
    /// damaged, [`BlobError::Limit`] if it is too large; [`BlobError::NoToc`],
    /// [`BlobError::Contradiction`], [`BlobError::Digest`] if it is not what the blob table says.
    fn supply(&mut self, bytes: Bytes) -> Result<Step<Trailer>, BlobError> {
        check_given("end of the blob", self.asked, &bytes)?;
        let Some(header) = bytes.last_chunk() else {
            return Ok(Step::Done(Trailer::None));
        };
        let header_offset = self.blob_len.saturating_sub(HEADER_LEN);
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
            self.toc(&bytes, len)
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
