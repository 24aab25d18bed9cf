//! What can go wrong with a conversion.

use std::io;
use std::path::PathBuf;

use blob_io::WriteError;
use chunk_dedup::DictionaryError;
use estargz_toc::error::EntryFault;
use estargz_toc::write::ListingError;
use frame_codec::CodecError;
use image_model::order::PathsTooLong;
use image_model::walk::WalkError;
use image_model::{Blame, Cancelled, Codec, Fault, ImageError, ImagePath};
use image_read::LayerImageError;
use rafs_format::blob::BuildError;
use rafs_format::flags::FlagsError;
use rafs_format::layout::EncodeError;
use rafs_format::merge::MergeError;
use tar_stream::{MemberError, TarError};
use verify::UnsupportedDigest;

use crate::kept_tar::KeptTarError;
use crate::rafs::KeepBlobsError;
use crate::report::Loss;
use crate::source::FileContentError;

/// Why a conversion failed. No output is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// The target cannot carry something, and losses were not allowed.
    #[error("{target} cannot carry the image")]
    NotCarried {
        /// The target.
        target: &'static str,
        /// What, and why.
        #[source]
        loss: Loss,
    },
    /// The source image cannot be walked.
    #[error("cannot walk the image")]
    Walk(#[from] WalkError),
    /// An inode of the source image cannot be read.
    #[error("{path:#}: cannot read the inode")]
    Image {
        /// The inode, by one of its names.
        path: ImagePath,
        /// Why not.
        source: ImageError,
    },
    /// The content of a file cannot be read, or does not match its digests.
    #[error("{path:#}: cannot read the content")]
    Content {
        /// The file.
        path: ImagePath,
        /// What is wrong, and where.
        source: image_read::ReadError,
    },
    /// A stored frame that is to be [kept](crate::Source::keep_frames) cannot be read again.
    #[error("cannot read a stored frame once more")]
    Frame(#[source] image_read::ReadError),
    /// The files of an image together hold more than is allowed.
    #[error(transparent)]
    TooMuchContent(image_read::ReadError),
    /// The layer is truncated or corrupt, or its compression is not supported.
    #[error("cannot read the layer")]
    Layer(#[from] tar_stream::LayerError),
    /// The tar cannot be read.
    #[error("cannot read the tar")]
    Tar(#[from] TarError),
    /// A member of the tar cannot be part of a tree.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// A layer of a [stack](crate::Source::stack) cannot be converted.
    #[error("cannot convert layer {layer} of the stack, counted from 0, the lowest")]
    InLayer {
        /// Its position.
        layer: usize,
        /// Why not.
        source: Box<ConvertError>,
    },
    /// The layers of a [stack](crate::Source::stack) are too many or too large to form one image.
    #[error(transparent)]
    Stack(image_read::StackError),
    /// The bootstrap of a [stack](crate::Source::stack) cannot be part of one of its blobs.
    #[error("the bootstrap of several layers cannot be put into a blob of one of them")]
    InlinedStack,
    /// The bootstrap has the key in clear, so that a blob that holds it is not secret.
    #[error("an encrypted blob cannot hold its bootstrap, which has the key in clear")]
    InlinedKey,
    /// A file of 18 bytes that nydus would read as a shorter one, once it is encrypted.
    #[error("a file has 18 bytes that end in 0x78 0x90: nydus misreads it when it is encrypted")]
    LooksPadded,
    /// An entry does not belong in the layer.
    #[error("cannot make a tree of the layer")]
    Entry(#[from] image_model::layer::LayerError),
    /// The content of a file of a [`Tree`](image_model::Tree) cannot be read.
    #[error("{path:#}: cannot read the content")]
    FileContent {
        /// The file.
        path: ImagePath,
        /// Why not.
        source: FileContentError,
    },
    /// More chunks than [`Limits`](image_model::Limits) allow.
    #[error("{path:#}: with this file there are more than {limit} chunks")]
    TooManyChunks {
        /// The file that exceeds the limit.
        path: ImagePath,
        /// The bound, [`Limits::max_chunks`](image_model::Limits::max_chunks).
        limit: u32,
    },
    /// The tar would be longer than [`Limits`](image_model::Limits) allow.
    #[error("{path:#}: with this file the tar is longer than {limit} bytes")]
    TarTooLong {
        /// The file that exceeds the limit.
        path: ImagePath,
        /// The bound, [`Limits::max_layer_len`](image_model::Limits::max_layer_len).
        limit: u64,
    },
    /// A tar cannot be written.
    #[error("cannot write the tar")]
    TarWrite(#[from] tar_stream::WriteError),
    /// Layers cannot use this codec.
    #[error("a layer cannot be compressed with {codec}")]
    NoLayerCodec {
        /// The codec requested.
        codec: Codec,
    },
    /// Chunks of an eStargz layer would be empty, or longer than readers accept.
    #[error("invalid chunk size {chunk_size}: readers accept 1 to {limit}")]
    ChunkSize {
        /// The size requested.
        chunk_size: u32,
        /// The bound, that of the default [`Limits::max_frame_len`](image_model::Limits::max_frame_len).
        limit: u32,
    },
    /// Members of a layer would be longer than readers accept.
    #[error(
        "minimum chunk size {min_chunk_size} is too large: with this chunk size it is at most {limit}"
    )]
    MinChunkSize {
        /// The size requested.
        min_chunk_size: u32,
        /// The bound.
        limit: u32,
    },
    /// Content-defined chunks cannot have these sizes.
    #[error(transparent)]
    ChunkSizes(#[from] chunk_dedup::ChunkSizesError),
    /// RAFS does not have this compression.
    #[error("RAFS does not support this compression")]
    Flags(#[from] FlagsError),
    /// The chunks of the image cannot be looked up.
    #[error("cannot use the image as a chunk dictionary")]
    Pool(#[from] MergeError),
    /// The image cannot refer to the blobs of its chunk dictionary.
    #[error("the chunk dictionary has a different {what} than requested for the image")]
    Dictionary {
        /// What differs.
        what: &'static str,
    },
    /// A chunk dictionary is damaged, or cannot be written.
    #[error("cannot use the chunk dictionary")]
    DictionaryFile(#[from] DictionaryError),
    /// A chunk dictionary is not one of RAFS images, or tells of chunks that its blobs cannot have.
    #[error("the chunk dictionary has something that RAFS images cannot refer to")]
    DictionaryContent(#[from] rafs_format::DecodeError),
    /// The image cannot be given a bootstrap of the other version over its existing blobs.
    #[error("cannot keep the blobs of the image")]
    KeepBlobs(#[from] KeepBlobsError),
    /// The data blob cannot be built.
    #[error("cannot build the blob")]
    Blob(#[from] BuildError),
    /// The layer cannot be spooled, or is not an image.
    #[error("cannot open the layer as an image")]
    LayerImage(#[from] LayerImageError),
    /// The paths of a tar's members take too much memory.
    #[error("cannot sort the names of the layer")]
    Paths(#[from] PathsTooLong),
    /// A member of an eStargz layer cannot be placed.
    #[error("cannot place a member in the eStargz layer")]
    Placement(#[from] EntryFault),
    /// The image cannot be written as a TOC.
    #[error("cannot write the TOC")]
    Toc(#[from] ListingError),
    /// A gzip layer is damaged, or cannot be entered often enough.
    #[cfg(feature = "gzip-index")]
    #[error("cannot find out where the layer can be entered")]
    GzipLayer(#[from] gzip_index::BuildError),
    /// A sparse file, whose content does not lie in the tar as it is.
    #[error("{path:#}: a sparse file cannot be read from the layer as it is")]
    Sparse {
        /// The file.
        path: ImagePath,
    },
    /// A tar that is to be kept bit for bit has a member that a table of contents cannot describe.
    #[error("cannot keep the tar as it is")]
    KeptTar(#[from] KeptTarError),
    /// Metadata of a zstd:chunked layer would be longer than readers accept.
    #[error("the {what} is longer than {limit} bytes")]
    MetadataTooLong {
        /// What it is: `TOC` or `tar-split`.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// Options that exclude each other.
    #[error("{0}")]
    Options(&'static str),
    /// The image cannot be written as a bootstrap.
    #[error("cannot write the bootstrap")]
    Bootstrap(#[from] EncodeError),
    /// The image cannot be written as EROFS.
    #[error("cannot write the EROFS image")]
    Erofs(#[from] erofs_format::EncodeError),
    /// Content of an EROFS image cannot be spooled until the metadata before it is known.
    #[error("cannot spool content to a temporary file in {}", directory.display())]
    Spool {
        /// Where it was to be.
        directory: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A frame cannot be compressed.
    #[error("cannot compress a frame")]
    Codec(#[from] CodecError),
    /// The digest algorithm requested is not built in.
    #[error("cannot digest chunks")]
    Digest(#[from] UnsupportedDigest),
    /// The output cannot be created or given its name.
    #[error("cannot create the output")]
    Output(#[from] WriteError),
    /// Writing failed.
    #[error("cannot write the output")]
    Write(#[from] io::Error),
    /// An owner or group that no file on a Unix system can have.
    #[error("{path:#}: no file can have owner {uid} and group {gid}")]
    Owner {
        /// The file in the image.
        path: ImagePath,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// Creating or changing a file of an unpacked tree failed.
    #[error("{path:#}: cannot {action} below {}", output.display())]
    Unpack {
        /// The file in the image.
        path: ImagePath,
        /// What was tried.
        action: &'static str,
        /// Where the tree is unpacked.
        output: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The conversion failed, and its partial output cannot be removed.
    #[error("{failure}; {remains}")]
    Remains {
        /// Why the conversion failed.
        #[source]
        failure: Box<ConvertError>,
        /// What remains, and where.
        remains: WriteError,
    },
    /// The caller cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl ConvertError {
    /// `error` as that of the layer at `position` of a stack.
    pub(crate) fn in_layer(position: usize, error: Self) -> Self {
        Self::InLayer {
            layer: position,
            source: Box::new(error),
        }
    }
}

impl Blame for ConvertError {
    fn fault(&self) -> Fault {
        match self {
            Self::NotCarried { .. } => Fault::Unsupported,
            Self::InLayer { source, .. } => source.fault(),
            Self::Stack(error) => error.fault(),
            Self::InlinedStack | Self::InlinedKey | Self::Dictionary { .. } => Fault::Misuse,
            Self::LooksPadded => Fault::Unsupported,
            Self::Walk(error) => error.fault(),
            Self::Image { source, .. } => source.fault(),
            Self::Content { source, .. } | Self::TooMuchContent(source) | Self::Frame(source) => {
                source.fault()
            }
            Self::Layer(error) => error.fault(),
            Self::Tar(error) => error.fault(),
            Self::Member(error) => error.fault(),
            Self::Entry(error) => error.fault(),
            Self::FileContent { source, .. } => source.fault(),
            Self::TooManyChunks { .. } | Self::TarTooLong { .. } => Fault::Limit,
            Self::TarWrite(error) => error.fault(),
            Self::NoLayerCodec { .. } | Self::ChunkSize { .. } | Self::MinChunkSize { .. } => {
                Fault::Misuse
            }
            Self::ChunkSizes(error) => error.fault(),
            Self::Flags(error) => error.fault(),
            Self::Pool(error) => error.fault(),
            Self::DictionaryFile(error) => error.fault(),
            Self::DictionaryContent(error) => error.fault(),
            Self::KeepBlobs(error) => error.fault(),
            Self::Blob(error) => error.fault(),
            Self::LayerImage(error) => error.fault(),
            Self::Paths(error) => error.fault(),
            Self::Placement(error) => error.fault(),
            Self::Toc(error) => error.fault(),
            Self::KeptTar(error) => error.fault(),
            #[cfg(feature = "gzip-index")]
            Self::GzipLayer(error) => error.fault(),
            Self::Sparse { .. } => Fault::Unsupported,
            Self::MetadataTooLong { .. } => Fault::Limit,
            Self::Options(_) => Fault::Misuse,
            Self::Bootstrap(error) => error.fault(),
            Self::Erofs(error) => error.fault(),
            Self::Codec(error) => error.fault(),
            Self::Digest(error) => error.fault(),
            Self::Output(error) => error.fault(),
            Self::Owner { .. } => Fault::Unsupported,
            Self::Remains { failure, .. } => failure.fault(),
            Self::Write(_) | Self::Unpack { .. } | Self::Spool { .. } => Fault::Io,
            Self::Cancelled(error) => error.fault(),
        }
    }
}
