//! Why a TOC cannot be used.

use image_model::layer::LayerError;
use image_model::metadata::XattrError;
use image_model::name::Brief;
use image_model::path::PathError;
use image_model::{Blame, Digest, Fault, FileKind};

/// A TOC that is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TocError {
    /// Longer than the limit.
    #[error("the TOC has {len} bytes; the limit is {limit}")]
    TooLong {
        /// Length of the document in bytes.
        len: u64,
        /// [`Limits::max_toc_len`](image_model::Limits::max_toc_len), or
        /// [`Limits::max_metadata_len`](image_model::Limits::max_metadata_len) if that is less.
        limit: u64,
    },
    /// The document is not JSON, or not a TOC.
    #[error("cannot parse the TOC's JSON")]
    Json(#[from] serde_json::Error),
    /// An entry that cannot be part of an image.
    #[error("invalid TOC entry {index}, \"{}\"", brief(name))]
    Entry {
        /// Position of the entry, counted from 0.
        index: usize,
        /// Its name, as stored.
        name: Box<str>,
        /// What is wrong with it.
        #[source]
        fault: EntryFault,
    },
}

impl Blame for TocError {
    fn fault(&self) -> Fault {
        match self {
            Self::TooLong { .. } => Fault::Limit,
            Self::Json(_) => Fault::Corrupt,
            Self::Entry { fault, .. } => fault.fault(),
        }
    }
}

/// What is wrong with an entry of the TOC.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryFault {
    /// An unknown type.
    #[error("unknown type \"{}\"", brief(found))]
    UnknownType {
        /// The `type` field.
        found: Box<str>,
    },
    /// A negative number.
    #[error("`{field}` is negative: {value}")]
    Negative {
        /// Key of the field.
        field: &'static str,
        /// What it holds.
        value: i64,
    },
    /// A number that is too large for its purpose.
    #[error("`{field}` is {value}, above {max}")]
    TooLarge {
        /// Key of the field.
        field: &'static str,
        /// What it holds.
        value: i64,
        /// The largest valid value.
        max: u64,
    },
    /// A component of the name is invalid.
    #[error("invalid name")]
    Name(#[source] PathError),
    /// A component of the hard link's target is invalid.
    #[error("invalid hard link target")]
    Target(#[source] PathError),
    /// The name of the TOC's own tar member, which is not a file of the image.
    #[error("the name `stargz.index.json` is reserved for the TOC")]
    ReservedName,
    /// A landmark that is not a regular file, or an entry below one.
    #[error("a landmark must be a regular file")]
    LandmarkKind,
    /// Two entries with one path, at least one of them not a directory; also a file where other
    /// entries have their parent directory.
    #[error("another entry makes this path a {existing}")]
    Conflict {
        /// What earlier entries made of the path.
        existing: FileKind,
    },
    /// The entry does not fit in the tree.
    #[error(transparent)]
    Place(#[from] LayerError),
    /// A symbolic link with an empty target, or one that contains NUL.
    #[error("the target of the symbolic link is empty or contains NUL")]
    SymlinkTarget,
    /// A symbolic link whose target is too long.
    #[error("a symbolic link with a target of {len} bytes; the limit is {limit}")]
    SymlinkTooLong {
        /// Length of the target in bytes.
        len: usize,
        /// [`Limits::max_symlink_len`](image_model::Limits::max_symlink_len).
        limit: u32,
    },
    /// A time that is not RFC 3339.
    #[error("`modtime` is not a time: \"{}\"", brief(found))]
    Time {
        /// The `modtime` field.
        found: Box<str>,
    },
    /// The value of an extended attribute is not standard base64.
    #[error(
        "the value of the extended attribute \"{}\" is not base64",
        brief(name)
    )]
    XattrValue {
        /// Its name.
        name: Box<str>,
    },
    /// An extended attribute with an unusable name.
    #[error(transparent)]
    Xattr(#[from] XattrError),
    /// Too many bytes of extended attributes.
    #[error("{len} bytes of extended attributes; the limit is {limit}")]
    XattrsTooLong {
        /// Bytes of names and values, up to the attribute that exceeds the limit; an empty one counts as one byte.
        len: usize,
        /// [`Limits::max_xattr_len`](image_model::Limits::max_xattr_len).
        limit: u32,
    },
    /// A field that is not a digest.
    #[error("`{field}` is not a digest: \"{}\"", brief(found))]
    Digest {
        /// Key of the field.
        field: &'static str,
        /// What it holds.
        found: Box<str>,
    },
    /// A digest that is not SHA-256, the only algorithm that readers know.
    #[error("`{field}` has the unknown algorithm \"{}\"", brief(algorithm))]
    DigestAlgorithm {
        /// Key of the field.
        field: &'static str,
        /// Name of the algorithm.
        algorithm: Box<str>,
    },
    /// A chunk has no digest.
    #[error("the chunk at byte {chunk_offset} has no digest")]
    DigestMissing {
        /// Where the chunk begins in the file.
        chunk_offset: u64,
    },
    /// `digest` contradicts the only chunk of the file, or the emptiness of the file.
    #[error("`digest` is {file}, but the file's only chunk has {chunk}")]
    DigestsDiffer {
        /// The `digest` field.
        file: Digest,
        /// The `chunkDigest` field; for an empty file the digest of nothing.
        chunk: Digest,
    },
    /// A chunk that does not follow a regular file or another chunk.
    #[error("a chunk without a preceding file")]
    ChunkWithoutFile,
    /// A chunk whose name differs from the file before it: readers disagree on which name counts.
    #[error("a chunk of \"{}\" has another name", brief(file))]
    ChunkName {
        /// Name of the file.
        file: Box<str>,
    },
    /// A chunk after the file is complete.
    #[error("a chunk after the end of the file, which has {size} bytes")]
    ChunkAfterEnd {
        /// Length of the file in bytes.
        size: u64,
    },
    /// A gap between two chunks, chunks that overlap, or chunks out of order.
    #[error(
        "the chunk begins at byte {found} of the file, but the previous one ends at {expected}"
    )]
    ChunkOrder {
        /// Where the previous chunk ends; 0 for the first one.
        expected: u64,
        /// `chunkOffset`.
        found: u64,
    },
    /// A chunk that extends past the end of the file.
    #[error(
        "{len} bytes at byte {chunk_offset} extend past the end of the file, which has {size} bytes"
    )]
    ChunkBeyondEnd {
        /// Where the chunk begins in the file.
        chunk_offset: u64,
        /// `chunkSize`.
        len: u64,
        /// Length of the file in bytes.
        size: u64,
    },
    /// The chunks do not reach the end of the file.
    #[error("the chunks cover only {covered} of {size} bytes")]
    ChunksMissing {
        /// Bytes in chunks.
        covered: u64,
        /// Length of the file in bytes.
        size: u64,
    },
    /// A chunk that begins in the TOC or after it.
    #[error("the content begins at byte {offset} of the blob, not before the TOC at byte {end}")]
    OutsidePayload {
        /// `offset`.
        offset: u64,
        /// Where the members with payloads end.
        end: u64,
    },
    /// A chunk whose member begins before that of the previous chunk, so that the end of its bytes
    /// is unknown.
    #[error(
        "the content begins at byte {offset} of the blob, before the previous content at byte {previous}"
    )]
    OffsetOrder {
        /// `offset`.
        offset: u64,
        /// `offset` of the previous chunk.
        previous: u64,
    },
    /// A frame that does not end behind its start.
    #[error("the content begins at byte {offset} of the blob, and ends at {end}")]
    FrameEnd {
        /// `offset`.
        offset: u64,
        /// `offset` of the next chunk, or `endOffset`.
        end: u64,
    },
    /// A chunk of an unknown type.
    #[error("a chunk of the unknown type \"{}\"", brief(found))]
    ChunkType {
        /// `chunkType`.
        found: Box<str>,
    },
    /// Two chunks that share bytes of one member.
    #[error(
        "the content begins at byte {inner_offset} of the member at {offset}, inside the previous chunk, which ends at {end}"
    )]
    Overlap {
        /// `offset`.
        offset: u64,
        /// `innerOffset`.
        inner_offset: u64,
        /// Where the previous chunk ends in the member.
        end: u64,
    },
    /// More bytes have to be decoded for a chunk than the limit allows.
    #[error("{len} bytes of the member at {offset} have to be decoded; the limit is {limit}")]
    FrameTooLong {
        /// `offset`.
        offset: u64,
        /// Decoded bytes up to the end of the chunk.
        len: u64,
        /// [`Limits::max_frame_len`](image_model::Limits::max_frame_len).
        limit: u32,
    },
    /// A chunk whose member may have 4 GiB or more of stored bytes; only if the limits allow such
    /// long chunks.
    #[error("the member at {offset} may have {len} stored bytes, too many for one frame")]
    StoredTooLong {
        /// `offset` of the previous chunk.
        offset: u64,
        /// Bytes up to this entry's member or the TOC, or the most that gzip can need, whichever is less.
        len: u64,
    },
    /// More chunks than the limit allows.
    #[error("more than {limit} chunks")]
    TooManyChunks {
        /// [`Limits::max_chunks`](image_model::Limits::max_chunks).
        limit: u32,
    },
}

/// Text of a TOC for messages, escaped; long text is cut to its start and its length.
fn brief(text: &str) -> String {
    match text.char_indices().map(|(at, _)| at).nth(Brief::LEN) {
        Some(end) => format!("{}... ({} bytes)", text[..end].escape_debug(), text.len()),
        None => text.escape_debug().to_string(),
    }
}

impl Blame for EntryFault {
    fn fault(&self) -> Fault {
        match self {
            Self::Place(error) => error.fault(),
            Self::UnknownType { .. } | Self::ChunkType { .. } | Self::DigestAlgorithm { .. } => {
                Fault::Unsupported
            }
            Self::SymlinkTooLong { .. }
            | Self::XattrsTooLong { .. }
            | Self::FrameTooLong { .. }
            | Self::StoredTooLong { .. }
            | Self::TooManyChunks { .. } => Fault::Limit,
            Self::Negative { .. }
            | Self::TooLarge { .. }
            | Self::Name(_)
            | Self::Target(_)
            | Self::ReservedName
            | Self::LandmarkKind
            | Self::Conflict { .. }
            | Self::SymlinkTarget
            | Self::Time { .. }
            | Self::XattrValue { .. }
            | Self::Xattr(_)
            | Self::Digest { .. }
            | Self::DigestMissing { .. }
            | Self::DigestsDiffer { .. }
            | Self::ChunkWithoutFile
            | Self::ChunkName { .. }
            | Self::ChunkAfterEnd { .. }
            | Self::ChunkOrder { .. }
            | Self::ChunkBeyondEnd { .. }
            | Self::ChunksMissing { .. }
            | Self::OutsidePayload { .. }
            | Self::OffsetOrder { .. }
            | Self::FrameEnd { .. }
            | Self::Overlap { .. } => Fault::Corrupt,
        }
    }
}
