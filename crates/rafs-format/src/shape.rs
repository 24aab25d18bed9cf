//! What images have to have in common to share blobs.

use crate::bootstrap::Bootstrap;
use crate::error::{At, DecodeError};
use crate::flags::{Compressor, Digester};
use crate::layout::LayoutOptions;
use crate::v6::BlobEntry;
use crate::version::Version;

/// What images have to have in common to share blobs.
///
/// In dictionary files it has 20 bytes:
///
/// | offset | size | field | rule |
/// |---|---|---|---|
/// | 0 | 4 | magic | `RAFS` |
/// | 4 | 1 | version | 5 or 6 |
/// | 5 | 1 | explicit_ids | whether owners are stored: 0 or 1 |
/// | 6 | 1 | tarfs | whether blobs are plain tars as they were: 0 or 1 |
/// | 7 | 1 | zero | |
/// | 8 | 4 | compressor | [`Compressor`] |
/// | 12 | 4 | digester | [`Digester`] |
/// | 16 | 4 | chunk_size | bytes |
///
/// Source: this crate.
///
/// ```
/// use lazyoci_rafs_format::{Shape, Version};
/// let shape = Shape::new(Version::V6, &Default::default());
/// assert_eq!(Shape::from_bytes(&shape.to_bytes())?, shape);
/// assert_eq!(shape.mismatch(&Shape::new(Version::V5, &Default::default())), Some("version"));
/// # Ok::<(), lazyoci_rafs_format::DecodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shape {
    /// Version of the metadata.
    pub version: Version,
    /// Bytes of all chunks but a file's last.
    pub chunk_size: u32,
    /// Compressor that the superblock names.
    pub compressor: Compressor,
    /// Digest algorithm of chunks.
    pub digester: Digester,
    /// Whether owners are stored.
    pub explicit_ids: bool,
    /// Whether blobs are plain tars as they were.
    pub tarfs: bool,
}

const MAGIC: [u8; 4] = *b"RAFS";

impl Shape {
    /// Size in bytes.
    pub const LEN: usize = 20;

    /// That of images of `version` that are written with `options`.
    #[must_use]
    pub fn new(version: Version, options: &LayoutOptions) -> Self {
        Self {
            version,
            chunk_size: options.chunk_size,
            compressor: options.compressor,
            digester: options.digester,
            explicit_ids: options.explicit_ids,
            tarfs: options.tarfs,
        }
    }

    /// That of an image.
    #[must_use]
    pub fn of(bootstrap: &Bootstrap) -> Self {
        Self::new(bootstrap.version(), &bootstrap.layout_options())
    }

    /// In what images of the other shape differ, if that keeps them from referring to blobs of images of this one.
    /// Version 6 says of each blob how it is compressed.
    #[must_use]
    pub fn mismatch(&self, other: &Self) -> Option<&'static str> {
        if self.version != other.version {
            Some("version")
        } else if self.tarfs != other.tarfs {
            Some("mode")
        } else if self.chunk_size != other.chunk_size {
            Some("chunk size")
        } else if self.version == Version::V5 && self.compressor != other.compressor {
            Some("compressor")
        } else if self.digester != other.digester {
            Some("digest algorithm")
        } else if self.explicit_ids != other.explicit_ids {
            Some("rule for owners")
        } else {
            None
        }
    }

    /// What `bytes` say of a blob of images of this shape: an entry of the blob table of version 6, which has all that
    /// version 5 says in several tables.
    ///
    /// # Errors
    /// [`DecodeError`] if a field breaks its rule.
    pub fn blob_entry(&self, bytes: &[u8]) -> Result<BlobEntry, DecodeError> {
        let Ok(bytes) = <&[u8; BlobEntry::LEN]>::try_from(bytes) else {
            let len = image_model::width::u64_from(bytes.len());
            return Err(At::new("blob of a dictionary", 0).wrong("size", len, "256"));
        };
        match self.version {
            Version::V5 => BlobEntry::from_bytes_of_v5(bytes, self.chunk_size),
            Version::V6 => BlobEntry::from_bytes(bytes, 0, 0, self.chunk_size),
        }
    }

    /// The shape that `bytes` state.
    ///
    /// # Errors
    /// [`DecodeError`] if they are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let at = At::new("shape of images", 0);
        let len = image_model::width::u64_from(bytes.len());
        let Ok(&bytes) = <&[u8; Self::LEN]>::try_from(bytes) else {
            return Err(at.wrong("size", len, "20"));
        };
        let [m0, m1, m2, m3, version, ids, tarfs, zero, rest @ ..] = bytes;
        let magic = [m0, m1, m2, m3];
        at.require(magic == MAGIC, "magic", u32::from_le_bytes(magic), "RAFS")?;
        at.require(zero == 0, "unused byte", zero, "0")?;
        at.require(tarfs <= 1, "tarfs", tarfs, "0 or 1")?;
        at.require(ids <= 1, "explicit_ids", ids, "0 or 1")?;
        let [c0, c1, c2, c3, d0, d1, d2, d3, s0, s1, s2, s3] = rest;
        let compressor = u32::from_le_bytes([c0, c1, c2, c3]);
        let digester = u32::from_le_bytes([d0, d1, d2, d3]);
        Ok(Self {
            version: match version {
                5 => Version::V5,
                6 => Version::V6,
                other => return Err(at.wrong("version", other, "5 or 6")),
            },
            chunk_size: u32::from_le_bytes([s0, s1, s2, s3]),
            compressor: Compressor::from_id(compressor)
                .map_err(|_| at.wrong("compressor", compressor, "a known compressor"))?,
            digester: Digester::from_id(digester)
                .map_err(|_| at.wrong("digester", digester, "a known digest algorithm"))?,
            explicit_ids: ids == 1,
            tarfs: tarfs == 1,
        })
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let version = match self.version {
            Version::V5 => 5,
            Version::V6 => 6,
        };
        let fields = [
            u32::from_le_bytes(MAGIC),
            u32::from_le_bytes([version, self.explicit_ids.into(), self.tarfs.into(), 0]),
            self.compressor.id(),
            self.digester.id(),
            self.chunk_size,
        ];
        for (to, field) in bytes.as_chunks_mut().0.iter_mut().zip(fields) {
            *to = field.to_le_bytes();
        }
        bytes
    }
}
