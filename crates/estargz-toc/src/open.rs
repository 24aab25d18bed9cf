//! Finding the TOC of a blob, without doing I/O.

use std::io::Read;
use std::ops::Range;

use bytes::Bytes;
use image_model::width::{u64_from, usize_up_to};
use image_model::{Blame, BlobId, Digest, Fault, Limits};
pub use image_model::{Need, Object, Step, StepMachine};
use tar_stream::{
    Compression, Entry, EntryKind, LayerStream, StreamOptions, TarError, TarReadOptions, TarReader,
};
use verify::CheckError;

use crate::error::TocError;
use crate::footer::{self, FOOTER_LEN, FooterError};
use crate::image::{EstargzImage, ImageOptions, TocBlob, decode_image};
use crate::toc::TOC_NAME;

/// Number of bytes first requested from the end of a blob: the footer, and a TOC of 64 KiB (compressed) before it.
pub const TAIL_LEN: u64 = u64_from((64 << 10) + FOOTER_LEN);

/// Maximum length of the headers and padding around the TOC in its tar.
const MAX_AROUND: u64 = 1 << 16;

/// The TOC of a blob, as bytes. It is unverified until [`check`](Self::check) succeeds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenedToc {
    /// The JSON document.
    pub json: Vec<u8>,
    /// SHA-256 of all its bytes: the TOC digest.
    pub digest: Digest,
    /// Where the TOC member begins, bytes from the start of the blob.
    pub toc_offset: u64,
    /// Length of the blob in bytes.
    pub blob_len: u64,
}

impl OpenedToc {
    /// Compares the TOC with the digest that the image's manifest gives
    /// (`containerd.io/snapshot/stargz/toc.digest`).
    ///
    /// # Errors
    /// [`CheckError`] if the digest differs.
    pub fn check(&self, expected: &Digest) -> Result<(), CheckError> {
        verify::check(expected, &self.json)
    }

    /// The image that the TOC describes, with the blob named `id`.
    ///
    /// # Errors
    /// [`TocError`] for the first entry that no image can hold.
    pub fn image(&self, id: BlobId, options: &ImageOptions) -> Result<EstargzImage, TocError> {
        let blob = TocBlob {
            id,
            len: self.blob_len,
            content_len: self.toc_offset,
        };
        decode_image(&self.json, blob, options)
    }
}

/// A blob whose TOC cannot be found or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Too short for a footer.
    #[error("a blob of {blob_len} bytes is too short for an eStargz footer of {FOOTER_LEN} bytes")]
    TooShort {
        /// Length of the blob in bytes.
        blob_len: u64,
    },
    /// The blob does not end in a footer.
    #[error("no eStargz footer at the end of the blob")]
    Footer(#[from] FooterError),
    /// The TOC member, or the TOC in it, is longer than the limit.
    #[error("the TOC takes {len} bytes; the limit is {limit}")]
    TooLong {
        /// Bytes of the stored member, or of the document.
        len: u64,
        /// [`Limits::toc_len`].
        limit: u64,
    },
    /// No gzip member where the TOC should be.
    #[error("the TOC at byte {toc_offset} of the blob is not a gzip member")]
    NotGzip {
        /// Where the TOC should be.
        toc_offset: u64,
    },
    /// The TOC member does not contain a tar, or is damaged.
    #[error("cannot read the TOC member at byte {toc_offset} of the blob")]
    Tar {
        /// Where the TOC member begins.
        toc_offset: u64,
        /// What is wrong; offsets in it count from the start of the member's tar.
        source: TarError,
    },
    /// The TOC member is empty, or its first file is not the TOC.
    #[error(
        "the member at byte {toc_offset} of the blob does not begin with a regular file `{TOC_NAME}`"
    )]
    NotToc {
        /// Where the TOC member begins.
        toc_offset: u64,
    },
    /// Something follows the TOC.
    #[error("unexpected data follows the TOC at byte {toc_offset} of the blob")]
    Trailing {
        /// Where the TOC member begins.
        toc_offset: u64,
    },
    /// The bytes supplied are not the ones requested.
    #[error("{found} bytes were supplied, but {asked} were requested")]
    Supplied {
        /// Bytes requested.
        asked: u64,
        /// Bytes supplied.
        found: u64,
    },
}

impl Blame for OpenError {
    fn fault(&self) -> Fault {
        match self {
            Self::TooShort { .. }
            | Self::NotGzip { .. }
            | Self::NotToc { .. }
            | Self::Trailing { .. } => Fault::Corrupt,
            Self::TooLong { .. } => Fault::Limit,
            Self::Footer(error) => error.fault(),
            Self::Tar { source, .. } => source.fault(),
            Self::Supplied { .. } => Fault::Misuse,
        }
    }
}

/// Finds the TOC of a blob of known length. It requests ranges of the opened file, and the caller supplies the bytes.
/// It first requests the last [`TAIL_LEN`] bytes, and then the missing part of a TOC that begins before them.
///
/// ```
/// use bytes::Bytes;
/// use image_model::{Limits, StepMachine};
/// use lazyoci_estargz_toc::open::{OpenError, OpenedToc, Opener};
///
/// fn open(blob: &Bytes) -> Result<OpenedToc, OpenError> {
///     let opener = Opener::new(blob.len() as u64, &Limits::default());
///     opener.drive(|need| Ok(blob.slice(need.range.start as usize..need.range.end as usize)))
/// }
/// let error = open(&Bytes::from_static(b"short"));
/// assert!(matches!(error, Err(OpenError::TooShort { blob_len: 5 })));
/// ```
#[derive(Debug, Clone)]
pub struct Opener {
    blob_len: u64,
    limits: Limits,
    /// The last request.
    asked: Range<u64>,
    /// Once the footer is known.
    toc: Option<PartOfToc>,
}

/// A TOC member whose first bytes are missing.
#[derive(Debug, Clone)]
struct PartOfToc {
    /// Where it begins.
    offset: u64,
    /// Its last bytes.
    end: Bytes,
}

impl Opener {
    /// Starts on a blob of `blob_len` bytes.
    #[must_use]
    pub fn new(blob_len: u64, limits: &Limits) -> Self {
        Self {
            blob_len,
            limits: limits.clone(),
            asked: 0..0,
            toc: None,
        }
    }

    fn need(&mut self, range: Range<u64>) -> Step<OpenedToc> {
        self.asked = range.clone();
        Step::Need(Need::opened(range))
    }

    fn footer_offset(&self) -> Result<u64, OpenError> {
        let blob_len = self.blob_len;
        blob_len
            .checked_sub(u64_from(FOOTER_LEN))
            .ok_or(OpenError::TooShort { blob_len })
    }

    /// Finds the TOC by the footer at the end of `tail`, and in `tail` itself if that contains all of it.
    fn find(&mut self, tail: &Bytes) -> Result<Step<OpenedToc>, OpenError> {
        let footer_offset = self.footer_offset()?;
        let (_, footer) = tail.split_last_chunk().ok_or(OpenError::TooShort {
            blob_len: self.blob_len,
        })?;
        let offset = footer::decode(footer, footer_offset)?;
        check_len(footer_offset.saturating_sub(offset), &self.limits)?;
        let before = tail.slice(..tail.len().saturating_sub(FOOTER_LEN));
        match offset.checked_sub(self.asked.start) {
            Some(start) => self.done(&before[usize_up_to(start)..], offset),
            None => {
                let end = before;
                self.toc = Some(PartOfToc { offset, end });
                Ok(self.need(offset..self.asked.start))
            }
        }
    }

    fn done(&self, member: &[u8], toc_offset: u64) -> Result<Step<OpenedToc>, OpenError> {
        let json = toc_of(member, toc_offset, &self.limits)?;
        Ok(Step::Done(OpenedToc {
            digest: verify::sha256(&json),
            json,
            toc_offset,
            blob_len: self.blob_len,
        }))
    }
}

impl StepMachine for Opener {
    type Found = OpenedToc;
    type Error = OpenError;

    /// # Errors
    /// [`OpenError::TooShort`].
    fn start(&mut self) -> Result<Step<OpenedToc>, OpenError> {
        self.toc = None;
        self.footer_offset()?;
        // With a lower limit a TOC of 64 KiB is refused anyway.
        let len = TAIL_LEN.min(self.limits.toc_len().max(u64_from(FOOTER_LEN)));
        Ok(self.need(self.blob_len.saturating_sub(len)..self.blob_len))
    }

    /// # Errors
    /// [`OpenError`] if the bytes are invalid.
    fn supply(&mut self, bytes: Bytes) -> Result<Step<OpenedToc>, OpenError> {
        let asked = self.asked.end.saturating_sub(self.asked.start);
        let found = u64_from(bytes.len());
        if asked != found {
            return Err(OpenError::Supplied { asked, found });
        }
        match &self.toc {
            None => self.find(&bytes),
            Some(toc) => self.done(&[bytes, toc.end.clone()].concat(), toc.offset),
        }
    }
}

fn check_len(len: u64, limits: &Limits) -> Result<(), OpenError> {
    let limit = limits.toc_len();
    if len > limit {
        return Err(OpenError::TooLong { len, limit });
    }
    Ok(())
}

/// The document in a TOC member.
fn toc_of(member: &[u8], toc_offset: u64, limits: &Limits) -> Result<Vec<u8>, OpenError> {
    let tar_error = |source| OpenError::Tar { toc_offset, source };
    let limits = limits
        .clone()
        .max_layer_len(limits.toc_len().saturating_add(MAX_AROUND));
    let layer = LayerStream::open(member, &StreamOptions::from(&limits))
        .map_err(|source| tar_error(TarError::Layer { offset: 0, source }))?;
    if layer.compression() != Some(Compression::Gzip) {
        return Err(OpenError::NotGzip { toc_offset });
    }
    let options = TarReadOptions::default().limits(limits.clone());
    let mut tar = TarReader::new(layer, options);
    let entry = tar.next_entry().map_err(tar_error)?;
    let plain = |e: &Entry| e.kind == EntryKind::File && e.size == e.payload_len;
    let Some(entry) = entry.filter(|e| plain(e) && e.path == TOC_NAME.as_bytes()) else {
        return Err(OpenError::NotToc { toc_offset });
    };
    check_len(entry.payload_len, &limits)?;
    let mut json = Vec::new();
    // Grows with what is there, not with what is declared.
    let mut piece = [0; 1 << 14];
    loop {
        match tar.read_payload(&mut piece).map_err(tar_error)? {
            0 => break,
            read => json.extend_from_slice(&piece[..read]),
        }
    }
    if tar.next_entry().map_err(tar_error)?.is_some() {
        return Err(OpenError::Trailing { toc_offset });
    }
    let mut trailer = tar.trailer().expect("there is no further entry");
    let offset = trailer.offset();
    loop {
        match trailer.read(&mut piece) {
            Ok(0) => return Ok(json),
            Ok(read) if piece[..read].iter().all(|&b| b == 0) => {}
            Ok(_) => return Err(OpenError::Trailing { toc_offset }),
            Err(error) => {
                let error = error.downcast();
                return Err(tar_error(
                    error.unwrap_or_else(|source| TarError::Io { offset, source }),
                ));
            }
        }
    }
}
