//! Why a zTOC cannot be read or written.

use image_model::{Blame, Fault};

use crate::flatbuffer::Malformed;

/// Bytes that are not a zTOC that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZtocError {
    /// A table does not lie in the bytes.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A table that must be there is not.
    #[error("the zTOC has no {table}")]
    Missing {
        /// Which one.
        table: &'static str,
    },
    /// A version that is not supported.
    #[error("version \"{}\" of the zTOC is not supported", found.escape_ascii())]
    Version {
        /// The version, its first 16 bytes.
        found: Box<[u8]>,
    },
    /// A compression that is not known.
    #[error("compression {found} of the zTOC is not known")]
    Compression {
        /// Its number.
        found: i8,
    },
    /// A length that is negative.
    #[error("the {what} is {found}")]
    Negative {
        /// Which one.
        what: &'static str,
        /// The number.
        found: i64,
    },
    /// More than [`Limits`](image_model::Limits) allow.
    #[error("the zTOC needs more {what} than the limit of {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
    /// Spans are counted in several places, which differ.
    #[error("the zTOC has {expected} spans by its checkpoints, but {found} by its {what}")]
    Count {
        /// Where they are counted.
        what: &'static str,
        /// Number of spans.
        expected: u64,
        /// The other number.
        found: i64,
    },
    /// The checkpoints have a length that no number of them has.
    #[error("{found} bytes of checkpoints, of which there are {count}")]
    Checkpoints {
        /// How many there are, as they say.
        count: i32,
        /// Their length in bytes.
        found: u64,
    },
    /// A checkpoint that breaks a rule.
    #[error("checkpoint {index} of the zTOC: {fault}")]
    Checkpoint {
        /// Its position.
        index: u64,
        /// The broken rule.
        fault: CheckpointFault,
    },
    /// The spans of a layer that is not compressed do not cover it.
    #[error("spans of {span_size} bytes cannot cover a layer of {len} bytes")]
    TarZinfo {
        /// Length of a span.
        span_size: i64,
        /// Length of the layer.
        len: i64,
    },
    /// A digest of a span that is no SHA-256.
    #[error("the digest of span {index} is not a SHA-256")]
    Digest {
        /// Position of the span.
        index: u64,
    },
    /// A file that breaks a rule.
    #[error("file {index} of the zTOC: {fault}")]
    File {
        /// Its position.
        index: u64,
        /// The broken rule.
        fault: FileFault,
    },
}

/// The rule that a checkpoint breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointFault {
    /// A byte has at most seven bits of a block that begins in it.
    #[error("it begins {bits} bits before a byte")]
    Bits {
        /// The bits.
        bits: u8,
    },
    /// It lies before the first deflate data of the stream, or beyond its end.
    #[error("it lies in the header of the layer, or beyond its end")]
    Outside,
    /// The first one does not begin the decoded stream, or not at a whole byte.
    #[error("it is the first one, but does not begin the tar")]
    NotFirst,
    /// It does not come after the one before, on both sides.
    #[error("it does not come after the one before")]
    Order,
    /// Its span is longer than [`Limits::max_frame_len`](image_model::Limits::max_frame_len).
    #[error("its span is longer than the limit")]
    TooLong,
}

/// The rule that a file breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileFault {
    /// A type that is not known.
    #[error("its type is not known")]
    Type,
    /// Its payload begins at a negative byte, or has a negative length.
    #[error("its offset or size is negative")]
    Negative,
    /// Its payload begins before that of the file before ends, or leaves no room for its header.
    #[error("it begins before the one before ends, or leaves no room for its header")]
    Overlap,
    /// Its payload ends beyond the tar.
    #[error("it ends beyond the tar")]
    Outside,
}

impl Blame for ZtocError {
    fn fault(&self) -> Fault {
        match self {
            Self::Version { .. } | Self::Compression { .. } => Fault::Unsupported,
            Self::Limit { .. }
            | Self::Checkpoint {
                fault: CheckpointFault::TooLong,
                ..
            } => Fault::Limit,
            _ => Fault::Corrupt,
        }
    }
}

/// A zTOC cannot be written: it would be longer than FlatBuffers can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a zTOC of {len} bytes or more; it can have 2 GiB at most: longer spans need less")]
pub struct TooLong {
    /// Its length, without what is between its parts.
    pub len: u64,
}

impl Blame for TooLong {
    fn fault(&self) -> Fault {
        Fault::Unsupported
    }
}
