//! The pieces handed out.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use image_model::{Extent, Ino};
use verify::ExtentBytes;

use super::decoded::DecodedFrame;
use super::error::ReadError;

/// A piece of a file that was wanted.
#[derive(Debug)]
#[non_exhaustive]
pub struct Piece {
    /// The tag of the want.
    pub tag: u64,
    /// The file.
    pub ino: Ino,
    /// The extent that holds it.
    pub extent: Extent,
    /// First byte in the file. A want may be handed out in several pieces, in order.
    pub file_offset: u64,
    /// Bytes of the piece, even if they cannot be read.
    pub len: u64,
    /// The bytes, or why they cannot be read.
    pub bytes: Result<PieceBytes, ReadError>,
}

/// Bytes of a file, shared with their frame without copying.
#[derive(Debug, Clone)]
pub struct PieceBytes(Held);

#[derive(Debug, Clone)]
enum Held {
    Zeros(u64),
    Frame(Arc<DecodedFrame>, Range<usize>),
    Plain(Bytes),
}

impl PieceBytes {
    pub(super) fn zeros(len: u64) -> Self {
        Self(Held::Zeros(len))
    }

    pub(super) fn plain(bytes: Bytes) -> Self {
        Self(Held::Plain(bytes))
    }

    /// A range that lies in the frame.
    pub(super) fn of(frame: Arc<DecodedFrame>, range: Range<usize>) -> Self {
        Self(Held::Frame(frame, range))
    }

    /// The bytes.
    #[must_use]
    pub fn as_ref(&self) -> ExtentBytes<'_> {
        match &self.0 {
            Held::Zeros(len) => ExtentBytes::Zeros(*len),
            Held::Frame(frame, range) => ExtentBytes::Data(&frame[range.clone()]),
            Held::Plain(bytes) => ExtentBytes::Data(bytes),
        }
    }
}

impl Default for PieceBytes {
    /// No bytes.
    fn default() -> Self {
        Self::zeros(0)
    }
}
