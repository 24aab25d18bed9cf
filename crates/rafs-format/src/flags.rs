//! Flag words and algorithm ids that bootstraps and blobs share.
//!
//! Source: nydus v2, `rafs/src/metadata/mod.rs` (`RafsSuperFlags`), `storage/src/device.rs`
//! (`BlobFeatures`), `utils/src/{compress,digest,crypt}.rs`.

use std::fmt;
use std::ops::BitOr;
use std::str::FromStr;

use image_model::{Blame, Codec, DigestAlgorithm, Fault};

/// A flag word or an algorithm id that cannot be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlagsError {
    /// Super flags that this library does not know; readers must refuse them.
    #[error("unknown super flags {unknown:#x}")]
    UnknownSuperFlags {
        /// The unknown bits alone.
        unknown: u64,
    },
    /// A v6 superblock must name exactly one compressor.
    #[error("super flags {flags:#x} do not name exactly one compressor")]
    NotOneCompressor {
        /// The whole flag word.
        flags: u64,
    },
    /// A v6 superblock must name exactly one digest algorithm.
    #[error("super flags {flags:#x} do not name exactly one digest algorithm")]
    NotOneDigester {
        /// The whole flag word.
        flags: u64,
    },
    /// Blob features that readers must refuse.
    #[error("unknown blob features {unknown:#x}")]
    UnknownBlobFeatures {
        /// The refused bits alone.
        unknown: u32,
    },
    /// No such compressor.
    #[error("unknown compressor id {id}")]
    UnknownCompressor {
        /// The id.
        id: u32,
    },
    /// No such digest algorithm.
    #[error("unknown digest algorithm id {id}")]
    UnknownDigester {
        /// The id.
        id: u32,
    },
    /// No such cipher.
    #[error("unknown cipher id {id}")]
    UnknownCipher {
        /// The id.
        id: u32,
    },
    /// The caller's codec has no id in RAFS.
    #[error("RAFS has no id for codec {codec}")]
    NoIdForCodec {
        /// The codec.
        codec: Codec,
    },
    /// The caller's digest algorithm has no id in RAFS.
    #[error("RAFS has no id for digest algorithm {algorithm}")]
    NoIdForDigest {
        /// The algorithm.
        algorithm: DigestAlgorithm,
    },
}

impl Blame for FlagsError {
    fn fault(&self) -> Fault {
        match self {
            Self::NotOneCompressor { .. } | Self::NotOneDigester { .. } => Fault::Corrupt,
            Self::UnknownSuperFlags { .. }
            | Self::UnknownBlobFeatures { .. }
            | Self::UnknownCompressor { .. }
            | Self::UnknownDigester { .. }
            | Self::UnknownCipher { .. } => Fault::Unsupported,
            Self::NoIdForCodec { .. } | Self::NoIdForDigest { .. } => Fault::Misuse,
        }
    }
}

/// Which release of nydus-image a writer reproduces byte for byte, where its bytes are a function
/// of the input. Both are read by every release since 2.2.
///
/// ```
/// use rafs_format::flags::Compat;
/// assert_eq!("2.2".parse(), Ok(Compat::V2_2));
/// assert_eq!(Compat::default().to_string(), "2.4");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compat {
    /// 2.2.0: no cipher flag, no device addresses, no inode numbers, no CRCs; chunk information is
    /// always compressed with zstd.
    V2_2,
    /// 2.4.4.
    #[default]
    V2_4,
}

impl fmt::Display for Compat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V2_2 => "2.2",
            Self::V2_4 => "2.4",
        })
    }
}

/// Text that names no [`Compat`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no release to be compatible with: expected `2.4` or `2.2`")]
pub struct ParseCompatError {
    /// The text.
    pub text: String,
}

impl FromStr for Compat {
    type Err = ParseCompatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "2.2" => Ok(Self::V2_2),
            "2.4" => Ok(Self::V2_4),
            _ => Err(ParseCompatError { text: text.into() }),
        }
    }
}

/// How data are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compressor {
    /// Id 0: stored.
    None,
    /// Id 1: one raw LZ4 block.
    Lz4Block,
    /// Id 2: pieces of a gzip stream that nydus did not write (reference blobs).
    Gzip,
    /// Id 3: one zstd frame.
    Zstd,
}

impl Compressor {
    /// The compressor with this id.
    ///
    /// # Errors
    /// [`FlagsError::UnknownCompressor`].
    pub fn from_id(id: u32) -> Result<Self, FlagsError> {
        Ok(match id {
            0 => Self::None,
            1 => Self::Lz4Block,
            2 => Self::Gzip,
            3 => Self::Zstd,
            _ => return Err(FlagsError::UnknownCompressor { id }),
        })
    }

    /// Its id.
    #[must_use]
    pub const fn id(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Lz4Block => 1,
            Self::Gzip => 2,
            Self::Zstd => 3,
        }
    }

    /// Its super flag.
    #[must_use]
    pub const fn super_flag(self) -> SuperFlags {
        match self {
            Self::None => SuperFlags::COMPRESSION_NONE,
            Self::Lz4Block => SuperFlags::COMPRESSION_LZ4,
            Self::Gzip => SuperFlags::COMPRESSION_GZIP,
            Self::Zstd => SuperFlags::COMPRESSION_ZSTD,
        }
    }
}

impl From<Compressor> for Codec {
    fn from(compressor: Compressor) -> Self {
        match compressor {
            Compressor::None => Self::None,
            Compressor::Lz4Block => Self::Lz4Block,
            Compressor::Gzip => Self::Gzip,
            Compressor::Zstd => Self::Zstd,
        }
    }
}

impl TryFrom<Codec> for Compressor {
    type Error = FlagsError;

    fn try_from(codec: Codec) -> Result<Self, FlagsError> {
        Ok(match codec {
            Codec::None => Self::None,
            Codec::Lz4Block => Self::Lz4Block,
            Codec::Gzip => Self::Gzip,
            Codec::Zstd => Self::Zstd,
            _ => return Err(FlagsError::NoIdForCodec { codec }),
        })
    }
}

/// How chunks are digested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Digester {
    /// Id 0: BLAKE3 with 32 bytes of output.
    Blake3,
    /// Id 1: SHA-256.
    Sha256,
}

impl Digester {
    /// The digest algorithm with this id.
    ///
    /// # Errors
    /// [`FlagsError::UnknownDigester`].
    pub fn from_id(id: u32) -> Result<Self, FlagsError> {
        Ok(match id {
            0 => Self::Blake3,
            1 => Self::Sha256,
            _ => return Err(FlagsError::UnknownDigester { id }),
        })
    }

    /// Its id.
    #[must_use]
    pub const fn id(self) -> u32 {
        match self {
            Self::Blake3 => 0,
            Self::Sha256 => 1,
        }
    }

    /// Its super flag.
    #[must_use]
    pub const fn super_flag(self) -> SuperFlags {
        match self {
            Self::Blake3 => SuperFlags::HASH_BLAKE3,
            Self::Sha256 => SuperFlags::HASH_SHA256,
        }
    }
}

impl From<Digester> for DigestAlgorithm {
    fn from(digester: Digester) -> Self {
        match digester {
            Digester::Blake3 => Self::Blake3,
            Digester::Sha256 => Self::Sha256,
        }
    }
}

impl TryFrom<DigestAlgorithm> for Digester {
    type Error = FlagsError;

    fn try_from(algorithm: DigestAlgorithm) -> Result<Self, FlagsError> {
        Ok(match algorithm {
            DigestAlgorithm::Blake3 => Self::Blake3,
            DigestAlgorithm::Sha256 => Self::Sha256,
            _ => return Err(FlagsError::NoIdForDigest { algorithm }),
        })
    }
}

/// How blobs are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cipher {
    /// Id 0: not.
    None,
    /// Id 1: AES-128-XTS.
    Aes128Xts,
    /// Id 2: AES-256-XTS, declared by nydus but used by none of its releases.
    Aes256Xts,
    /// Id 3: AES-256-GCM, declared by nydus but used by none of its releases.
    Aes256Gcm,
}

impl Cipher {
    /// The cipher with this id.
    ///
    /// # Errors
    /// [`FlagsError::UnknownCipher`].
    pub fn from_id(id: u32) -> Result<Self, FlagsError> {
        Ok(match id {
            0 => Self::None,
            1 => Self::Aes128Xts,
            2 => Self::Aes256Xts,
            3 => Self::Aes256Gcm,
            _ => return Err(FlagsError::UnknownCipher { id }),
        })
    }

    /// Its id.
    #[must_use]
    pub const fn id(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Aes128Xts => 1,
            Self::Aes256Xts => 2,
            Self::Aes256Gcm => 3,
        }
    }
}

/// The flag word of a superblock (v5) or extended superblock (v6). Holds no unknown bit.
///
/// | bits | flag |
/// |---|---|
/// | `0x1`, `0x2`, `0x40`, `0x80` | data compressor none, lz4_block, gzip, zstd |
/// | `0x4`, `0x8` | digester blake3, sha256 |
/// | `0x10` | inode owners are meaningful |
/// | `0x20` | some inode has extended attributes |
/// | `0x100` | every blob carries its own array of chunk digests (v6) |
/// | `0x200` | tarfs (v6) |
/// | `0x100_0000`, `0x200_0000` | cipher none, aes-128-xts |
/// | `0x400_0000` … `0x8000_0000` | reserved; accepted and kept when set |
///
/// Any other bit makes every reader refuse the bootstrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SuperFlags(u64);

impl SuperFlags {
    /// Data are not compressed.
    pub const COMPRESSION_NONE: Self = Self(0x1);
    /// Data are compressed with LZ4.
    pub const COMPRESSION_LZ4: Self = Self(0x2);
    /// Chunk digests are BLAKE3.
    pub const HASH_BLAKE3: Self = Self(0x4);
    /// Chunk digests are SHA-256.
    pub const HASH_SHA256: Self = Self(0x8);
    /// Owners of inodes are meaningful.
    pub const EXPLICIT_UID_GID: Self = Self(0x10);
    /// Some inode has extended attributes.
    pub const HAS_XATTR: Self = Self(0x20);
    /// Data are pieces of a gzip stream.
    pub const COMPRESSION_GZIP: Self = Self(0x40);
    /// Data are compressed with zstd.
    pub const COMPRESSION_ZSTD: Self = Self(0x80);
    /// Every blob has [`BlobFeatures::INLINED_CHUNK_DIGEST`] (also when there is no blob).
    pub const INLINED_CHUNK_DIGEST: Self = Self(0x100);
    /// The image is in tarfs mode.
    pub const TARFS_MODE: Self = Self(0x200);
    /// Data are not encrypted.
    pub const ENCRYPTION_NONE: Self = Self(0x100_0000);
    /// Data are encrypted with AES-128-XTS.
    pub const ENCRYPTION_AES_128_XTS: Self = Self(0x200_0000);

    const KNOWN: u64 = 0x3ff | 0xff00_0000;
    const COMPRESSORS: u64 = 0x1 | 0x2 | 0x40 | 0x80;
    const DIGESTERS: u64 = 0x4 | 0x8;

    /// Accepts a word as the v5 loader does: any mixture of known bits.
    ///
    /// # Errors
    /// [`FlagsError::UnknownSuperFlags`].
    pub fn from_raw(raw: u64) -> Result<Self, FlagsError> {
        match raw & !Self::KNOWN {
            0 => Ok(Self(raw)),
            unknown => Err(FlagsError::UnknownSuperFlags { unknown }),
        }
    }

    /// Accepts a word as the v6 loader does: known bits, exactly one compressor and exactly one
    /// digester. A cipher bit may be missing, as in images made by nydus 2.2.
    ///
    /// # Errors
    /// [`FlagsError::UnknownSuperFlags`], [`FlagsError::NotOneCompressor`],
    /// [`FlagsError::NotOneDigester`].
    pub fn from_raw_v6(raw: u64) -> Result<Self, FlagsError> {
        let flags = Self::from_raw(raw)?;
        if (raw & Self::COMPRESSORS).count_ones() != 1 {
            return Err(FlagsError::NotOneCompressor { flags: raw });
        }
        if (raw & Self::DIGESTERS).count_ones() != 1 {
            return Err(FlagsError::NotOneDigester { flags: raw });
        }
        Ok(flags)
    }

    /// The word as stored.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether all of `other`'s bits are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The data compressor. If several are named (v5 only), the first of none, lz4, gzip, zstd; if
    /// none is, lz4.
    #[must_use]
    pub const fn compressor(self) -> Compressor {
        if self.contains(Self::COMPRESSION_NONE) {
            Compressor::None
        } else if self.contains(Self::COMPRESSION_LZ4) {
            Compressor::Lz4Block
        } else if self.contains(Self::COMPRESSION_GZIP) {
            Compressor::Gzip
        } else if self.contains(Self::COMPRESSION_ZSTD) {
            Compressor::Zstd
        } else {
            Compressor::Lz4Block
        }
    }

    /// The digest algorithm. SHA-256 if it alone is named, else BLAKE3.
    #[must_use]
    pub const fn digester(self) -> Digester {
        if self.contains(Self::HASH_SHA256) && !self.contains(Self::HASH_BLAKE3) {
            Digester::Sha256
        } else {
            Digester::Blake3
        }
    }

    /// The cipher. AES-128-XTS if it alone is named, else none.
    #[must_use]
    pub const fn cipher(self) -> Cipher {
        if self.contains(Self::ENCRYPTION_AES_128_XTS) && !self.contains(Self::ENCRYPTION_NONE) {
            Cipher::Aes128Xts
        } else {
            Cipher::None
        }
    }
}

impl BitOr for SuperFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The feature word of a blob: in the blob tables and in the header of chunk information.
///
/// | bits | feature |
/// |---|---|
/// | `0x1` | uncompressed chunk offsets are multiples of 4096 |
/// | `0x2` | the bootstrap is in the data blob |
/// | `0x4` | chunk information has 24-byte entries |
/// | `0x8` | zran: chunks lie in a gzip stream |
/// | `0x10` | chunk information is in a blob of its own |
/// | `0x20` | an array of chunk digests is present |
/// | `0x40` | tarfs: the data blob is a plain tar |
/// | `0x80` | small chunks are merged into batches |
/// | `0x100` | data and chunk information are encrypted |
/// | `0x200` | entry of a generated chunk dictionary |
/// | `0x400` | prefetch blob made by `optimize` |
/// | `0x800` | from an external backend |
/// | `0x1000_0000` | the data are followed by a tar header |
/// | `0x2000_0000` | the blob ends with a TOC |
/// | `0x4000_0000` | the writer knows tar headers and TOC; all current ones set it |
/// | `0x8000_0000`, `0xf000` | refused |
/// | `0xfff_0000` | unknown; accepted and kept, as nydus does |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BlobFeatures(u32);

impl BlobFeatures {
    /// Uncompressed chunk offsets are multiples of 4096.
    pub const ALIGNED: Self = Self(0x1);
    /// The bootstrap is in the data blob.
    pub const INLINED_FS_META: Self = Self(0x2);
    /// Chunk information has 24-byte entries.
    pub const CHUNK_INFO_V2: Self = Self(0x4);
    /// Chunks lie in a gzip stream.
    pub const ZRAN: Self = Self(0x8);
    /// Chunk information and bootstrap are in a blob of their own.
    pub const SEPARATE: Self = Self(0x10);
    /// An array of chunk digests is present.
    pub const INLINED_CHUNK_DIGEST: Self = Self(0x20);
    /// The data blob is a plain tar.
    pub const TARFS: Self = Self(0x40);
    /// Small chunks are merged into batches.
    pub const BATCH: Self = Self(0x80);
    /// Data and chunk information are encrypted.
    pub const ENCRYPTED: Self = Self(0x100);
    /// Entry of a generated chunk dictionary.
    pub const IS_CHUNKDICT_GENERATED: Self = Self(0x200);
    /// Prefetch blob made by `optimize`.
    pub const IS_SEPARATED_WITH_PREFETCH_FILES: Self = Self(0x400);
    /// From an external backend.
    pub const EXTERNAL: Self = Self(0x800);
    /// The data are followed by a tar header.
    pub const HAS_TAR_HEADER: Self = Self(0x1000_0000);
    /// The blob ends with a TOC.
    pub const HAS_TOC: Self = Self(0x2000_0000);
    /// The writer knows tar headers and TOC.
    pub const CAP_TAR_TOC: Self = Self(0x4000_0000);

    const REFUSED: u32 = 0x8000_f000;

    /// Accepts a word as nydus does.
    ///
    /// # Errors
    /// [`FlagsError::UnknownBlobFeatures`].
    pub fn from_raw(raw: u32) -> Result<Self, FlagsError> {
        match raw & Self::REFUSED {
            0 => Ok(Self(raw)),
            unknown => Err(FlagsError::UnknownBlobFeatures { unknown }),
        }
    }

    /// The word as stored.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether all of `other`'s bits are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether one of `other`'s bits is set.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The features without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for BlobFeatures {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn super_flags_are_refused_as_nydus_does() {
        assert_eq!(SuperFlags::from_raw(0xbb).unwrap().bits(), 0xbb);
        assert_eq!(
            SuperFlags::from_raw(0xfc00_0000).unwrap().bits(),
            0xfc00_0000
        );
        for unknown in [0x400, 0x80_0000, 1 << 32, 1 << 63] {
            let error = FlagsError::UnknownSuperFlags { unknown };
            assert_eq!(SuperFlags::from_raw(unknown | 0x19), Err(error));
            assert_eq!(error.fault(), Fault::Unsupported);
        }
    }

    #[test]
    fn v6_names_one_compressor_and_one_digester() {
        for raw in [0x19, 0x0100_0019, 0x198, 0x36, 0x48] {
            assert_eq!(SuperFlags::from_raw_v6(raw).unwrap().bits(), raw);
        }
        for flags in [0x18, 0x1b, 0x99] {
            let error = FlagsError::NotOneCompressor { flags };
            assert_eq!(SuperFlags::from_raw_v6(flags), Err(error));
            assert_eq!(error.fault(), Fault::Corrupt);
        }
        for flags in [0x11, 0x1d] {
            let error = FlagsError::NotOneDigester { flags };
            assert_eq!(SuperFlags::from_raw_v6(flags), Err(error));
        }
    }

    #[test]
    fn precedence_of_super_flags() {
        let flags = |raw| SuperFlags::from_raw(raw).unwrap();
        let compressor = [
            (0xc3, Compressor::None),
            (0xc2, Compressor::Lz4Block),
            (0xc0, Compressor::Gzip),
            (0x80, Compressor::Zstd),
            (0x0, Compressor::Lz4Block),
        ];
        for (raw, expected) in compressor {
            assert_eq!(flags(raw).compressor(), expected, "{raw:#x}");
        }
        assert_eq!(flags(0x8).digester(), Digester::Sha256);
        assert_eq!(flags(0xc).digester(), Digester::Blake3);
        assert_eq!(flags(0x0).digester(), Digester::Blake3);
        assert_eq!(flags(0x200_0000).cipher(), Cipher::Aes128Xts);
        assert_eq!(flags(0x300_0000).cipher(), Cipher::None);
        assert_eq!(flags(0x0).cipher(), Cipher::None);
    }

    #[test]
    fn blob_features_are_refused_as_nydus_does() {
        assert_eq!(
            BlobFeatures::from_raw(0x4100_0001).unwrap().bits(),
            0x4100_0001
        );
        for (raw, unknown) in [(0x4000_1001, 0x1000), (0xc000_0001, 0x8000_0000)] {
            let error = FlagsError::UnknownBlobFeatures { unknown };
            assert_eq!(BlobFeatures::from_raw(raw), Err(error));
        }
    }

    #[test]
    fn ids_are_closed_and_agree_with_flags() {
        for id in 0..4 {
            let compressor = Compressor::from_id(id).unwrap();
            assert_eq!(compressor.id(), id);
            assert_eq!(compressor.super_flag().compressor(), compressor);
            assert_eq!(
                Compressor::try_from(Codec::from(compressor)),
                Ok(compressor)
            );
            assert_eq!(Cipher::from_id(id).unwrap().id(), id);
        }
        for id in 0..2 {
            let digester = Digester::from_id(id).unwrap();
            assert_eq!(digester.id(), id);
            assert_eq!(digester.super_flag().digester(), digester);
            assert_eq!(
                Digester::try_from(DigestAlgorithm::from(digester)),
                Ok(digester)
            );
        }
        assert_eq!(
            Compressor::from_id(4),
            Err(FlagsError::UnknownCompressor { id: 4 })
        );
        assert_eq!(
            Digester::from_id(2),
            Err(FlagsError::UnknownDigester { id: 2 })
        );
        assert_eq!(Cipher::from_id(4), Err(FlagsError::UnknownCipher { id: 4 }));
    }

    #[test]
    fn compat_names() {
        for text in ["2.2", "2.4"] {
            assert_eq!(text.parse::<Compat>().unwrap().to_string(), text);
        }
        let error = ParseCompatError { text: "2.3".into() };
        assert_eq!("2.3".parse::<Compat>(), Err(error));
    }
}
