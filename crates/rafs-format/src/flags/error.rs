//! Why a flag word or an algorithm id cannot be accepted.

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
