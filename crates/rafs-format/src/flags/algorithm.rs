//! Ids of compressors, digest algorithms and ciphers.

use image_model::{Codec, DigestAlgorithm};

use super::error::FlagsError;
use super::super_flags::SuperFlags;

/// How data are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
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
    /// What nydus-image calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4Block => "lz4_block",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

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
#[non_exhaustive]
pub enum Digester {
    /// Id 0: BLAKE3 with 32 bytes of output.
    Blake3,
    /// Id 1: SHA-256.
    Sha256,
}

impl Digester {
    /// What nydus-image calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blake3 => "blake3",
            Self::Sha256 => "sha256",
        }
    }

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
#[non_exhaustive]
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
    /// What nydus-image calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Aes128Xts => "aes128_xts",
            Self::Aes256Xts => "aes256_xts",
            Self::Aes256Gcm => "aes256_gcm",
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
