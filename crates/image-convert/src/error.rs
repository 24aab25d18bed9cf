//! What can go wrong with a conversion.

use std::io;
use std::path::PathBuf;

use blob_io::WriteError;
use frame_codec::CodecError;
use image_model::walk::WalkError;
use image_model::{Blame, Cancelled, Fault, ImageError, ImagePath};
use verify::{ExtentError, UnsupportedDigest};

use crate::report::Loss;

/// Why a conversion failed. Nothing is left of its output.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// The target cannot carry something, and losing it was not allowed.
    #[error("{target} cannot carry this")]
    NotCarried {
        /// The target.
        target: &'static str,
        /// What, and why.
        #[source]
        loss: Loss,
    },
    /// The source image cannot be walked.
    #[error("the image cannot be walked")]
    Walk(#[from] WalkError),
    /// The source image cannot answer a question about an inode.
    #[error("{path}")]
    Image {
        /// The inode, by one of its names.
        path: ImagePath,
        /// What the image says.
        source: ImageError,
    },
    /// The content of a file cannot be read, or is not what its digests say.
    #[error("{path}: content at byte {offset}")]
    Content {
        /// The file.
        path: ImagePath,
        /// First byte of the unreadable extent.
        offset: u64,
        /// What is wrong.
        source: ExtentError,
    },
    /// A frame cannot be compressed.
    #[error("cannot compress")]
    Codec(#[from] CodecError),
    /// The digest asked for is not built in.
    #[error("cannot digest chunks")]
    Digest(#[from] UnsupportedDigest),
    /// The output cannot be created or be given its name.
    #[error("cannot make the output")]
    Output(#[from] WriteError),
    /// Writing failed.
    #[error("cannot write the output")]
    Write(#[from] io::Error),
    /// Creating or changing a file of an unpacked tree failed.
    #[error("{path}: cannot {action} below {}", output.display())]
    Unpack {
        /// The file in the image.
        path: ImagePath,
        /// What was tried.
        action: &'static str,
        /// Where the tree is to be.
        output: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The caller cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Blame for ConvertError {
    fn fault(&self) -> Fault {
        match self {
            Self::NotCarried { .. } => Fault::Unsupported,
            Self::Walk(error) => error.fault(),
            Self::Image { source, .. } => source.fault(),
            Self::Content { source, .. } => source.fault(),
            Self::Codec(error) => error.fault(),
            Self::Digest(error) => error.fault(),
            Self::Output(error) => error.fault(),
            Self::Write(_) | Self::Unpack { .. } => Fault::Io,
            Self::Cancelled(error) => error.fault(),
        }
    }
}
