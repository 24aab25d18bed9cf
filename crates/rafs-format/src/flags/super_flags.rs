//! The flag word of superblocks.

use std::ops::BitOr;

use super::algorithm::{Cipher, Compressor, Digester};
use super::error::FlagsError;

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
    /// Every blob has [`INLINED_CHUNK_DIGEST`](super::BlobFeatures::INLINED_CHUNK_DIGEST), also when
    /// there is no blob.
    pub const INLINED_CHUNK_DIGEST: Self = Self(0x100);
    /// The image is in tarfs mode.
    pub const TARFS_MODE: Self = Self(0x200);
    /// Data are not encrypted.
    pub const ENCRYPTION_NONE: Self = Self(0x100_0000);
    /// Data are encrypted with AES-128-XTS.
    pub const ENCRYPTION_AES_128_XTS: Self = Self(0x200_0000);

    const NAMES: [(Self, &'static str); 12] = [
        (Self::COMPRESSION_NONE, "COMPRESSION_NONE"),
        (Self::COMPRESSION_LZ4, "COMPRESSION_LZ4"),
        (Self::HASH_BLAKE3, "HASH_BLAKE3"),
        (Self::HASH_SHA256, "HASH_SHA256"),
        (Self::EXPLICIT_UID_GID, "EXPLICIT_UID_GID"),
        (Self::HAS_XATTR, "HAS_XATTR"),
        (Self::COMPRESSION_GZIP, "COMPRESSION_GZIP"),
        (Self::COMPRESSION_ZSTD, "COMPRESSION_ZSTD"),
        (Self::INLINED_CHUNK_DIGEST, "INLINED_CHUNK_DIGEST"),
        (Self::TARFS_MODE, "TARFS_MODE"),
        (Self::ENCRYPTION_NONE, "ENCRYPTION_NONE"),
        (Self::ENCRYPTION_AES_128_XTS, "ENCRYPTION_AES_128_XTS"),
    ];

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

    /// What the flags say, in the order of their bits; reserved ones have no name.
    ///
    /// ```
    /// use lazyoci_rafs_format::flags::SuperFlags;
    /// let flags = SuperFlags::COMPRESSION_ZSTD | SuperFlags::HASH_BLAKE3;
    /// assert!(flags.names().eq(["HASH_BLAKE3", "COMPRESSION_ZSTD"]));
    /// ```
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let set = move |(flag, name)| self.contains(flag).then_some(name);
        Self::NAMES.into_iter().filter_map(set)
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

#[cfg(test)]
mod tests {
    use image_model::{Blame, Fault};

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
    fn every_flag_but_the_reserved_ones_has_one_name() {
        let all = SuperFlags(SuperFlags::KNOWN);
        let mut named = 0;
        for (flag, _) in SuperFlags::NAMES {
            assert_eq!((flag.bits().count_ones(), named & flag.bits()), (1, 0));
            named |= flag.bits();
        }
        assert_eq!(all.bits() & !named, 0xfc00_0000);
        assert_eq!(all.names().count(), SuperFlags::NAMES.len());
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
}
