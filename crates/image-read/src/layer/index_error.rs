//! Why the index of a layer cannot be built or opened.

use gzip_index::{BuildError, DecodeError};
use image_model::{Blame, Fault};
use soci_ztoc::ZtocError;
use tar_stream::{Compression, TarError};

/// The index of a layer cannot be built or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerIndexError {
    /// The index cannot be read.
    #[error("cannot read the index")]
    Read(#[from] blob_io::ReadError),
    /// The index is longer than [`Limits::max_metadata_len`](image_model::Limits::max_metadata_len).
    #[error("the index has {len} bytes; the limit is {limit}")]
    TooLong {
        /// Its length.
        len: u64,
        /// The limit.
        limit: u64,
    },
    /// The bytes are no index, or are damaged.
    #[error("cannot use the index")]
    Decode(#[from] DecodeError),
    /// The bytes are a zTOC that contradicts itself.
    #[error("cannot use the zTOC")]
    Ztoc(#[from] ZtocError),
    /// The zTOC would be too long.
    #[error(transparent)]
    ZtocTooLong(#[from] soci_ztoc::TooLong),
    /// A layer of which there are no zTOCs.
    #[error(
        "a zTOC is of a gzip layer, or of one that is not compressed; this one is {compression}"
    )]
    Compression {
        /// How it is compressed.
        compression: Compression,
    },
    /// A layer without a single byte, or a span of none.
    #[error("there is no zTOC of a layer without bytes")]
    Empty,
    /// A member of the tar that a zTOC cannot list.
    #[error("a zTOC cannot list the tar member at byte {offset}: {reason}")]
    Unlisted {
        /// First byte of the member, from the start of the tar.
        offset: u64,
        /// Why not.
        reason: Unlisted,
    },
    /// The layer is no gzip stream, or is damaged.
    #[error("cannot index the layer")]
    Build(#[from] BuildError),
    /// What the layer holds is no tar, or strict reading refuses it.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// The layer cannot be decoded.
    #[error("cannot decode the layer")]
    Layer(#[from] tar_stream::LayerError),
    /// The layer is not what the index says.
    #[error("the layer is not what the index says: {0}")]
    Differs(Difference),
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] image_model::Cancelled),
}

/// How a layer differs from its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Difference {
    /// Its digest, or its length.
    #[error("another digest or length")]
    Layer,
    /// What a span decodes to.
    #[error("span {index} has another digest")]
    Span {
        /// Its position.
        index: u64,
    },
    /// What the zTOC says of a member of the tar.
    #[error("file {index} of the zTOC is not as the tar says")]
    File {
        /// Its position.
        index: u64,
    },
    /// How many members the tar has, or where it ends.
    #[error("another number of files, or another end of the tar")]
    End,
    /// A header of its tar, from this byte of the tar on.
    #[error("the header of the tar at byte {offset} is another one")]
    Header {
        /// The byte.
        offset: u64,
    },
}

/// Why a zTOC cannot list a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unlisted {
    /// It is no file.
    #[error("members of type {typeflag:#04x} are not files")]
    Kind {
        /// Its type.
        typeflag: u8,
    },
    /// It has a sparse map.
    #[error("it is sparse, and its content would be read from other places")]
    Sparse,
    /// A PAX header for all further members comes before it.
    #[error("there is a PAX header for all further members")]
    Global,
}

impl Blame for LayerIndexError {
    fn fault(&self) -> Fault {
        match self {
            Self::Read(error) => error.fault(),
            Self::TooLong { .. } => Fault::Limit,
            Self::Decode(error) => error.fault(),
            Self::Ztoc(error) => error.fault(),
            Self::ZtocTooLong(error) => error.fault(),
            Self::Compression { .. } | Self::Unlisted { .. } | Self::Empty => Fault::Unsupported,
            Self::Build(error) => error.fault(),
            Self::Tar(error) => error.fault(),
            Self::Layer(error) => error.fault(),
            Self::Differs(_) => Fault::Corrupt,
            Self::Cancelled(error) => error.fault(),
        }
    }
}
