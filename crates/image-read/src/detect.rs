//! Detecting the format of a file by its content.

use std::fmt;

use blob_io::{ReadAt, ReadError};
use estargz_toc::footer;
use estargz_toc::image::TocKind;
use rafs_format::blob::{CiHeader, Section, TarHeader};
use rafs_format::v7::Footer;
use rafs_format::{Bootstrap, Version};
use tar_stream::Compression;

use crate::ends::Ends;

/// Number of bytes at a file's start, and at its end, that determine its format.
pub const DETECT_LEN: usize = 4096;

/// `magic` of the EROFS superblock, at byte 1024.
const EROFS: [u8; 4] = [0xe2, 0xe1, 0xf5, 0xe0];

/// The last bytes of a zstd:chunked layer: of stargz-snapshotter, and of containers/storage.
const ZSTD_CHUNKED: [&[u8; 8]; 2] = [b"GnUlInUx", b"GNUlInUx"];

/// The format of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// A directory of this machine.
    Directory,
    /// A stack of layers.
    Stack,
    /// A layer: a tar, compressed in this way.
    Tar(Compression),
    /// A RAFS v5 bootstrap; its blobs are elsewhere.
    RafsV5,
    /// A RAFS v6 bootstrap; its blobs are elsewhere.
    RafsV6,
    /// A RAFS blob that ends with its bootstrap, with its TOC, or both.
    RafsBlob,
    /// A RAFS blob whose bootstrap is elsewhere: not an image by itself.
    RafsData,
    /// A blob of RAFS v7, which Nydus 3 beta writes. It may hold its bootstrap.
    RafsV7Blob,
    /// An EROFS file system that is not RAFS, or a bootstrap of RAFS v7, which begins like one.
    Erofs,
    /// An eStargz layer.
    Estargz,
    /// A stargz layer, the predecessor of eStargz. No file has a digest: reading verifies nothing.
    Stargz,
    /// An eStargz layer whose TOC is another blob.
    ExternalToc,
    /// A zstd:chunked layer.
    ZstdChunked,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "directory",
            Self::Stack => "stack",
            Self::Tar(Compression::None) => "tar",
            Self::Tar(compression) => return write!(f, "tar-{compression}"),
            Self::RafsV6 => "rafs-v6",
            Self::RafsBlob => "rafs-blob",
            Self::RafsData => "rafs-data",
            Self::RafsV7Blob => "rafs-v7-blob",
            Self::RafsV5 => "rafs-v5",
            Self::Erofs => "erofs",
            Self::Estargz => "estargz",
            Self::Stargz => "stargz",
            Self::ExternalToc => "estargz-external-toc",
            Self::ZstdChunked => "zstd-chunked",
        })
    }
}

/// What `source` is, by its first bytes and up to `tail_len` last ones, which are not read if the
/// first are enough; `None` if it is nothing that is known here.
pub(crate) fn detect(
    source: &dyn ReadAt,
    tail_len: usize,
) -> Result<(Option<Format>, Ends<'_>), ReadError> {
    let mut ends = Ends::unread(source)?;
    let head = ends.read_head(DETECT_LEN)?.clone();
    let format = match Format::of_bootstrap(&head) {
        Some(format) => Some(format),
        None => Format::detect(&head, ends.read_tail(tail_len)?),
    };
    Ok((format, ends))
}

impl Format {
    /// The format of `source`, by its first and last bytes; `None` if it is unknown.
    ///
    /// # Errors
    /// [`ReadError`] if it cannot be read.
    pub fn of(source: &dyn ReadAt) -> Result<Option<Self>, ReadError> {
        Ok(detect(source, DETECT_LEN)?.0)
    }

    /// The format of a file whose first and last [`DETECT_LEN`] bytes, or all if it has fewer, are `head` and `tail`;
    /// `None` if it is unknown. Only magic numbers are checked. A bootstrap begins with zeros, the header of a tar does
    /// not; a layer with an eStargz footer is eStargz, however it begins.
    ///
    /// ```
    /// use lazyoci_image_read::Format;
    /// use tar_stream::Compression;
    /// let gzip = [0x1f, 0x8b, 8, 0];
    /// assert_eq!(Format::detect(&gzip, &gzip), Some(Format::Tar(Compression::Gzip)));
    /// assert_eq!(Format::detect(b"#!/bin/sh", b"#!/bin/sh"), None);
    /// ```
    #[must_use]
    pub fn detect(head: &[u8], tail: &[u8]) -> Option<Self> {
        if let Some(bootstrap) = Self::of_bootstrap(head) {
            return Some(bootstrap);
        }
        if let Some(blob) = rafs_blob(tail) {
            return Some(blob);
        }
        if begins_like_erofs(head) {
            return Some(Self::Erofs);
        }
        // The reference reader looks at nothing else, so a layer that begins with anything else
        // could be read in two ways.
        let footer = tail.last_chunk();
        if footer.is_some_and(|footer| footer::decode(footer, u64::MAX).is_ok()) {
            return Some(Self::Estargz);
        }
        match Compression::detect(head) {
            Compression::Gzip if ends_like_stargz(tail, footer::FOOTER_LEN) => Some(Self::Estargz),
            Compression::Gzip if ends_like_stargz(tail, footer::legacy::LEN) => Some(Self::Stargz),
            Compression::Gzip if ends_like_stargz(tail, footer::external::LEN) => {
                Some(Self::ExternalToc)
            }
            Compression::Zstd if ZSTD_CHUNKED.iter().any(|magic| tail.ends_with(*magic)) => {
                Some(Self::ZstdChunked)
            }
            Compression::None if !begins_like_tar(head) => None,
            compression => Some(Self::Tar(compression)),
        }
    }

    /// Whether it is a layer with a TOC, which can be read as a plain layer too.
    #[must_use]
    pub const fn has_toc(self) -> bool {
        matches!(
            self,
            Self::Estargz | Self::Stargz | Self::ExternalToc | Self::ZstdChunked
        )
    }

    /// Whether it is a blob of a RAFS image.
    pub(crate) const fn is_rafs_blob(self) -> bool {
        matches!(self, Self::RafsBlob | Self::RafsData | Self::RafsV7Blob)
    }

    /// A layer with a TOC of this kind.
    pub(crate) fn of_toc(kind: TocKind) -> Self {
        match kind {
            TocKind::Legacy => Self::Stargz,
            TocKind::External => Self::ExternalToc,
            TocKind::ZstdChunked | TocKind::Containers => Self::ZstdChunked,
            _ => Self::Estargz,
        }
    }

    /// What a file is that begins like a bootstrap, however it ends.
    pub(crate) fn of_bootstrap(head: &[u8]) -> Option<Self> {
        match Bootstrap::version_of(head)? {
            Version::V6 => begins_like_erofs(head).then_some(Self::RafsV6),
            version => Some(Self::of_version(version)),
        }
    }

    /// A bootstrap of this version.
    pub(crate) fn of_version(version: Version) -> Self {
        match version {
            Version::V5 => Self::RafsV5,
            _ => Self::RafsV6,
        }
    }
}

fn begins_like_erofs(head: &[u8]) -> bool {
    head.get(1024..1028) == Some(&EROFS) && head[..1024] == [0; 1024]
}

/// A blob is known by its end: it begins with the first chunk's bytes, which may be anything.
fn rafs_blob(tail: &[u8]) -> Option<Format> {
    if Footer::is_in(tail) {
        return Some(Format::RafsV7Blob);
    }
    if let Some(header) = tail.last_chunk()
        && let Ok(header) = TarHeader::from_bytes(header, 0)
        && (header.names(Section::Toc) || header.names(Section::Bootstrap))
    {
        return Some(Format::RafsBlob);
    }
    let header = tail.last_chunk()?;
    CiHeader::from_bytes(header).ok().map(|_| Format::RafsData)
}

/// Whether the last `len` bytes are a gzip member with an extra field in which the magic is.
fn ends_like_stargz(tail: &[u8], len: usize) -> bool {
    let start = tail.len().checked_sub(len);
    let footer = start.map_or(&[][..], |start| &tail[start..]);
    footer.starts_with(&[0x1f, 0x8b, 8, 4]) && footer.windows(6).any(|w| w == b"STARGZ")
}

/// A header block with a checksum in its place, or the zeros of an empty archive, or no bytes at all,
/// which are one to every reader.
fn begins_like_tar(head: &[u8]) -> bool {
    if head.is_empty() {
        return true;
    }
    let Some(block) = head.first_chunk::<512>() else {
        return false;
    };
    if *block == [0; 512] {
        return !begins_like_damaged_erofs(head);
    }
    let checksum = &block[148..156];
    let octal = checksum.iter().all(|b| matches!(b, b'0'..=b'7' | b' ' | 0));
    octal && checksum.iter().any(u8::is_ascii_digit)
}

/// Whether a superblock follows zeros, as it seems, whose magic number is wrong: it has a size of blocks that EROFS knows,
/// which no header of a tar has in this place.
fn begins_like_damaged_erofs(head: &[u8]) -> bool {
    let (zeros, rest) = head.split_at(head.len().min(1024));
    let block_bits = rest.get(12).copied();
    zeros.iter().all(|byte| *byte == 0) && block_bits.is_some_and(|bits| (9..=16).contains(&bits))
}
