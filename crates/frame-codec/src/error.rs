//! What can go wrong with a frame.

use image_model::{Blame, Codec, Fault};

use crate::Compression;

/// Why a frame could not be decoded or encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The frame holds, or declares, an unexpected number of bytes.
    #[error("{codec} frame holds {found} bytes, expected {expected}")]
    Length {
        /// Codec of the frame.
        codec: Codec,
        /// Decoded bytes that the caller expects.
        expected: u64,
        /// Decoded bytes that the frame holds or declares.
        found: u64,
    },
    /// The frame continues after the expected number of bytes.
    #[error("{codec} frame holds more than the {expected} bytes expected")]
    TooLong {
        /// Codec of the frame.
        codec: Codec,
        /// Decoded bytes that the caller expects.
        expected: u64,
    },
    /// The stored bytes end inside the frame.
    #[error("{codec} frame is truncated: it does not end within its {stored_len} stored bytes")]
    Truncated {
        /// Codec of the frame.
        codec: Codec,
        /// Stored bytes given.
        stored_len: u64,
    },
    /// The frame ends before the stored bytes do.
    #[error("{codec} frame ends at byte {end} of {stored_len} stored bytes")]
    TrailingBytes {
        /// Codec of the frame.
        codec: Codec,
        /// Stored bytes that belong to the frame.
        end: u64,
        /// Stored bytes given.
        stored_len: u64,
    },
    /// The stored bytes break the codec's rules.
    #[error("{codec} frame is malformed: {detail}")]
    Malformed {
        /// Codec of the frame.
        codec: Codec,
        /// The broken rule.
        detail: &'static str,
    },
    /// The checksum in the frame does not match its content.
    #[error("{codec} frame has checksum {expected:08x}, but its content has {found:08x}")]
    Checksum {
        /// Codec of the frame.
        codec: Codec,
        /// Checksum in the frame.
        expected: u32,
        /// Checksum of the decoded bytes.
        found: u32,
    },
    /// The frame refers further back than the decoder's window.
    #[error("{codec} frame needs a window of more than {limit} bytes")]
    Window {
        /// Codec of the frame.
        codec: Codec,
        /// Bytes allowed.
        limit: u64,
    },
    /// The crate was built without a feature.
    #[error("{codec} frames need feature `{feature}` of frame-codec")]
    Unsupported {
        /// Codec of the frame.
        codec: Codec,
        /// Cargo feature that is off.
        feature: &'static str,
    },
    /// This version of the crate does not support the codec.
    #[error("{codec} frames are not supported by this version of frame-codec")]
    UnknownCodec {
        /// The codec.
        codec: Codec,
    },
    /// The codec cannot decode only the beginning of a frame.
    #[error("{codec} frames cannot be decoded partially")]
    NoPrefix {
        /// The codec.
        codec: Codec,
    },
    /// The codec's frames cannot be written in pieces.
    #[error("{codec} frames cannot be written in pieces")]
    NoStream {
        /// The codec.
        codec: Codec,
    },
    /// There is no such compression level.
    #[error("`{compression}`: the level must be {min} to {max}")]
    Level {
        /// The compression requested.
        compression: Compression,
        /// Lowest level.
        min: i32,
        /// Highest level.
        max: i32,
    },
    /// The plain bytes are more than one frame can hold.
    #[error("{len} bytes are too many for one {codec} frame, which holds at most {max}")]
    PlainTooLong {
        /// Codec of the frame.
        codec: Codec,
        /// Plain bytes given.
        len: u64,
        /// The maximum for a frame.
        max: u64,
    },
}

impl Blame for CodecError {
    fn fault(&self) -> Fault {
        match self {
            Self::Length { .. }
            | Self::TooLong { .. }
            | Self::Truncated { .. }
            | Self::TrailingBytes { .. }
            | Self::Malformed { .. }
            | Self::Checksum { .. } => Fault::Corrupt,
            Self::Window { .. } => Fault::Limit,
            Self::Unsupported { .. }
            | Self::UnknownCodec { .. }
            | Self::NoStream { .. }
            | Self::NoPrefix { .. } => Fault::Unsupported,
            Self::Level { .. } | Self::PlainTooLong { .. } => Fault::Misuse,
        }
    }
}
