//! Why a blob's metadata cannot be used.

use bytes::Bytes;
use frame_codec::CodecError;
use image_model::width::u64_from;
use image_model::{Blame, BlobIndex, Fault};
use verify::CheckError;

use super::batch_context::BatchFault;
use super::chunk_info::ChunkFault;
use super::layout::Section;
use super::zran_context::ZranFault;
use crate::error::DecodeError;
use crate::flags::FlagsError;

/// Why a blob's metadata cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// A piece of the blob has the wrong length: the caller gave the wrong bytes.
    #[error("{piece}: {found} bytes given, but {expected} expected")]
    Given {
        /// What was given.
        piece: &'static str,
        /// Bytes expected.
        expected: u64,
        /// Bytes given.
        found: u64,
    },
    /// The file is too short for a range in its metadata.
    #[error("{piece} at {offset}, {len} bytes, does not fit in a blob of {blob_len} bytes")]
    OutOfBounds {
        /// What should be there.
        piece: &'static str,
        /// First byte.
        offset: u64,
        /// Bytes.
        len: u64,
        /// Bytes of the blob, or of its part that may hold the piece.
        blob_len: u64,
    },
    /// A magic number of the chunk information's header is wrong.
    #[error("header of the chunk information: wrong magic {found:#010x} at byte {offset}")]
    HeaderMagic {
        /// Byte in the header: 0 or 4092.
        offset: usize,
        /// What is there instead of `0xb10bb10b`.
        found: u32,
    },
    /// The blob contradicts the bootstrap's blob table.
    #[error("{field} is {found}, but the blob table says {expected}")]
    Contradiction {
        /// What differs.
        field: &'static str,
        /// Value in the blob table.
        expected: u64,
        /// Value in the blob.
        found: u64,
    },
    /// A blob has 1 to 2^24 chunks.
    #[error("the blob has {count} chunks; must be 1 to 2^24")]
    ChunkCount {
        /// Declared number.
        count: u32,
    },
    /// The length of the chunk information does not match its entries.
    #[error("the chunk information has {found} bytes, but its entries need {expected}")]
    CiLen {
        /// Bytes that the entries need.
        expected: u64,
        /// Declared plain bytes.
        found: u64,
    },
    /// The chunk information takes more stored than plain bytes, or fewer although it is not compressed.
    #[error("the chunk information has {len} bytes, but {stored_len} stored bytes")]
    CiStoredLen {
        /// Plain bytes.
        len: u64,
        /// Stored bytes.
        stored_len: u64,
    },
    /// An entry of the chunk information is wrong.
    #[error("invalid chunk information for chunk {index}")]
    Chunk {
        /// Position of the entry.
        index: u32,
        /// What is wrong.
        #[source]
        fault: ChunkFault,
    },
    /// No such entry.
    #[error("there is no chunk {index}: the blob has {count}")]
    NoSuchChunk {
        /// Position requested.
        index: u32,
        /// Entries.
        count: u32,
    },
    /// The blob has features that this version cannot read.
    #[error("blob features {features:#x} are not supported")]
    Features {
        /// The features that are not supported, alone.
        features: u32,
    },
    /// A flag word or an algorithm id is unknown.
    #[error(transparent)]
    Flags(#[from] FlagsError),
    /// More is declared than the limits allow.
    #[error("{piece}: {declared} declared; at most {limit} are allowed")]
    Limit {
        /// What is too much.
        piece: &'static str,
        /// Declared amount.
        declared: u64,
        /// Allowed amount.
        limit: u64,
    },
    /// A tar header is damaged or missing.
    #[error("invalid tar header at {offset}: {fault}")]
    TarHeader {
        /// First byte, from the start of the blob.
        offset: u64,
        /// What is wrong.
        fault: TarHeaderFault,
    },
    /// A tar header names an unknown section.
    #[error("the tar header at {offset} names an unknown section")]
    UnknownSection {
        /// First byte of the header, from the start of the blob.
        offset: u64,
    },
    /// A section appears twice, or after one that it must precede.
    #[error("section `{}` does not belong at {offset}", section.name())]
    SectionOrder {
        /// The section.
        section: Section,
        /// First byte, from the start of the blob.
        offset: u64,
    },
    /// The blob begins with bytes outside all sections.
    #[error("the first {len} bytes of the blob are not in any section")]
    Stray {
        /// Bytes.
        len: u64,
    },
    /// The chunk information is not directly before its header.
    #[error(
        "the chunk information is at {offset}, {len} bytes, but its header says {found}, {found_len} bytes"
    )]
    CiRange {
        /// First byte that it has.
        offset: u64,
        /// Bytes before the header.
        len: u64,
        /// First byte according to the header.
        found: u64,
        /// Bytes according to the header.
        found_len: u64,
    },
    /// The header of the chunk information describes a blob that no blob table can list.
    #[error(transparent)]
    Entry(#[from] DecodeError),
    /// Bytes that readers ignore are not zero.
    #[error("reserved bytes of the {structure} are not zero")]
    Reserved {
        /// The structure.
        structure: &'static str,
    },
    /// The header of the chunk information has zran or batch contexts, but the blob has none. Readers ignore them.
    #[error(
        "the header of the chunk information has contexts, but the blob has neither zran nor batches"
    )]
    Contexts,
    /// There are more contexts than chunks, or than there is room for.
    #[error("{count} contexts in {len} bytes: more than chunks, or than fit")]
    ContextCount {
        /// How many.
        count: u32,
        /// Bytes of contexts and dictionaries.
        len: u64,
    },
    /// A context of zran mode is wrong.
    #[error("invalid context {index}")]
    Context {
        /// Its position.
        index: u32,
        /// What is wrong.
        #[source]
        fault: ZranFault,
    },
    /// A batch is wrong.
    #[error("invalid batch {index}")]
    Batch {
        /// Its position.
        index: u32,
        /// What is wrong.
        #[source]
        fault: BatchFault,
    },
    /// A piece of an encrypted blob cannot be decrypted.
    #[error("the {structure} cannot be decrypted")]
    Encrypted {
        /// The piece.
        structure: &'static str,
    },
    /// The contexts of a blob are more than frames can be numbered.
    #[error("there are too many contexts in the blobs of the image")]
    TooManyContexts,
    /// The TOC is damaged: its entries are no multiple of 128 bytes.
    #[error("the TOC has {len} bytes, which is not a multiple of 128")]
    TocLen {
        /// Bytes of entries.
        len: u64,
    },
    /// A TOC entry does not name a known compressor.
    #[error("TOC entry {index}: flags {flags:#x} do not name one compressor")]
    TocFlags {
        /// Position in the TOC.
        index: usize,
        /// The flags.
        flags: u32,
    },
    /// The blob ends with neither a bootstrap nor a TOC that could list one.
    #[error("the blob does not end with a bootstrap: open the one that lists it instead")]
    NoBootstrap,
    /// The bootstrap lists no such blob.
    #[error("there is no blob {}: the image has {count}", index.0)]
    NoSuchBlob {
        /// Position requested.
        index: BlobIndex,
        /// Blobs.
        count: usize,
    },
    /// Blobs of images of version 5, and tars in tarfs mode, say nothing of their chunks.
    #[error("blob {} belongs to RAFS v5 or is a tar, neither of which has chunk information", index.0)]
    NoChunkInformation {
        /// Position of the blob.
        index: BlobIndex,
    },
    /// The blob does not end with a TOC.
    #[error("the blob does not end with a TOC")]
    NoToc,
    /// A section has no entry in the TOC.
    #[error("the TOC has no entry `{}`", section.name())]
    NoSection {
        /// The section.
        section: Section,
    },
    /// A section cannot be decompressed.
    #[error("cannot decompress section `{section}`")]
    Decompress {
        /// Name of the section.
        section: String,
        /// Why.
        #[source]
        source: CodecError,
    },
    /// A section does not match its digest.
    #[error("section `{section}` is corrupt")]
    Digest {
        /// Name of the section.
        section: String,
        /// Both digests.
        #[source]
        source: CheckError,
    },
}

/// What is wrong with a tar header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TarHeaderFault {
    /// The GNU magic is missing.
    #[error("it has no GNU magic")]
    Magic,
    /// The checksum does not match.
    #[error("its checksum does not match")]
    Checksum,
    /// It is not the header of a regular file.
    #[error("type {found:#04x} is not a regular file")]
    Kind {
        /// The type flag.
        found: u8,
    },
    /// The size is not octal.
    #[error("its size is not an octal number")]
    Size,
    /// Unused fields do not have the bytes that every writer gives them.
    #[error("unused bytes are not zero")]
    Reserved,
}

impl Blame for BlobError {
    fn fault(&self) -> Fault {
        match self {
            Self::Given { .. }
            | Self::NoSuchChunk { .. }
            | Self::NoSuchBlob { .. }
            | Self::NoChunkInformation { .. }
            | Self::NoBootstrap => Fault::Misuse,
            Self::Features { .. } => Fault::Unsupported,
            Self::Limit { .. } | Self::TooManyContexts => Fault::Limit,
            Self::Flags(error) => error.fault(),
            Self::Entry(error) => error.fault(),
            Self::Decompress { source, .. } => source.fault(),
            Self::Digest { source, .. } => source.fault(),
            Self::OutOfBounds { .. }
            | Self::HeaderMagic { .. }
            | Self::Contradiction { .. }
            | Self::ChunkCount { .. }
            | Self::CiLen { .. }
            | Self::CiStoredLen { .. }
            | Self::Chunk { .. }
            | Self::TarHeader { .. }
            | Self::UnknownSection { .. }
            | Self::SectionOrder { .. }
            | Self::Stray { .. }
            | Self::CiRange { .. }
            | Self::Reserved { .. }
            | Self::Contexts
            | Self::ContextCount { .. }
            | Self::Context { .. }
            | Self::Batch { .. }
            | Self::Encrypted { .. }
            | Self::TocLen { .. }
            | Self::TocFlags { .. }
            | Self::NoToc
            | Self::NoSection { .. } => Fault::Corrupt,
        }
    }
}

/// Checks that the caller gave the requested bytes.
pub(crate) fn check_given(
    piece: &'static str,
    expected: u64,
    given: &Bytes,
) -> Result<(), BlobError> {
    let found = u64_from(given.len());
    if found == expected {
        return Ok(());
    }
    Err(BlobError::Given {
        piece,
        expected,
        found,
    })
}
