//! The table of contents that ends a blob.

use std::ops::Range;

use bytes::Bytes;
use frame_codec::Decoder;
use image_model::width::u64_from;
use image_model::{Digest, DigestAlgorithm, Limits};
#[cfg(feature = "sha256")]
use zerocopy::FromZeros;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::error::{BlobError, check_given};
use super::layout::Section;
use super::section::Stored;
use super::tar_header::TarHeader;
use crate::flags::Compressor;
use crate::view;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawTocEntry {
    flags: U32,
    reserved1: U32,
    name: [u8; 16],
    uncompressed_digest: [u8; 32],
    compressed_offset: U64,
    compressed_size: U64,
    uncompressed_size: U64,
    reserved2: [u8; 48],
}

const _: () = assert!(size_of::<RawTocEntry>() == TocEntry::LEN);
const _: () = assert!(std::mem::offset_of!(RawTocEntry, compressed_offset) == 56);

const NONE: u32 = 1;
const ZSTD: u32 = 2;
const LZ4_BLOCK: u32 = 4;

/// An entry of the TOC, 128 bytes: one section of the blob.
///
/// | offset | size | field | unit and rule |
/// |---|---|---|---|
/// | 0 | 4 | flags | compressor: 1 none, 2 zstd, 4 lz4_block; exactly one |
/// | 4 | 4 | reserved1 | 0, not read |
/// | 8 | 16 | name | padded with NUL |
/// | 24 | 32 | uncompressed_digest | SHA-256 of the plain section |
/// | 56 | 8 | compressed_offset | byte in the blob |
/// | 64 | 8 | compressed_size | bytes stored |
/// | 72 | 8 | uncompressed_size | bytes |
/// | 80 | 48 | reserved2 | 0, not read |
///
/// The entry of [`Section::Data`] is special: its plain length is that of the blob's uncompressed
/// address space, and its digest covers the *stored* section and the tar header after it. In zran mode
/// the data is the gzip layer, another object: nydus-image writes its length below zero as the offset.
///
/// Source: nydus v2, `storage/src/meta/toc.rs` (`TocEntry`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TocEntry {
    /// Padded with NUL.
    pub(super) name: [u8; 16],
    /// How the section is compressed.
    pub compressor: Compressor,
    /// SHA-256 of the plain bytes.
    pub digest: Digest,
    /// First stored byte, from the start of the blob.
    pub offset: u64,
    /// Stored bytes.
    pub stored_len: u64,
    /// Plain bytes.
    pub len: u64,
}

impl TocEntry {
    /// Size of an entry in bytes.
    pub const LEN: usize = 128;

    /// An entry for `section`, which is stored at `stored`, not compressed.
    #[cfg(feature = "sha256")]
    pub(super) fn new(section: Section, digest: Digest, stored: Range<u64>) -> Self {
        let mut name = [0; 16];
        name[..section.name().len()].copy_from_slice(section.name().as_bytes());
        let len = stored.end.saturating_sub(stored.start);
        Self {
            name,
            compressor: Compressor::None,
            digest,
            offset: stored.start,
            stored_len: len,
            len,
        }
    }

    /// The name, without padding.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        view::text(&self.name)
    }

    /// Whether it is the data of a layer, which is another object.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        let is_data = self.name() == Section::Data.name().as_bytes();
        is_data && self.stored_len > 0 && self.offset == 0u64.wrapping_sub(self.stored_len)
    }

    /// Where the section is stored in the blob; nowhere if it is [elsewhere](Self::is_elsewhere).
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        if self.is_elsewhere() {
            return 0..0;
        }
        self.offset..self.offset.saturating_add(self.stored_len)
    }

    /// The plain bytes of the section out of the `stored` ones, which [`range`](Self::range) says
    /// where to find; decompressed, and checked by length and digest.
    ///
    /// # Errors
    /// [`BlobError::Given`] if `stored` has another length than the section,
    /// [`BlobError::Limit`], [`BlobError::Decompress`], [`BlobError::Digest`]. [`Section::Data`]
    /// always fails: it is not a unit of compression, and its digest covers other bytes.
    pub fn extract(
        &self,
        stored: &Bytes,
        decoder: &mut Decoder,
        limits: &Limits,
    ) -> Result<Bytes, BlobError> {
        check_given("section", self.stored_len, stored)?;
        let name = String::from_utf8_lossy(self.name());
        let section = Stored {
            name: &name,
            compressor: self.compressor,
            len: self.len,
        };
        let plain = section.decode(stored, decoder, limits)?;
        verify::check(&self.digest, &plain).map_err(|source| BlobError::Digest {
            section: name.into(),
            source,
        })?;
        Ok(plain)
    }

    fn from_raw(raw: &RawTocEntry, index: usize, blob_len: u64) -> Result<Self, BlobError> {
        let compressor = match raw.flags.get() {
            NONE => Compressor::None,
            ZSTD => Compressor::Zstd,
            LZ4_BLOCK => Compressor::Lz4Block,
            flags => return Err(BlobError::TocFlags { index, flags }),
        };
        let (offset, len) = (raw.compressed_offset.get(), raw.compressed_size.get());
        let is_data = view::text(&raw.name) == Section::Data.name().as_bytes();
        let elsewhere = is_data && len > 0 && offset == 0u64.wrapping_sub(len);
        if !elsewhere && offset.checked_add(len).is_none_or(|end| end > blob_len) {
            let piece = "section";
            return Err(BlobError::OutOfBounds {
                piece,
                offset,
                len,
                blob_len,
            });
        }
        Ok(Self {
            name: raw.name,
            compressor,
            digest: Digest::new(DigestAlgorithm::Sha256, raw.uncompressed_digest),
            offset,
            stored_len: len,
            len: raw.uncompressed_size.get(),
        })
    }

    #[cfg(feature = "sha256")]
    fn to_bytes(self) -> [u8; Self::LEN] {
        let mut raw = RawTocEntry::new_zeroed();
        raw.flags = match self.compressor {
            Compressor::Zstd => ZSTD,
            Compressor::Lz4Block => LZ4_BLOCK,
            // The only writer of entries is the blob builder, which refuses gzip.
            Compressor::None | Compressor::Gzip => NONE,
        }
        .into();
        raw.name = self.name;
        raw.uncompressed_digest = *self.digest.as_bytes();
        raw.compressed_offset = self.offset.into();
        raw.compressed_size = self.stored_len.into();
        raw.uncompressed_size = self.len.into();
        zerocopy::transmute!(raw)
    }
}

/// The TOC: what sections a blob has, where, and what their digests are. Its entries are the last
/// section but for the [`TarHeader`] that names it; there is none for the TOC itself.
///
/// [`LocateTrailer`](super::LocateTrailer) finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toc {
    entries: Vec<TocEntry>,
    digest: Digest,
}

impl Toc {
    /// Maximum number of bytes of a TOC and its tar header.
    pub const MAX_LEN: u64 = 65536;

    /// The entries in their order.
    #[must_use]
    pub fn entries(&self) -> &[TocEntry] {
        &self.entries
    }

    /// The first entry for `section`.
    ///
    /// # Errors
    /// [`BlobError::NoSection`].
    pub fn entry(&self, section: Section) -> Result<&TocEntry, BlobError> {
        self.entries
            .iter()
            .find(|entry| entry.name() == section.name().as_bytes())
            .ok_or(BlobError::NoSection { section })
    }

    /// SHA-256 of the entries and the tar header after them: what the blob table holds.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Length of the entries and the tar header after them in bytes.
    #[must_use]
    pub fn stored_len(&self) -> u64 {
        let header_len = u64_from(TarHeader::LEN);
        view::element_offset(0, self.entries.len(), TocEntry::LEN).saturating_add(header_len)
    }

    /// A TOC of `entries`, with its bytes: entries and tar header.
    #[cfg(feature = "sha256")]
    pub(super) fn build(entries: Vec<TocEntry>) -> (Self, Vec<u8>) {
        let mut bytes: Vec<u8> = entries.iter().flat_map(|entry| entry.to_bytes()).collect();
        let header = TarHeader::new(Section::Toc, u64_from(bytes.len()));
        bytes.extend(header.to_bytes());
        let digest = verify::sha256(&bytes);
        (Self { entries, digest }, bytes)
    }

    /// Reads the TOC out of `bytes`, entries and tar header, the latter of which has been read
    /// already. They lie at `offset`, after all sections.
    pub(super) fn from_bytes(bytes: &[u8], offset: u64) -> Result<Self, BlobError> {
        let (entries, _) = bytes
            .split_last_chunk::<{ TarHeader::LEN }>()
            .expect("the tar header was read");
        let raw = <[RawTocEntry]>::ref_from_bytes(entries).map_err(|_| BlobError::TocLen {
            len: u64_from(entries.len()),
        })?;
        let entries = raw
            .iter()
            .enumerate()
            .map(|(index, raw)| TocEntry::from_raw(raw, index, offset))
            .collect::<Result<_, _>>()?;
        let digest = verify::digest(DigestAlgorithm::Sha256, bytes);
        let digest = digest.map_err(|error| BlobError::Digest {
            section: Section::Toc.name().into(),
            source: error.into(),
        })?;
        Ok(Self { entries, digest })
    }
}
