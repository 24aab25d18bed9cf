//! What can be wrong with a layer around its tar.

use std::io;

use image_model::width::u64_from;
use image_model::{Blame, Fault};

use super::Compression;

/// A layer that cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The source failed to deliver the first bytes.
    #[error("cannot read the first bytes of the layer")]
    Io {
        /// What the source said.
        source: io::Error,
    },
    /// A compression that is not supported, or whose feature is not compiled in.
    #[error("layers compressed with {compression} are not supported")]
    Unsupported {
        /// The compression.
        compression: Compression,
    },
    /// The layer ends inside a gzip member or zstd frame.
    #[error("the {compression} layer is truncated at byte {stored}, after {decoded} decoded bytes")]
    Cut {
        /// The compression.
        compression: Compression,
        /// Length of what is there.
        stored: u64,
        /// Bytes decoded up to there.
        decoded: u64,
    },
    /// The compressed bytes are wrong.
    #[error(
        "the {compression} layer is corrupt at byte {stored} or shortly before, after {decoded} decoded bytes"
    )]
    Corrupt {
        /// The compression.
        compression: Compression,
        /// First byte that was not consumed.
        stored: u64,
        /// Bytes decoded up to there.
        decoded: u64,
        /// What is wrong.
        source: Corruption,
    },
    /// Trailing data after the last gzip member or zstd frame.
    /// [`StreamOptions::ignore_trailing`](super::StreamOptions::ignore_trailing) ignores it.
    #[error(
        "what follows byte {stored} of the {compression} layer is not {compression}: containerd and Docker refuse such a layer, gzip(1) ignores the rest"
    )]
    Trailing {
        /// The compression.
        compression: Compression,
        /// First byte after the last member or frame.
        stored: u64,
        /// Bytes decoded up to there: the whole tar.
        decoded: u64,
    },
    /// A zstd frame that was compressed with a dictionary, which layers do not contain.
    #[error("the zstd frame at byte {stored} needs dictionary {id}")]
    Dictionary {
        /// First byte of the frame.
        stored: u64,
        /// The dictionary.
        id: u32,
    },
    /// A zstd frame that needs a larger window than allowed.
    #[error(
        "the zstd frame at byte {stored} needs a window of {window} bytes; the limit is {limit}"
    )]
    Window {
        /// First byte of the frame.
        stored: u64,
        /// The window in bytes.
        window: u64,
        /// Largest window allowed, in bytes.
        limit: u64,
    },
    /// More bytes than [`Limits::max_layer_len`](image_model::Limits::max_layer_len).
    #[error("the layer decodes to more than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// Used after an error, or after the end.
    #[error("the layer has ended, or an earlier error ended its decoding")]
    Failed,
}

/// What is wrong with compressed bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Corruption {
    /// Bits of a header that must be zero are not.
    #[error("reserved bits of a header are set")]
    Reserved,
    /// A gzip header does not match its checksum.
    #[error("the checksum of a gzip header is wrong")]
    HeaderChecksum,
    /// A gzip member does not hold a deflate stream.
    #[error("the deflate stream is invalid")]
    Deflate,
    /// The decoded bytes do not match the checksum of their member or frame.
    #[error("the checksum is wrong")]
    Checksum,
    /// The decoded bytes do not match the length in their member or frame.
    #[error("the length is wrong")]
    Length,
    /// An empty compressed block of zstd: decoders treat it differently.
    #[error("a compressed block without bytes")]
    EmptyBlock,
    /// A block of zstd that is, stored or decoded, larger than the window of its frame or 128 KiB.
    #[error("a block is larger than the frame allows")]
    LargeBlock,
    /// A zstd frame that the decoder refuses.
    #[error("zstd: {message}")]
    Zstd {
        /// The decoder's message.
        message: String,
    },
}

/// An error of a decoder that does not know where in the layer it is.
pub(super) enum Found {
    Corrupt(Corruption),
    /// Neither member nor frame, after `held` bytes were consumed.
    #[cfg_attr(
        not(any(feature = "gzip", feature = "zstd", feature = "ruzstd")),
        expect(dead_code, reason = "without decoders nothing is found")
    )]
    Trailing {
        held: usize,
    },
    /// A frame, after `held` bytes of its header were consumed.
    #[cfg_attr(
        not(any(feature = "zstd", feature = "ruzstd")),
        expect(dead_code, reason = "only zstd has dictionaries")
    )]
    Dictionary {
        held: usize,
        id: u32,
    },
    #[cfg_attr(
        not(any(feature = "zstd", feature = "ruzstd")),
        expect(dead_code, reason = "only zstd has windows")
    )]
    Window {
        held: usize,
        window: u64,
        limit: u64,
    },
}

impl Found {
    /// The error at byte `stored` of the layer, after `decoded` bytes of its tar.
    pub(super) fn at(self, compression: Compression, stored: u64, decoded: u64) -> LayerError {
        let start = |held| stored.saturating_sub(u64_from(held));
        match self {
            Self::Corrupt(source) => LayerError::Corrupt {
                compression,
                stored,
                decoded,
                source,
            },
            Self::Trailing { held } => LayerError::Trailing {
                compression,
                stored: start(held),
                decoded,
            },
            Self::Dictionary { held, id } => LayerError::Dictionary {
                stored: start(held),
                id,
            },
            Self::Window {
                held,
                window,
                limit,
            } => LayerError::Window {
                stored: start(held),
                window,
                limit,
            },
        }
    }
}

impl From<Corruption> for Found {
    fn from(corruption: Corruption) -> Self {
        Self::Corrupt(corruption)
    }
}

impl Blame for LayerError {
    fn fault(&self) -> Fault {
        match self {
            Self::Io { .. } => Fault::Io,
            Self::Unsupported { .. } | Self::Dictionary { .. } => Fault::Unsupported,
            Self::Cut { .. } | Self::Corrupt { .. } | Self::Trailing { .. } => Fault::Corrupt,
            Self::Window { .. } | Self::TooLarge { .. } => Fault::Limit,
            Self::Failed => Fault::Misuse,
        }
    }
}

impl From<LayerError> for io::Error {
    fn from(error: LayerError) -> Self {
        let kind = match &error {
            LayerError::Io { source } => source.kind(),
            LayerError::Cut { .. } => io::ErrorKind::UnexpectedEof,
            LayerError::Unsupported { .. } | LayerError::Dictionary { .. } => {
                io::ErrorKind::Unsupported
            }
            LayerError::Failed => io::ErrorKind::InvalidInput,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
