//! Finding all sections of a blob, from the blob alone.

use std::ops::Range;

use bytes::Bytes;
use image_model::width::u64_from;
use image_model::{BlobId, Need, Step, StepMachine, XtsKey};

use super::chunk_info::{MAX_ADDRESS, MAX_CHUNK_LEN, MAX_CHUNKS};
use super::encrypted::decrypted;
use super::error::{BlobError, TarHeaderFault, check_given};
use super::header::CiHeader;
use super::layout::Section;
use super::tar_header::TarHeader;
use super::toc::Toc;
use crate::error::At;
use crate::flags::{BlobFeatures, Cipher, Compressor, Digester};
use crate::v6::BlobEntry;

/// Where the sections of a blob lie, by its own tar headers or, without any, by the header of its
/// chunk information. Every byte of the blob is in one of them or in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sections {
    /// Length of the blob in bytes.
    pub len: u64,
    /// The chunks; empty if the blob holds a bootstrap alone.
    pub data: Range<u64>,
    /// Length of the layer that has the chunks, if that is another object and the blob tells.
    pub elsewhere: Option<u64>,
    /// The chunk information, without the header after it; `None` if there is no chunk.
    pub chunk_info: Option<Range<u64>>,
    /// The digests of the chunks.
    pub digests: Option<Range<u64>>,
    /// The inlined bootstrap, as stored: compressed if there is a TOC.
    pub bootstrap: Option<Range<u64>>,
    /// The TOC.
    pub toc: Option<Toc>,
    /// Whether tar headers name the sections.
    pub has_headers: bool,
}

/// Finds the [`Sections`] of a blob of known length: it walks from tar header to tar header, from the end to the start.
///
/// Strict: a section in a place where it does not belong is refused, and so is a byte of a tar header
/// that is not what nydus-image writes. It asks for ranges and is given bytes; all but one or two of
/// them lie in the last few kilobytes.
///
/// ```
/// use bytes::Bytes;
/// use lazyoci_rafs_format::blob::{BlobError, LocateSections, StepMachine as _};
/// let blob = Bytes::from(vec![0; 5000]);
/// let found = LocateSections::new(5000).drive(|need| {
///     Ok::<_, BlobError>(blob.slice(need.range.start as usize..need.range.end as usize))
/// });
/// assert!(found.is_err());
/// ```
#[derive(Debug, Clone)]
pub struct LocateSections {
    found: Sections,
    /// First byte that is known to belong to a section.
    end: u64,
    /// The section that was found last.
    last: Option<Section>,
    asked: Range<u64>,
    piece: Piece,
    key: Option<XtsKey>,
}

/// What was requested.
#[derive(Debug, Clone, Copy)]
enum Piece {
    TarHeader,
    CiHeader,
    Toc,
}

/// The sections that a tar header can name, from the end of the blob.
const ORDER: [Section; 5] = [
    Section::Toc,
    Section::Bootstrap,
    Section::ChunkDigests,
    Section::ChunkInfo,
    Section::Data,
];

const TAR_HEADER: u64 = u64_from(TarHeader::LEN);
const CI_HEADER: u64 = u64_from(CiHeader::LEN);

impl LocateSections {
    /// Starts on a blob of `blob_len` bytes.
    #[must_use]
    pub fn new(blob_len: u64) -> Self {
        Self {
            found: Sections {
                data: 0..0,
                ..Sections::bare(blob_len)
            },
            end: blob_len,
            last: None,
            asked: 0..0,
            piece: Piece::TarHeader,
            key: None,
        }
    }

    /// The same of a blob that is encrypted with `key`, if there is one.
    #[must_use]
    pub fn encrypted(self, key: Option<XtsKey>) -> Self {
        Self { key, ..self }
    }

    fn tar_header(&mut self, bytes: &[u8]) -> Result<Step<Sections>, BlobError> {
        let offset = self.asked.start;
        let raw = bytes.first_chunk().expect("as many were asked for");
        let header = match TarHeader::from_bytes(raw, offset) {
            Err(BlobError::TarHeader {
                fault: TarHeaderFault::Magic,
                ..
            }) if self.last.is_none() => {
                return self.need(
                    Piece::CiHeader,
                    "header of the chunk information",
                    CI_HEADER,
                );
            }
            header => header?,
        };
        if header.to_bytes() != *raw {
            let fault = TarHeaderFault::Reserved;
            return Err(BlobError::TarHeader { offset, fault });
        }
        let section = ORDER.into_iter().find(|&section| header.names(section));
        let section = section.ok_or(BlobError::UnknownSection { offset })?;
        let rank = |section| ORDER.iter().position(|&other| other == section);
        let len = header.section_len();
        if section == Section::Data && offset == 0 && len > 0 && self.last.is_some() {
            // That of a layer, which is another object.
            (self.last, self.found.elsewhere) = (Some(section), Some(len));
            return self.next(0);
        }
        let start = offset.checked_sub(len).ok_or(BlobError::OutOfBounds {
            piece: section.name(),
            offset: 0,
            len,
            blob_len: offset,
        })?;
        if self.last.is_some_and(|last| rank(section) <= rank(last)) {
            let offset = start;
            return Err(BlobError::SectionOrder { section, offset });
        }
        self.last = Some(section);
        self.found.has_headers = true;
        let range = start..offset;
        match section {
            Section::Toc if len.saturating_add(TAR_HEADER) > Toc::MAX_LEN => {
                return Err(BlobError::Limit {
                    piece: "bytes of a TOC",
                    declared: len.saturating_add(TAR_HEADER),
                    limit: Toc::MAX_LEN,
                });
            }
            Section::Toc => return self.need(Piece::Toc, "TOC", len.saturating_add(TAR_HEADER)),
            Section::Bootstrap => self.found.bootstrap = Some(range),
            Section::ChunkDigests => self.found.digests = Some(range),
            Section::Data => self.found.data = range,
            Section::ChunkInfo | Section::ChunkInfoHeader => {
                let end = offset.checked_sub(CI_HEADER).filter(|&end| end >= start);
                let end = end.ok_or(BlobError::OutOfBounds {
                    piece: "header of the chunk information",
                    offset: start,
                    len: CI_HEADER,
                    blob_len: offset,
                })?;
                self.found.chunk_info = Some(start..end);
            }
        }
        self.next(start)
    }

    /// The blob of a separate bootstrap, without tar headers.
    fn ci_header(&mut self, bytes: &Bytes) -> Result<Step<Sections>, BlobError> {
        let bytes = decrypted(self.key.as_ref(), "header of the chunk information", bytes)?;
        let raw = bytes.first_chunk().expect("as many were asked for");
        let header = CiHeader::from_bytes(raw)?;
        let end = self.asked.start;
        let start = header.offset.min(end);
        self.found.chunk_info = Some(start..end);
        self.found.check_header(&header)?;
        self.found.data = 0..start;
        Ok(Step::Done(self.found.clone()))
    }

    /// Continues before `end`.
    fn next(&mut self, end: u64) -> Result<Step<Sections>, BlobError> {
        self.end = end;
        if end == 0 {
            return Ok(Step::Done(self.found.clone()));
        }
        if self.last == Some(Section::Data) || end < TAR_HEADER {
            return Err(BlobError::Stray { len: end });
        }
        self.need(Piece::TarHeader, "tar header", TAR_HEADER)
    }

    fn need(
        &mut self,
        piece: Piece,
        name: &'static str,
        len: u64,
    ) -> Result<Step<Sections>, BlobError> {
        let start = self.end.checked_sub(len).ok_or(BlobError::OutOfBounds {
            piece: name,
            offset: 0,
            len,
            blob_len: self.end,
        })?;
        self.piece = piece;
        self.asked = start..self.end;
        Ok(Step::Need(Need::opened(self.asked.clone())))
    }
}

/// # Errors
/// [`BlobError::Given`] if other bytes were supplied than requested; [`BlobError::TarHeader`],
/// [`BlobError::UnknownSection`], [`BlobError::SectionOrder`], [`BlobError::Stray`],
/// [`BlobError::OutOfBounds`], [`BlobError::HeaderMagic`], [`BlobError::Flags`],
/// [`BlobError::CiRange`], [`BlobError::TocLen`], [`BlobError::TocFlags`] if the blob is damaged or too
/// short for any section.
impl StepMachine for LocateSections {
    type Found = Sections;
    type Error = BlobError;

    fn start(&mut self) -> Result<Step<Sections>, BlobError> {
        *self = Self::new(self.found.len).encrypted(self.key);
        self.need(Piece::TarHeader, "tar header", TAR_HEADER)
    }

    fn supply(&mut self, bytes: Bytes) -> Result<Step<Sections>, BlobError> {
        let expected = self.asked.end.saturating_sub(self.asked.start);
        check_given("piece of the blob", expected, &bytes)?;
        match self.piece {
            Piece::TarHeader => self.tar_header(&bytes),
            Piece::CiHeader => self.ci_header(&bytes),
            Piece::Toc => {
                self.found.toc = Some(Toc::from_bytes(&bytes, self.asked.start)?);
                self.next(self.asked.start)
            }
        }
    }
}

impl Sections {
    /// Those of a blob of `len` bytes that holds chunks and nothing else, as in an image of version 5.
    #[must_use]
    pub fn bare(len: u64) -> Self {
        Self {
            len,
            data: 0..len,
            elsewhere: None,
            chunk_info: None,
            digests: None,
            bootstrap: None,
            toc: None,
            has_headers: false,
        }
    }

    /// Where the header of the chunk information is.
    #[must_use]
    pub fn chunk_info_header(&self) -> Option<Range<u64>> {
        let chunk_info = self.chunk_info.as_ref()?;
        Some(chunk_info.end..chunk_info.end.saturating_add(CI_HEADER))
    }

    /// Where a section is stored; `None` if there is no such section, or for the TOC, which no TOC
    /// lists.
    #[must_use]
    pub fn range(&self, section: Section) -> Option<Range<u64>> {
        match section {
            Section::Data => self.chunk_info.as_ref().map(|_| self.data.clone()),
            Section::ChunkInfo => self.chunk_info.clone(),
            Section::ChunkInfoHeader => self.chunk_info_header(),
            Section::ChunkDigests => self.digests.clone(),
            Section::Bootstrap => self.bootstrap.clone(),
            Section::Toc => None,
        }
    }

    /// The bytes of the blob that the TOC's digest of [`Section::Data`] covers: the section and the tar
    /// header after it.
    #[must_use]
    pub fn digested_data(&self) -> Range<u64> {
        match self.has_headers {
            true => self.data.start..self.data.end.saturating_add(TAR_HEADER),
            false => self.data.clone(),
        }
    }

    /// Compares the header of the chunk information with where that lies.
    ///
    /// # Errors
    /// [`BlobError::CiRange`].
    pub fn check_header(&self, header: &CiHeader) -> Result<(), BlobError> {
        let range = self.chunk_info.clone().unwrap_or_default();
        let len = range.end.saturating_sub(range.start);
        if (header.offset, header.stored_len) != (range.start, len) {
            return Err(BlobError::CiRange {
                offset: range.start,
                len,
                found: header.offset,
                found_len: header.stored_len,
            });
        }
        Ok(())
    }

    /// What a bootstrap would say about the blob called `id`, as far as the blob tells: `header` is
    /// that of its chunk information. How chunks are compressed and digested it does not tell;
    /// [`Compressor::None`] and [`Digester::Sha256`] stand for that.
    ///
    /// # Errors
    /// [`BlobError::CiRange`], [`BlobError::Flags`] if the header is damaged,
    /// [`BlobError::ChunkCount`], [`BlobError::Entry`] if no blob table can say that.
    pub fn entry(&self, id: BlobId, header: &CiHeader) -> Result<BlobEntry, BlobError> {
        self.check_header(header)?;
        let count = header.entries;
        if count > MAX_CHUNKS {
            return Err(BlobError::ChunkCount { count });
        }
        let mut features = BlobFeatures::from_raw(header.features)?
            .without(BlobFeatures::HAS_TAR_HEADER)
            | BlobFeatures::CAP_TAR_TOC;
        if self.has_headers {
            features = features | BlobFeatures::HAS_TAR_HEADER;
        }
        let toc = self.toc.as_ref();
        let data = toc.and_then(|toc| toc.entry(Section::Data).ok());
        let entry = BlobEntry {
            id,
            chunk_size: MAX_CHUNK_LEN,
            chunk_count: count,
            compressor: Compressor::None,
            digester: Digester::Sha256,
            features,
            compressed_size: self.len,
            uncompressed_size: data.map_or(MAX_ADDRESS, |data| data.len),
            // A TOC of more than `Toc::MAX_LEN` was refused.
            toc_size: toc.map_or(0, |toc| u32::try_from(toc.stored_len()).unwrap_or(u32::MAX)),
            toc_digest: toc.map_or([0; 32], |toc| *toc.digest().as_bytes()),
            ci_compressor: header.compressor,
            ci_offset: header.offset,
            ci_compressed_size: header.stored_len,
            ci_uncompressed_size: header.len,
            meta_digest: [0; 32],
            meta_size: 0,
            cipher_iv: 0,
            cipher: Cipher::None,
        };
        let offset = self.chunk_info_header().unwrap_or_default().start;
        entry.check(At::new("header of the chunk information", offset))?;
        Ok(entry)
    }
}
