//! Why a blob's metadata cannot be used.

use bytes::Bytes;
use frame_codec::CodecError;
use image_model::width::u64_from;
use image_model::{Blame, BlobIndex, Fault};
use verify::CheckError;

use super::chunk_info::ChunkFault;
use super::layout::Section;
use crate::error::DecodeError;
use crate::flags::FlagsError;

/// Why a blob's metadata cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// A piece of the blob has another length than it must have: the caller gave the wrong bytes.
    #[error("{piece}: {found} bytes given, {expected} expected")]
    Given {
        /// What was given.
        piece: &'static str,
        /// Bytes expected.
        expected: u64,
        /// Bytes given.
        found: u64,
    },
    /// The file is too short for a range that its metadata name.
    #[error("{piece} at {offset}, {len} bytes, does not fit a blob of {blob_len} bytes")]
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
    #[error("header of the chunk information: magic {found:#010x} at byte {offset}")]
    HeaderMagic {
        /// Byte in the header: 0 or 4092.
        offset: usize,
        /// What is there instead of `0xb10bb10b`.
        found: u32,
    },
    /// The blob contradicts the bootstrap's blob table.
    #[error("{field} is {found}, the blob table says {expected}")]
    Contradiction {
        /// What differs.
        field: &'static str,
        /// Value in the blob table.
        expected: u64,
        /// Value in the blob.
        found: u64,
    },
    /// A blob has 1 to 2^24 chunks.
    #[error("{count} chunks, where 1 to 2^24 are allowed")]
    ChunkCount {
        /// Declared number.
        count: u32,
    },
    /// The chunk information has another length than its entries need.
    #[error("chunk information of {found} bytes, but its entries need {expected}")]
    CiLen {
        /// Bytes that the entries need.
        expected: u64,
        /// Declared plain bytes.
        found: u64,
    },
    /// The chunk information is larger stored than plain, or smaller although not compressed.
    #[error("chunk information of {len} bytes is stored in {stored_len}")]
    CiStoredLen {
        /// Plain bytes.
        len: u64,
        /// Stored bytes.
        stored_len: u64,
    },
    /// An entry of the chunk information is wrong.
    #[error("chunk {index}")]
    Chunk {
        /// Position of the entry.
        index: u32,
        /// What is wrong.
        #[source]
        fault: ChunkFault,
    },
    /// No such entry.
    #[error("chunk {index} of a blob with {count} chunks")]
    NoSuchChunk {
        /// Position asked for.
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
    #[error("{piece}: {declared} declared, at most {limit} allowed")]
    Limit {
        /// What is too much.
        piece: &'static str,
        /// Declared amount.
        declared: u64,
        /// Allowed amount.
        limit: u64,
    },
    /// A tar header is damaged, or is none.
    #[error("tar header at {offset}: {fault}")]
    TarHeader {
        /// First byte, from the start of the blob.
        offset: u64,
        /// What is wrong.
        fault: TarHeaderFault,
    },
    /// A tar header names no section that there is.
    #[error("the tar header at {offset} names no section")]
    UnknownSection {
        /// First byte of the header, from the start of the blob.
        offset: u64,
    },
    /// A section comes twice, or behind one that it belongs in front of.
    #[error("section `{}` does not belong at {offset}", section.name())]
    SectionOrder {
        /// The section.
        section: Section,
        /// First byte, from the start of the blob.
        offset: u64,
    },
    /// The blob begins with bytes that no section holds.
    #[error("the first {len} bytes of the blob are in no section")]
    Stray {
        /// Bytes.
        len: u64,
    },
    /// The chunk information does not lie in front of its header.
    #[error(
        "chunk information at {offset}, {len} bytes, whose header says that it is at {found}, {found_len} bytes"
    )]
    CiRange {
        /// First byte that it has.
        offset: u64,
        /// Bytes in front of the header.
        len: u64,
        /// First byte according to the header.
        found: u64,
        /// Bytes according to the header.
        found_len: u64,
    },
    /// The header of the chunk information describes a blob that no blob table can list.
    #[error(transparent)]
    Entry(#[from] DecodeError),
    /// Bytes that no reader looks at are not zero.
    #[error("reserved bytes of the {structure} are not zero")]
    Reserved {
        /// The structure.
        structure: &'static str,
    },
    /// The header of the chunk information says where zran or batch contexts are, in a blob that has
    /// none. Readers pass it by.
    #[error("the header of the chunk information has contexts, of a blob without zran and batches")]
    Contexts,
    /// The TOC is damaged: its entries are no multiple of 128 bytes.
    #[error("TOC of {len} bytes, which is no multiple of 128")]
    TocLen {
        /// Bytes of entries.
        len: u64,
    },
    /// A TOC entry names no compressor that there is.
    #[error("TOC entry {index}: flags {flags:#x} do not name one compressor")]
    TocFlags {
        /// Position in the TOC.
        index: usize,
        /// The flags.
        flags: u32,
    },
    /// Neither a bootstrap nor a TOC that could list one ends the blob.
    #[error("the blob ends with no bootstrap: open the one that lists it instead")]
    NoBootstrap,
    /// The bootstrap lists no such blob.
    #[error("blob {} of an image with {count} blobs", index.0)]
    NoSuchBlob {
        /// Position asked for.
        index: BlobIndex,
        /// Blobs.
        count: usize,
    },
    /// Blobs of images of version 5 say nothing of their chunks.
    #[error("blob {} is one of RAFS v5, which has no chunk information", index.0)]
    NoChunkInformation {
        /// Position of the blob.
        index: BlobIndex,
    },
    /// Something else than a TOC, or nothing, ends the blob.
    #[error("the blob does not end with a TOC")]
    NoToc,
    /// The data is not in the blob: that of zran mode is the gzip layer that the blob belongs to.
    #[error(
        "entry {index} of the TOC: the data of {len} bytes is a gzip layer of its own (zran mode), which is not supported"
    )]
    DataElsewhere {
        /// Position of the entry.
        index: usize,
        /// Bytes of the layer.
        len: u64,
    },
    /// A section has no entry in the TOC.
    #[error("the TOC has no entry `{}`", section.name())]
    NoSection {
        /// The section.
        section: Section,
    },
    /// A section cannot be decompressed.
    #[error("section `{section}` cannot be decompressed")]
    Decompress {
        /// Name of the section.
        section: String,
        /// Why.
        #[source]
        source: CodecError,
    },
    /// A section is not what its digest says.
    #[error("section `{section}` is damaged")]
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
    #[error("no GNU magic")]
    Magic,
    /// The checksum is another one.
    #[error("its checksum does not match")]
    Checksum,
    /// It heads no regular file.
    #[error("type {found:#04x} is no regular file")]
    Kind {
        /// The type flag.
        found: u8,
    },
    /// The size is not octal.
    #[error("its size is no octal number")]
    Size,
    /// Fields that mean nothing have other bytes than every writer gives them.
    #[error("it has bytes that mean nothing")]
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
            Self::Features { .. } | Self::DataElsewhere { .. } => Fault::Unsupported,
            Self::Limit { .. } => Fault::Limit,
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
            | Self::TocLen { .. }
            | Self::TocFlags { .. }
            | Self::NoToc
            | Self::NoSection { .. } => Fault::Corrupt,
        }
    }
}

/// Checks that the caller gave the bytes that it was asked for.
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
