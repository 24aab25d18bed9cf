//! Finding the TOC of a blob, without doing I/O.

mod error;
mod member;
mod piece;

use std::ops::Range;

use bytes::Bytes;
use image_model::width::{u64_from, usize_up_to};
use image_model::{BlobId, Digest, Limits, StoredPiece};
pub use image_model::{Need, Object, Step, StepMachine};
use verify::CheckError;

use crate::error::TocError;
use crate::footer::{self, Footer, FooterKind};
use crate::image::{EstargzImage, ImageOptions, TocBlob, TocKind, decode_digested};
pub use error::OpenError;
use member::{check_len, toc_of};
pub use piece::decompress_tar_split;

/// Number of bytes first requested from the end of a blob: the footer, and a TOC of 64 KiB (compressed) before it.
pub const TAIL_LEN: u64 = u64_from((64 << 10) + footer::MAX_LEN);

/// What a manifest says of a zstd:chunked layer, in the annotations of its descriptor.
///
/// ```
/// use image_model::StoredPiece;
/// use lazyoci_estargz_toc::image::TocKind;
/// use lazyoci_estargz_toc::open::Described;
/// # let checksum = image_model::Digest::new(image_model::DigestAlgorithm::Sha256, [7; 32]);
/// let described = Described::new(TocKind::Containers, StoredPiece::new(364, 539, 1298), checksum)
///     .tar_split(StoredPiece::new(911, 483, 11_564));
/// assert_eq!(described.toc.end(), Some(903));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Described {
    /// [`ZstdChunked`](TocKind::ZstdChunked) or [`Containers`](TocKind::Containers).
    pub kind: TocKind,
    /// Where the TOC is.
    pub toc: StoredPiece,
    /// SHA-256 of the compressed TOC.
    pub checksum: Digest,
    /// Where the tar-split is, if there is one.
    pub tar_split: Option<StoredPiece>,
}

impl Described {
    /// A layer without a tar-split.
    #[must_use]
    pub const fn new(kind: TocKind, toc: StoredPiece, checksum: Digest) -> Self {
        Self {
            kind,
            toc,
            checksum,
            tar_split: None,
        }
    }

    image_model::setters! {
        kind: TocKind,
        toc: StoredPiece,
        checksum: Digest,
        tar_split: impl Into<Option<StoredPiece>> = tar_split.into(),
    }
}

/// The TOC of a blob, as bytes. It is unverified until [`check`](Self::check) succeeds, unless a checksum was
/// [described](Described).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenedToc {
    /// What the blob is.
    pub kind: TocKind,
    /// The JSON document.
    pub json: Vec<u8>,
    /// SHA-256 of all its bytes: the TOC digest.
    pub digest: Digest,
    /// Where the content ends, bytes from the start of the blob: the TOC's member, or the header of its frame, or the
    /// footer if the TOC is another blob.
    pub toc_offset: u64,
    /// Length of the blob in bytes.
    pub blob_len: u64,
    /// Where the metadata of a zstd:chunked blob is.
    pub pieces: Option<footer::containers::Pieces>,
    /// SHA-256 of the compressed TOC of a zstd:chunked blob.
    pub checksum: Option<Digest>,
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
            kind: self.kind,
            id,
            len: self.blob_len,
            content_len: self.toc_offset,
        };
        decode_digested((&self.json, self.digest), blob, options)
    }
}

/// Finds the TOC of a blob of known length. It requests ranges of the opened file, and the caller supplies the bytes.
/// It first requests the last [`TAIL_LEN`] bytes, and then the missing part of a TOC that begins before them; the bytes
/// of the TOC alone if its place was [described](Self::described), the footer alone if the TOC is [another
/// blob](Self::external).
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
    told: Told,
    /// The last request.
    asked: Range<u64>,
    /// Once the footer is known.
    toc: Option<PartOfToc>,
}

/// What the caller knows.
#[derive(Debug, Clone)]
enum Told {
    Nothing,
    Described(Described),
    External(Bytes),
}

/// A TOC whose first bytes are missing.
#[derive(Debug, Clone)]
struct PartOfToc {
    found: Found,
    /// Its last bytes.
    end: Bytes,
}

/// What the footer says.
#[derive(Debug, Clone, Copy)]
enum Found {
    /// A gzip member.
    Member { kind: TocKind, offset: u64 },
    /// A piece of zstd.
    Piece {
        /// `None` if the JSON tells.
        kind: Option<TocKind>,
        pieces: footer::containers::Pieces,
    },
}

impl Opener {
    /// Starts on a blob of `blob_len` bytes.
    #[must_use]
    pub fn new(blob_len: u64, limits: &Limits) -> Self {
        Self {
            blob_len,
            limits: limits.clone(),
            told: Told::Nothing,
            asked: 0..0,
            toc: None,
        }
    }

    /// Takes the place of the TOC from a manifest. The footer is not read.
    #[must_use]
    pub fn described(self, described: Described) -> Self {
        let told = Told::Described(described);
        Self { told, ..self }
    }

    /// Takes the TOC from `toc`, a blob of its own that holds the gzip member with the TOC and nothing else.
    #[must_use]
    pub fn external(self, toc: Bytes) -> Self {
        let told = Told::External(toc);
        Self { told, ..self }
    }

    fn need(&mut self, range: Range<u64>) -> Step<OpenedToc> {
        self.asked = range.clone();
        Step::Need(Need::opened(range))
    }

    /// Finds the TOC by the footer at the end of `tail`, and in `tail` itself if that contains all of it.
    fn find(&mut self, tail: &Bytes) -> Result<Step<OpenedToc>, OpenError> {
        let footer = footer::find(tail, self.blob_len)?;
        let footer_offset = self.blob_len.saturating_sub(u64_from(footer.len()));
        if let Told::External(toc) = &self.told {
            let found = footer.kind();
            return match found {
                FooterKind::External => self.external_toc(toc, footer_offset),
                _ => Err(OpenError::NotExternal { found }),
            };
        }
        let member = |kind, offset| (Found::Member { kind, offset }, offset..footer_offset);
        let piece = |kind, pieces: footer::containers::Pieces| {
            let toc = pieces.toc;
            let range = toc.offset..toc.end().unwrap_or(footer_offset);
            (Found::Piece { kind, pieces }, range)
        };
        let (found, range) = match footer {
            Footer::External => return Err(OpenError::External),
            Footer::Estargz { toc_offset } => member(TocKind::Estargz, toc_offset),
            Footer::Legacy { toc_offset } => member(TocKind::Legacy, toc_offset),
            Footer::ZstdChunked { toc } => piece(None, footer::containers::Pieces::new(toc)),
            Footer::Containers(pieces) => piece(Some(TocKind::Containers), pieces),
        };
        match found {
            Found::Member { .. } => {
                check_len(range.end.saturating_sub(range.start), &self.limits)?;
            }
            Found::Piece { pieces, .. } => {
                piece::check_place("the TOC", pieces.toc, self.blob_len, &self.limits)?;
            }
        }
        // Positions in the tail.
        let at = |position: u64| usize_up_to(position.saturating_sub(self.asked.start));
        let end = tail.slice(at(range.start)..at(range.end));
        match range.start < self.asked.start {
            false => self.done(found, &end),
            true => {
                self.toc = Some(PartOfToc { found, end });
                Ok(self.need(range.start..range.end.min(self.asked.start)))
            }
        }
    }

    fn done(&self, found: Found, stored: &[u8]) -> Result<Step<OpenedToc>, OpenError> {
        let limits = &self.limits;
        let opened = |kind, json: Vec<u8>, toc_offset, pieces| {
            Step::Done(OpenedToc {
                kind,
                digest: verify::sha256(&json),
                json,
                toc_offset,
                blob_len: self.blob_len,
                pieces,
                checksum: pieces.map(|_| verify::sha256(stored)),
            })
        };
        match found {
            Found::Member { kind, offset } => {
                let json = toc_of(stored, offset, limits)?;
                Ok(opened(kind, json, offset, None))
            }
            Found::Piece { kind, pieces } => {
                let json = piece::decompress("the TOC", pieces.toc, stored)?;
                let kind = kind.unwrap_or_else(|| kind_of(&json));
                let header = u64_from(footer::skippable::HEADER_LEN);
                let end = pieces.toc.offset.saturating_sub(header);
                Ok(opened(kind, json, end, Some(pieces)))
            }
        }
    }

    fn external_toc(&self, toc: &[u8], content_len: u64) -> Result<Step<OpenedToc>, OpenError> {
        check_len(u64_from(toc.len()), &self.limits)?;
        let json = toc_of(toc, 0, &self.limits)?;
        Ok(Step::Done(OpenedToc {
            kind: TocKind::External,
            digest: verify::sha256(&json),
            json,
            toc_offset: content_len,
            blob_len: self.blob_len,
            pieces: None,
            checksum: None,
        }))
    }
}

/// Whose TOC is in a blob with the footer that stargz-snapshotter writes, and containers/storage wrote before 1.50: only
/// the former indents.
fn kind_of(json: &[u8]) -> TocKind {
    match json {
        [b'{', b'\n', ..] => TocKind::ZstdChunked,
        _ => TocKind::Containers,
    }
}

impl StepMachine for Opener {
    type Found = OpenedToc;
    type Error = OpenError;

    /// # Errors
    /// [`OpenError::TooShort`]; [`OpenError::Outside`] or [`OpenError::TooLong`] for what was described.
    fn start(&mut self) -> Result<Step<OpenedToc>, OpenError> {
        self.toc = None;
        let blob_len = self.blob_len;
        let len = match self.told {
            Told::Described(Described { toc, tar_split, .. }) => {
                piece::check_place("the TOC", toc, blob_len, &self.limits)?;
                if let Some(piece) = tar_split {
                    piece::check_place("the tar-split", piece, blob_len, &self.limits)?;
                }
                return Ok(self.need(toc.offset..toc.end().unwrap_or(blob_len)));
            }
            Told::External(_) => u64_from(footer::MAX_LEN),
            // With a lower limit a TOC of 64 KiB is refused anyway.
            Told::Nothing => TAIL_LEN.min(self.limits.toc_len().max(u64_from(footer::MAX_LEN))),
        };
        if blob_len < u64_from(footer::MIN_LEN) {
            return Err(OpenError::TooShort { blob_len });
        }
        Ok(self.need(blob_len.saturating_sub(len)..blob_len))
    }

    /// # Errors
    /// [`OpenError`] if the bytes are invalid.
    fn supply(&mut self, bytes: Bytes) -> Result<Step<OpenedToc>, OpenError> {
        let asked = self.asked.end.saturating_sub(self.asked.start);
        let found = u64_from(bytes.len());
        if asked != found {
            return Err(OpenError::Supplied { asked, found });
        }
        if let Told::Described(described) = self.told {
            piece::check_sum("the TOC", &described.checksum, &bytes)?;
            let pieces = footer::containers::Pieces::new(described.toc);
            let pieces = pieces.tar_split(described.tar_split);
            let kind = Some(described.kind);
            return self.done(Found::Piece { kind, pieces }, &bytes);
        }
        match &self.toc {
            None => self.find(&bytes),
            Some(toc) => self.done(toc.found, &[bytes, toc.end.clone()].concat()),
        }
    }
}
