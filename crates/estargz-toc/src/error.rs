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
    #[error("the TOC has {len} bytes, the limit is {limit}")]
    TooLong {
        /// Bytes of the document.
        len: u64,
        /// [`Limits::max_toc_len`](image_model::Limits::max_toc_len), or
        /// [`Limits::max_metadata_len`](image_model::Limits::max_metadata_len) if that is less.
        limit: u64,
    },
    /// The document is no JSON, or not this one.
    #[error("the TOC's JSON")]
    Json(#[from] serde_json::Error),
    /// An entry that no image can hold.
    #[error("TOC entry {index}, \"{}\"", brief(name))]
    Entry {
        /// Position of the entry, counted from 0.
        index: usize,
        /// Its name, as it stands there.
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
    /// A type that nobody writes.
    #[error("its type \"{}\" is unknown", brief(found))]
    UnknownType {
        /// The `type` field.
        found: Box<str>,
    },
    /// A number below 0.
    #[error("`{field}` is {value}")]
    Negative {
        /// Key of the field.
        field: &'static str,
        /// What it holds.
        value: i64,
    },
    /// A number that is too large for what it means.
    #[error("`{field}` is {value}, above {max}")]
    TooLarge {
        /// Key of the field.
        field: &'static str,
        /// What it holds.
        value: i64,
        /// The largest that has a meaning.
        max: u64,
    },
    /// A component of the name is none.
    #[error("its name")]
    Name(#[source] PathError),
    /// A component of the name that a hard link leads to is none.
    #[error("the target of the hard link is not valid")]
    Target(#[source] PathError),
    /// The name of the TOC's own tar member, which is no file of the image.
    #[error("`stargz.index.json` is not for files")]
    ReservedName,
    /// A landmark that is no regular file, or an entry below one.
    #[error("a landmark must be a regular file")]
    LandmarkKind,
    /// Two entries of one path, at least one of them no directory; also a file in the place of
    /// what other entries use as their parent.
    #[error("another entry makes this path a {existing}")]
    Conflict {
        /// What the entries before it made of the path.
        existing: FileKind,
    },
    /// The entry has no place in the tree.
    #[error(transparent)]
    Place(#[from] LayerError),
    /// A symbolic link with an empty target, or one that holds NUL.
    #[error("the target of the symbolic link is empty or holds NUL")]
    SymlinkTarget,
    /// A symbolic link whose target is too long.
    #[error("a symbolic link with a target of {len} bytes; the limit is {limit}")]
    SymlinkTooLong {
        /// Bytes of the target.
        len: usize,
        /// [`Limits::max_symlink_len`](image_model::Limits::max_symlink_len).
        limit: u32,
    },
    /// A time that is not RFC 3339.
    #[error("`modtime` is no time: \"{}\"", brief(found))]
    Time {
        /// The `modtime` field.
        found: Box<str>,
    },
    /// The value of an extended attribute is no standard base64.
    #[error("the value of the extended attribute \"{}\" is no base64", brief(name))]
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
        /// Bytes of names and values, up to the one that goes too far; one for an empty one.
        len: usize,
        /// [`Limits::max_xattr_len`](image_model::Limits::max_xattr_len).
        limit: u32,
    },
    /// A field that is no digest.
    #[error("`{field}` is no digest: \"{}\"", brief(found))]
    Digest {
        /// Key of the field.
        field: &'static str,
        /// What it holds.
        found: Box<str>,
    },
    /// A digest that is not SHA-256, which is the only one that readers know.
    #[error("`{field}` has the unknown algorithm \"{}\"", brief(algorithm))]
    DigestAlgorithm {
        /// Key of the field.
        field: &'static str,
        /// Name of the algorithm.
        algorithm: Box<str>,
    },
    /// Nothing vouches for a chunk.
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
    /// A chunk that follows neither a regular file nor a chunk.
    #[error("a chunk without a file before it")]
    ChunkWithoutFile,
    /// A chunk with another name than the file before it: readers disagree on which one counts.
    #[error("a chunk of \"{}\" is called differently", brief(file))]
    ChunkName {
        /// Name of the file.
        file: Box<str>,
    },
    /// A chunk after those that make up the file already.
    #[error("a chunk after the end of the file, which has {size} bytes")]
    ChunkAfterEnd {
        /// Length of the file in bytes.
        size: u64,
    },
    /// A gap between two chunks, chunks that overlap, or chunks out of order.
    #[error("the chunk begins at byte {found} of the file, the one before ends at {expected}")]
    ChunkOrder {
        /// Where the chunks before it end; 0 for the file's own.
        expected: u64,
        /// `chunkOffset`.
        found: u64,
    },
    /// A chunk that ends behind the file.
    #[error("{len} bytes from byte {chunk_offset} end behind the file, which has {size} bytes")]
    ChunkBeyondEnd {
        /// Where the chunk begins in the file.
        chunk_offset: u64,
        /// `chunkSize`.
        len: u64,
        /// Length of the file in bytes.
        size: u64,
    },
    /// The chunks end before the file does.
    #[error("its chunks hold {covered} of {size} bytes")]
    ChunksMissing {
        /// Bytes in chunks.
        covered: u64,
        /// Length of the file in bytes.
        size: u64,
    },
    /// A chunk that would begin in the TOC or behind it.
    #[error("its bytes begin at {offset} of the blob, the TOC at {end}")]
    OutsidePayload {
        /// `offset`.
        offset: u64,
        /// Where the members with payloads end.
        end: u64,
    },
    /// A chunk whose member begins before that of the chunk before it: there is no telling where
    /// its bytes end.
    #[error("its bytes begin at {offset} of the blob, those before at {previous}")]
    OffsetOrder {
        /// `offset`.
        offset: u64,
        /// `offset` of the chunk before.
        previous: u64,
    },
    /// Two chunks that share bytes of one member.
    #[error(
        "its bytes begin at {inner_offset} of the member at {offset}, in those of the chunk before, which ends at {end}"
    )]
    Overlap {
        /// `offset`.
        offset: u64,
        /// `innerOffset`.
        inner_offset: u64,
        /// Where the chunk before ends in the member.
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
    /// A chunk whose member may have 4 GiB or more, stored: only where the limits allow so long
    /// chunks.
    #[error("the member at {offset} may have {len} stored bytes")]
    StoredTooLong {
        /// `offset` of the chunk before.
        offset: u64,
        /// Bytes up to this entry's member, or to the TOC, or what gzip can need if that is less.
        len: u64,
    },
    /// More chunks than the limit allows.
    #[error("more than {limit} chunks")]
    TooManyChunks {
        /// [`Limits::max_chunks`](image_model::Limits::max_chunks).
        limit: u32,
    },
}

/// Text of a TOC for messages, escaped; of long ones the start and the length.
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
            Self::UnknownType { .. } | Self::DigestAlgorithm { .. } => Fault::Unsupported,
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
            | Self::Overlap { .. } => Fault::Corrupt,
        }
    }
}
