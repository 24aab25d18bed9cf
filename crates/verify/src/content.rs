//! Reading the content of files, verified.

use std::error::Error;
use std::fmt;

use image_model::{Blame, Extent, ExtentSource, Fault, Frame};

use crate::hash::{CheckError, check, check_crc32c};

/// Where decoded frames come from: whoever holds an image's blobs implements it.
pub trait FrameSource {
    /// The decoded bytes of `frame`: [`Frame::len`] of them. Nothing about them is verified.
    ///
    /// Neighbouring chunks of one frame are asked for one after the other: keep the last frame.
    ///
    /// # Errors
    /// [`ContentError`] if the frame cannot be read or does not decode.
    fn frame(&mut self, frame: &Frame) -> Result<&[u8], ContentError>;
}

impl<S: FrameSource + ?Sized> FrameSource for &mut S {
    fn frame(&mut self, frame: &Frame) -> Result<&[u8], ContentError> {
        (**self).frame(frame)
    }
}

impl<S: FrameSource + ?Sized> FrameSource for Box<S> {
    fn frame(&mut self, frame: &Frame) -> Result<&[u8], ContentError> {
        (**self).frame(frame)
    }
}

/// What a [`FrameSource`] answers when a frame cannot be had.
///
/// `source()` is the source's own typed error.
#[derive(Debug)]
pub struct ContentError {
    fault: Fault,
    source: Box<dyn Error + Send + Sync>,
}

impl ContentError {
    /// Wraps the source's error.
    pub fn new(source: impl Blame + Send + Sync + 'static) -> Self {
        Self {
            fault: source.fault(),
            source: Box::new(source),
        }
    }
}

impl Blame for ContentError {
    fn fault(&self) -> Fault {
        self.fault
    }
}

impl fmt::Display for ContentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the frame cannot be read ({})", self.fault)
    }
}

impl Error for ContentError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// The bytes of an extent cannot be had, or are wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtentError {
    /// The frame cannot be read or decoded.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The chunk ends outside its frame.
    #[error("a chunk of {len} bytes at byte {offset_in_frame} leaves its frame of {frame_len}")]
    OutsideFrame {
        /// First byte of the chunk in the decoded frame.
        offset_in_frame: u32,
        /// Bytes of the chunk.
        len: u64,
        /// Decoded bytes of the frame.
        frame_len: u64,
    },
    /// The bytes differ from their digest or checksum.
    #[error(transparent)]
    Check(#[from] CheckError),
}

impl Blame for ExtentError {
    fn fault(&self) -> Fault {
        match self {
            Self::Content(error) => error.fault(),
            Self::OutsideFrame { .. } => Fault::Corrupt,
            Self::Check(error) => error.fault(),
        }
    }
}

/// The bytes of an extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtentBytes<'a> {
    /// That many zeros.
    Zeros(u64),
    /// These, as many as the extent is long.
    Data(&'a [u8]),
}

/// The bytes of `extent`, compared with its digest or, where it has none, with its CRC-32C.
///
/// An extent that carries neither cannot be verified: the image vouches for nothing there, and
/// the bytes are returned as they are.
///
/// # Errors
/// [`ExtentError`] if the frame cannot be read, is too short, or the bytes are wrong.
pub fn read_extent<'s>(
    source: &'s mut dyn FrameSource,
    extent: &Extent,
) -> Result<ExtentBytes<'s>, ExtentError> {
    let bytes = read_extent_unverified(source, extent)?;
    if let (ExtentSource::Chunk { digest, crc32c, .. }, ExtentBytes::Data(data)) =
        (extent.source, bytes)
    {
        match (digest, crc32c) {
            (Some(digest), _) => check(&digest, data)?,
            (None, Some(crc32c)) => check_crc32c(crc32c, data)?,
            (None, None) => {}
        }
    }
    Ok(bytes)
}

/// The bytes of `extent`, whatever its digest says.
///
/// # Errors
/// [`ExtentError`] if the frame cannot be read or is too short.
pub fn read_extent_unverified<'s>(
    source: &'s mut dyn FrameSource,
    extent: &Extent,
) -> Result<ExtentBytes<'s>, ExtentError> {
    match extent.source {
        ExtentSource::Zeros => Ok(ExtentBytes::Zeros(extent.len)),
        ExtentSource::Chunk {
            frame,
            offset_in_frame,
            ..
        } => {
            let decoded = source.frame(&frame)?;
            let start = offset_in_frame as usize;
            let bytes = usize::try_from(extent.len)
                .ok()
                .and_then(|len| start.checked_add(len))
                .and_then(|end| decoded.get(start..end));
            bytes
                .map(ExtentBytes::Data)
                .ok_or(ExtentError::OutsideFrame {
                    offset_in_frame,
                    len: extent.len,
                    frame_len: decoded.len() as u64,
                })
        }
    }
}
