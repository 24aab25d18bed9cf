//! What can go wrong when reading content.

use std::io;
use std::sync::Arc;

use frame_codec::CodecError;
use image_model::{Blame, BlobId, BlobIndex, Cancelled, Fault, Frame, FrameId, ImageError, Ino};
use verify::{CheckError, ContentError};

use crate::blobs::StoreError;
use crate::resolve::ResolveError;

/// Content cannot be read, or is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The image's metadata of the range cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The image's extents leave a gap, overlap, or end too early or too late.
    #[error("inode {ino}: byte {file_offset} is not in exactly one extent")]
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
    #[error("inode {ino}: the file has {size} bytes; the limit is {limit}")]
    TooLong {
        /// The file.
        ino: Ino,
        /// Its length in bytes.
        size: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The files hold more than is allowed, or more than what is stored for them warrants.
    #[error(
        "the files have {len} bytes, {stored} of them stored, which exceeds the limit of {limit} bytes"
    )]
    TooMuch {
        /// Bytes of the files, holes and repeated chunks included.
        len: u64,
        /// Decoded bytes that are stored for them.
        stored: u64,
        /// The bound that they exceed, [`Limits::max_content_len`], [`Limits::max_hole_len`] or
        /// [`Limits::max_repeat_len`].
        ///
        /// [`Limits::max_content_len`]: image_model::Limits::max_content_len
        /// [`Limits::max_hole_len`]: image_model::Limits::max_hole_len
        /// [`Limits::max_repeat_len`]: image_model::Limits::max_repeat_len
        limit: u64,
    },
    /// The stored bytes of a piece of a file cannot be read.
    #[error("inode {ino}: cannot read the content at byte {file_offset}")]
    Frame {
        /// The file.
        ino: Ino,
        /// First byte of the piece in the file.
        file_offset: u64,
        /// Why not. Pieces of one frame share it.
        source: Arc<FrameError>,
    },
    /// Bytes do not match their digest or checksum.
    #[error("inode {ino}: the chunk at byte {file_offset} is corrupt")]
    Chunk {
        /// The file.
        ino: Ino,
        /// First byte of the chunk in the file.
        file_offset: u64,
        /// What is wrong with it.
        source: CheckError,
    },
    /// According to the image, a chunk ends outside its frame.
    #[error(
        "inode {ino}: the chunk at byte {file_offset}, {len} bytes at byte {offset_in_frame} of its frame, \
         ends outside that frame of {frame_len} bytes"
    )]
    OutsideFrame {
        /// The file.
        ino: Ino,
        /// First byte of the chunk in the file.
        file_offset: u64,
        /// First byte of the chunk in the decoded frame.
        offset_in_frame: u32,
        /// Length of the chunk in bytes.
        len: u64,
        /// Decoded bytes of the frame.
        frame_len: u32,
    },
    /// Bytes were supplied that were not requested.
    #[error("{len} bytes at byte {offset} of blob {} were supplied, but not requested", blob.0)]
    Unneeded {
        /// The blob.
        blob: BlobIndex,
        /// First byte supplied.
        offset: u64,
        /// Bytes supplied.
        len: u64,
    },
    /// Writing to the destination failed.
    #[error("cannot write the content that was read")]
    Write(#[source] io::Error),
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl ReadError {
    /// The file and the byte that the error is about, if any.
    #[must_use]
    pub fn place(&self) -> Option<(Ino, u64)> {
        match self {
            Self::Uncovered { ino, file_offset }
            | Self::Frame {
                ino, file_offset, ..
            }
            | Self::Chunk {
                ino, file_offset, ..
            }
            | Self::OutsideFrame {
                ino, file_offset, ..
            } => Some((*ino, *file_offset)),
            Self::TooLong { ino, .. } => Some((*ino, 0)),
            Self::Image(error) => error.ino().map(|ino| (ino, 0)),
            _ => None,
        }
    }
}

impl Blame for ReadError {
    fn fault(&self) -> Fault {
        match self {
            Self::Image(error) => error.fault(),
            Self::Uncovered { .. } | Self::OutsideFrame { .. } => Fault::Corrupt,
            Self::Resolve(error) => error.fault(),
            Self::TooLong { .. } | Self::TooMuch { .. } => Fault::Limit,
            Self::Frame { source, .. } => source.fault(),
            Self::Chunk { source, .. } => source.fault(),
            Self::Unneeded { .. } => Fault::Misuse,
            Self::Write(_) => Fault::Io,
            Self::Cancelled(error) => error.fault(),
        }
    }
}

impl From<ReadError> for ContentError {
    fn from(error: ReadError) -> Self {
        let (ino, file_offset) = match error.place() {
            Some((ino, file_offset)) => (Some(ino), file_offset),
            None => (None, 0),
        };
        Self::new(ino, file_offset, error)
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        let kind = match error.fault() {
            Fault::Corrupt => io::ErrorKind::InvalidData,
            Fault::Unsupported => io::ErrorKind::Unsupported,
            Fault::Misuse => io::ErrorKind::InvalidInput,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// Maximum number of bytes decoded again, per byte handed out and per byte of the distinct frames.
pub(super) const AGAIN_RATIO: u64 = 16;

/// A frame, or a plain range of a blob, cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The image does not have it.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A frame is longer than the caller allows.
    #[error(
        "the frame at byte {} of blob {} has {} bytes, {} stored; the limit is {limit}",
        frame.offset, frame.blob.0, frame.len, frame.stored_len
    )]
    TooLong {
        /// The frame.
        frame: Frame,
        /// Decoded bytes allowed, [`Limits::max_frame_len`](image_model::Limits::max_frame_len).
        limit: u32,
    },
    /// A frame is needed again and again, for too few bytes each time.
    #[error(
        "the frame at byte {} of blob {} would have to be decoded again: {decoded} bytes were decoded \
         repeatedly already, {AGAIN_RATIO} times as many as were read",
        frame.offset, frame.blob.0
    )]
    Again {
        /// The frame.
        frame: Frame,
        /// Bytes that were decoded repeatedly.
        decoded: u64,
    },
    /// Bytes that end where no blob can: beyond 2^64.
    #[error("{len} bytes at byte {offset} of blob {} end beyond the maximum length of a blob", blob.0)]
    Outside {
        /// The blob.
        blob: BlobIndex,
        /// First byte.
        offset: u64,
        /// Number of bytes.
        len: u64,
    },
    /// There is no such blob, or it cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Stored bytes cannot be read.
    #[error("cannot read blob `{id}`")]
    Blob {
        /// The blob.
        id: BlobId,
        /// What happened, with offset and length.
        source: blob_io::ReadError,
    },
    /// The image has no such recipe.
    #[error("the frame at byte {} of blob {} has no recipe {}", frame.offset, frame.blob.0, frame.recipe.0)]
    Recipe {
        /// The frame.
        frame: Frame,
    },
    /// A frame does not decode.
    #[error(
        "cannot decode the frame at byte {} of blob {} ({} bytes stored)",
        frame.offset, frame.blob.0, frame.stored_len
    )]
    Decode {
        /// The frame.
        frame: Frame,
        /// What is wrong with it.
        source: CodecError,
    },
    /// A frame is not what vouches for it.
    #[error("the frame at byte {} of blob {} is corrupt", frame.offset, frame.blob.0)]
    Vouched {
        /// The frame.
        frame: Frame,
        /// What is wrong with it.
        source: CheckError,
    },
    /// The [`Job`](crate::Job) with the frame was dropped, or panicked.
    #[error("frame {} was not decoded", frame.0)]
    Lost {
        /// The frame.
        frame: FrameId,
    },
}

impl Blame for FrameError {
    fn fault(&self) -> Fault {
        match self {
            Self::Image(error) => error.fault(),
            Self::TooLong { .. } | Self::Again { .. } => Fault::Limit,
            Self::Outside { .. } | Self::Recipe { .. } => Fault::Corrupt,
            Self::Store(error) => error.fault(),
            Self::Blob { source, .. } => source.fault(),
            Self::Decode { source, .. } => source.fault(),
            Self::Vouched { source, .. } => source.fault(),
            Self::Lost { .. } => Fault::Misuse,
        }
    }
}
