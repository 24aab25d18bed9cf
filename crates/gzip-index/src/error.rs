//! Why an index cannot be built or read.

use std::io;

use image_model::{Blame, Fault};

/// An index cannot be built of a gzip stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The source cannot be read.
    #[error("cannot read the gzip stream")]
    Io(#[from] io::Error),
    /// The stream ends inside a member.
    #[error("the gzip stream is truncated at byte {stored}, after {decoded} decoded bytes")]
    Cut {
        /// Its length.
        stored: u64,
        /// Bytes decoded up to there.
        decoded: u64,
    },
    /// The compressed bytes are wrong.
    #[error(
        "the gzip stream is corrupt at byte {stored} or shortly before, after {decoded} decoded bytes"
    )]
    Corrupt {
        /// First byte that was not consumed.
        stored: u64,
        /// Bytes decoded up to there.
        decoded: u64,
        /// What is wrong.
        source: Corruption,
    },
    /// What begins here is no gzip member: at 0 this is no gzip stream, elsewhere there are trailing bytes.
    /// [`IndexOptions::ignore_trailing`](crate::IndexOptions::ignore_trailing) ignores those.
    #[error("{}", no_member(*stored))]
    NoMember {
        /// First byte after the last member.
        stored: u64,
    },
    /// More decoded bytes than [`Limits::max_layer_len`](image_model::Limits::max_layer_len).
    #[error("the gzip stream decodes to more than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// A block that decodes to more than [`Limits::max_frame_len`](image_model::Limits::max_frame_len): nobody could
    /// decode its span.
    #[error("the deflate data from byte {stored} on have no boundary within {limit} decoded bytes")]
    SpanTooLong {
        /// First byte of the span.
        stored: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// Bytes to keep that are not after those kept before, or were not decoded yet.
    #[error("bytes to keep at {offset}: expected from {from} on, up to {to}")]
    Keep {
        /// First byte.
        offset: u64,
        /// End of those kept before.
        from: u64,
        /// Bytes decoded so far.
        to: u64,
    },
}

/// What is wrong with compressed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Corruption {
    /// Bits of a header that must be zero are not.
    #[error("reserved bits of a header are set")]
    Reserved,
    /// A header does not match its checksum.
    #[error("the checksum of a gzip header is wrong")]
    HeaderChecksum,
    /// A member does not hold a deflate stream.
    #[error("the deflate stream is invalid")]
    Deflate,
    /// The decoded bytes do not match the checksum of their member.
    #[error("the checksum is wrong")]
    Checksum,
    /// The decoded bytes do not match the length in their member.
    #[error("the length is wrong")]
    Length,
}

impl Blame for BuildError {
    fn fault(&self) -> Fault {
        match self {
            Self::Io(_) => Fault::Io,
            Self::NoMember { stored: 0 } => Fault::Unsupported,
            Self::Cut { .. } | Self::Corrupt { .. } | Self::NoMember { .. } => Fault::Corrupt,
            Self::TooLarge { .. } | Self::SpanTooLong { .. } => Fault::Limit,
            Self::Keep { .. } => Fault::Misuse,
        }
    }
}

fn no_member(stored: u64) -> String {
    match stored {
        0 => "not a gzip stream".into(),
        _ => format!("there is no gzip member at byte {stored}"),
    }
}

impl From<BuildError> for io::Error {
    fn from(error: BuildError) -> Self {
        let kind = match error {
            BuildError::Io(source) => return source,
            BuildError::Cut { .. } => io::ErrorKind::UnexpectedEof,
            BuildError::Keep { .. } => io::ErrorKind::InvalidInput,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// Bytes that are not an index that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// They do not begin as an index does.
    #[error("not a gzip index")]
    Magic,
    /// A version of the format that is not supported.
    #[error("version {found} of the gzip index is not supported")]
    Version {
        /// The version.
        found: u32,
    },
    /// Flags that are not known, or the digest of a stream that they say is not there.
    #[error("flags {flags:#x} of the gzip index are wrong")]
    Flags {
        /// The flags.
        flags: u32,
    },
    /// They end too early, or too late.
    #[error("the gzip index has {found} bytes, expected {expected}")]
    Length {
        /// Length by its header.
        expected: u64,
        /// Length in bytes.
        found: u64,
    },
    /// They do not match the digest in their header.
    #[error("the digest in the gzip index is not that of its bytes")]
    Digest,
    /// More than [`Limits`](image_model::Limits) allow.
    #[error("the gzip index declares {found} {what}; the limit is {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much of it.
        found: u64,
        /// How much is allowed.
        limit: u64,
    },
    /// A span that breaks a rule.
    #[error("span {index} of the gzip index: {fault}")]
    Span {
        /// Its position.
        index: u64,
        /// The broken rule.
        fault: SpanFault,
    },
    /// The spans do not cover what the header says.
    #[error("the spans of the gzip index cover {found} {side} bytes of {expected}")]
    Cover {
        /// Which bytes.
        side: &'static str,
        /// Length by the header.
        expected: u64,
        /// End of the last span.
        found: u64,
    },
    /// A compressed part that does not hold what its header says.
    #[error("the {part} of the gzip index cannot be decompressed to {expected} bytes")]
    Part {
        /// Which part.
        part: &'static str,
        /// Length by the header.
        expected: u64,
    },
    /// The kept bytes are not in order, or do not lie in the stream.
    #[error(
        "kept range {index} of the gzip index does not lie after the one before and in the stream"
    )]
    Kept {
        /// Its position.
        index: u64,
    },
}

/// The rule that a span breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpanFault {
    /// A block begins in a byte, so a byte has at most seven bits of it besides.
    #[error("it begins {bits} bits before a byte")]
    Bits {
        /// The bits.
        bits: u8,
    },
    /// It would begin in bytes that belong to no span before.
    #[error("it begins inside a byte that the span before does not end in")]
    Shared,
    /// It holds nothing.
    #[error("it is empty")]
    Empty,
    /// It begins with a member, where nothing comes before, but has a window.
    #[error("it has a window where a member begins")]
    Window,
    /// Its window is not 32 KiB.
    #[error("the runs of its window do not lie in 32 KiB")]
    Runs,
    /// A member begins in the middle of a byte, or the one before ends in it.
    #[error("a member begins in it, but not at a whole byte")]
    Member,
    /// Neither a member begins in it, nor does it continue one.
    #[error("its kind {kind} is not known")]
    Kind {
        /// The kind.
        kind: u8,
    },
    /// Its window refers to bytes before the stream.
    #[error("its window begins before the stream does")]
    Before,
    /// It lies beyond the end of the stream.
    #[error("it lies beyond the end of the stream")]
    Outside,
    /// It decodes to more than [`Limits::max_frame_len`](image_model::Limits::max_frame_len).
    #[error("it decodes to more than the limit")]
    TooLong,
    /// Reserved bytes are set.
    #[error("reserved bytes are not zero")]
    Reserved,
}

impl Blame for DecodeError {
    fn fault(&self) -> Fault {
        match self {
            Self::Version { .. } => Fault::Unsupported,
            Self::Limit { .. }
            | Self::Span {
                fault: SpanFault::TooLong,
                ..
            } => Fault::Limit,
            _ => Fault::Corrupt,
        }
    }
}
