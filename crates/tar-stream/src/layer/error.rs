//! What can be wrong with a layer around its tar.

use std::io;

use image_model::width::u64_from;
use image_model::{Blame, Fault};

use super::Compression;

/// A layer that cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The source failed when the first bytes were asked for.
    #[error("reading the first bytes of the layer")]
    Io {
        /// What the source said.
        source: io::Error,
    },
    /// A compression that is not read, or whose feature is not compiled in.
    #[error("layers compressed with {compression} are not read here")]
    Unsupported {
        /// The compression.
        compression: Compression,
    },
    /// The layer ends inside a gzip member or zstd frame.
    #[error("the {compression} layer is cut at byte {stored}, after {decoded} decoded bytes")]
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
        /// First byte that was not taken any more.
        stored: u64,
        /// Bytes decoded up to there.
        decoded: u64,
        /// What is wrong.
        source: Corruption,
    },
    /// Something follows the last gzip member or zstd frame and is none itself.
    ///
    /// [`StreamOptions::ignore_trailing`](super::StreamOptions::ignore_trailing) passes over it.
    #[error(
        "what follows byte {stored} of the {compression} layer is not {compression}: containerd and Docker refuse such a layer, gzip(1) ignores the rest"
    )]
    Trailing {
        /// The compression.
        compression: Compression,
        /// First byte behind the last member or frame.
        stored: u64,
        /// Bytes decoded up to there: the whole tar.
        decoded: u64,
    },
    /// A zstd frame that was compressed with a dictionary, which no layer brings along.
    #[error("the zstd frame at byte {stored} needs the dictionary {id}")]
    Dictionary {
        /// First byte of the frame.
        stored: u64,
        /// The dictionary.
        id: u32,
    },
    /// A zstd frame that needs a larger window than allowed.
    #[error(
        "the zstd frame at byte {stored} asks for a window of {window} bytes, {limit} are allowed"
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
    /// Asked to go on after an error, or behind the end.
    #[error("the layer is at its end, or could not be decoded before")]
    Failed,
}

/// What is wrong with compressed bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Corruption {
    /// Bits of a header that must be zero are not.
    #[error("reserved bits of a header are set")]
    Reserved,
    /// A gzip header does not have the checksum that it names.
    #[error("the checksum of a gzip header is wrong")]
    HeaderChecksum,
    /// A gzip member does not hold a deflate stream.
    #[error("the deflate stream is invalid")]
    Deflate,
    /// What was decoded does not have the checksum that its member or frame names.
    #[error("the checksum is wrong")]
    Checksum,
    /// What was decoded does not have the length that its member or frame names.
    #[error("the length is wrong")]
    Length,
    /// A compressed block of zstd has no bytes: decoders differ in what they make of it.
    #[error("a compressed block without bytes")]
    EmptyBlock,
    /// A zstd frame that its decoder refuses.
    #[error("zstd: {message}")]
    Zstd {
        /// What the decoder says.
        message: String,
    },
}

/// An error of a decoder that does not know where in the layer it is.
pub(super) enum Found {
    Corrupt(Corruption),
    /// Neither member nor frame, of which `held` bytes were taken.
    #[cfg_attr(
        not(any(feature = "gzip", feature = "zstd", feature = "ruzstd")),
        expect(dead_code, reason = "without decoders nothing is found")
    )]
    Trailing {
        held: usize,
    },
    /// A frame of whose header `held` bytes were taken.
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
    /// The error, `stored` bytes into the layer, after `decoded` bytes of its tar.
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
