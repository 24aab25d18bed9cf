//! What can go wrong when a range is read.

use std::io;

use frame_codec::CodecError;
use image_model::{Blame, BlobId, BlobIndex, Fault, Frame, ImageError, Ino};
use verify::ExtentError;

use crate::resolve::ResolveError;
use crate::store::StoreError;

/// A range of a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The image cannot say what the range holds.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The image's extents leave a gap, overlap, or end too early.
    #[error("inode {ino}: no single extent holds byte {file_offset}")]
    Uncovered {
        /// The file.
        ino: Ino,
        /// First byte that is not covered, or covered twice.
        file_offset: u64,
    },
    /// The path leads to no inode.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The file is longer than the caller wants to hold in memory.
    #[error("inode {ino}: {size} bytes, {limit} are allowed")]
    TooLong {
        /// The file.
        ino: Ino,
        /// Its length in bytes.
        size: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// A frame is longer than the caller allows.
    #[error(
        "the frame at byte {} of blob {} has {} bytes, {} stored, of {limit} allowed",
        frame.offset, frame.blob.0, frame.len, frame.stored_len
    )]
    FrameTooLong {
        /// The frame.
        frame: Frame,
        /// Decoded bytes allowed, [`ReadOptions::max_frame_len`](crate::ReadOptions::max_frame_len).
        limit: u32,
    },
    /// A frame ends where no blob can: beyond 2^64 bytes.
    #[error(
        "the frame at byte {} of blob {} has {} stored bytes, which no blob has there",
        frame.offset, frame.blob.0, frame.stored_len
    )]
    FrameOutside {
        /// The frame.
        frame: Frame,
    },
    /// There is no such blob, or it cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Stored bytes cannot be read.
    #[error("blob `{id}`")]
    Blob {
        /// The blob.
        id: BlobId,
        /// What happened, with offset and length.
        source: blob_io::ReadError,
    },
    /// A frame does not decode.
    #[error(
        "the frame at byte {} of blob {} ({} bytes stored) does not decode",
        frame.offset, frame.blob.0, frame.stored_len
    )]
    Decode {
        /// The frame.
        frame: Frame,
        /// What is wrong with it.
        source: CodecError,
    },
    /// Bytes are not what their digest or checksum says, or lie outside their frame.
    #[error("inode {ino}: the chunk at byte {file_offset} is wrong")]
    Extent {
        /// The file.
        ino: Ino,
        /// First byte of the chunk in the file.
        file_offset: u64,
        /// What is wrong with it.
        source: ExtentError,
    },
    /// Bytes were supplied in which no missing frame lies whole.
    #[error("{len} bytes at byte {offset} of blob {} were supplied, but not asked for", blob.0)]
    Unneeded {
        /// The blob.
        blob: BlobIndex,
        /// First byte supplied.
        offset: u64,
        /// Bytes supplied.
        len: u64,
    },
    /// The destination does not take the bytes.
    #[error("cannot write what was read")]
    Write(#[source] io::Error),
}

impl Blame for ReadError {
    fn fault(&self) -> Fault {
        match self {
            Self::Image(error) => error.fault(),
            Self::Uncovered { .. } | Self::FrameOutside { .. } => Fault::Corrupt,
            Self::Resolve(error) => error.fault(),
            Self::FrameTooLong { .. } | Self::TooLong { .. } => Fault::Limit,
            Self::Store(error) => error.fault(),
            Self::Blob { source, .. } => source.fault(),
            Self::Decode { source, .. } => source.fault(),
            Self::Extent { source, .. } => source.fault(),
            Self::Unneeded { .. } => Fault::Misuse,
            Self::Write(_) => Fault::Io,
        }
    }
}
