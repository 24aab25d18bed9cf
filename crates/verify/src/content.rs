//! Reading the content of files, verified.

use std::error::Error;
use std::fmt;

use image_model::{Blame, BlobId, BlobIndex, Digest, Extent, ExtentSource, Fault, Frame, Image};

use crate::hash::{CheckError, check, check_crc32c};

/// Where decoded frames come from: whoever holds an image's blobs implements it.
///
/// ```
/// use image_model::{Blame, Fault, Frame};
/// use lazyoci_verify::{ContentError, FrameSource};
///
/// /// One blob in memory whose frames are not compressed.
/// struct Memory(Vec<u8>);
///
/// #[derive(Debug, thiserror::Error)]
/// #[error("no frame at byte {0}")]
/// struct NoFrame(u64);
///
/// impl Blame for NoFrame {
///     fn fault(&self) -> Fault {
///         Fault::Corrupt
///     }
/// }
///
/// impl FrameSource for Memory {
///     fn frame(&mut self, frame: &Frame) -> Result<&[u8], ContentError> {
///         let start = usize::try_from(frame.offset).unwrap_or(usize::MAX);
///         let bytes = self.0.get(start..).and_then(|rest| rest.get(..frame.len as usize));
///         bytes.ok_or_else(|| ContentError::new(NoFrame(frame.offset)))
///     }
/// }
/// ```
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

/// Where a chunk is stored, for error messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAt {
    /// Position of the blob in the image's list.
    pub blob: BlobIndex,
    /// Name of the blob, if the list has it.
    pub blob_id: Option<BlobId>,
    /// First stored byte of the frame in the blob.
    pub frame_offset: u64,
    /// First byte of the chunk in the decoded frame.
    pub offset_in_frame: u32,
}

impl fmt::Display for StoredAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.blob_id {
            Some(id) => write!(f, "blob {id}")?,
            None => write!(f, "unknown blob {}", self.blob.0)?,
        }
        write!(f, " byte {}", self.frame_offset)?;
        if self.offset_in_frame > 0 {
            write!(f, ", {} into the frame", self.offset_in_frame)?;
        }
        Ok(())
    }
}

/// The chunk of an extent.
#[derive(Debug, Clone, Copy, Hash)]
pub(crate) struct StoredChunk {
    pub(crate) frame: Frame,
    pub(crate) offset_in_frame: u32,
    pub(crate) len: u64,
    pub(crate) digest: Option<Digest>,
    pub(crate) crc32c: Option<u32>,
}

impl StoredChunk {
    /// `None` for a run of zeros.
    pub(crate) fn of(extent: &Extent) -> Option<Self> {
        match extent.source {
            ExtentSource::Zeros => None,
            ExtentSource::Chunk {
                frame,
                offset_in_frame,
                digest,
                crc32c,
            } => Some(Self {
                frame,
                offset_in_frame,
                len: extent.len,
                digest,
                crc32c,
            }),
        }
    }

    pub(crate) fn read_unverified<'s>(
        &self,
        source: &'s mut dyn FrameSource,
    ) -> Result<&'s [u8], ExtentError> {
        self.check_place(self.frame.len.into())?;
        let decoded = source.frame(&self.frame)?;
        self.check_place(decoded.len() as u64)?;
        let start = self.offset_in_frame as usize;
        Ok(&decoded[start..start + self.len as usize])
    }

    /// Whether the chunk lies in its frame of `frame_len` decoded bytes.
    pub(crate) fn check_place(&self, frame_len: u64) -> Result<(), ExtentError> {
        let end = u64::from(self.offset_in_frame).checked_add(self.len);
        if end.is_some_and(|end| end <= frame_len) {
            return Ok(());
        }
        Err(ExtentError::OutsideFrame {
            offset_in_frame: self.offset_in_frame,
            len: self.len,
            frame_len,
        })
    }

    pub(crate) fn read<'s>(
        &self,
        source: &'s mut dyn FrameSource,
    ) -> Result<&'s [u8], ExtentError> {
        let bytes = self.read_unverified(source)?;
        match (self.digest, self.crc32c) {
            (Some(digest), _) => check(&digest, bytes)?,
            (None, Some(crc32c)) => check_crc32c(crc32c, bytes)?,
            (None, None) => {}
        }
        Ok(bytes)
    }

    pub(crate) fn stored_at(&self, image: &dyn Image) -> StoredAt {
        let blob = image.blobs().get(self.frame.blob.0 as usize);
        StoredAt {
            blob: self.frame.blob,
            blob_id: blob.map(|blob| blob.id.clone()),
            frame_offset: self.frame.offset,
            offset_in_frame: self.offset_in_frame,
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
/// the bytes are returned as they are ([`audit`](crate::audit()) counts such chunks).
///
/// # Errors
/// [`ExtentError`] if the frame cannot be read, is too short, or the bytes are wrong.
pub fn read_extent<'s>(
    source: &'s mut dyn FrameSource,
    extent: &Extent,
) -> Result<ExtentBytes<'s>, ExtentError> {
    match StoredChunk::of(extent) {
        None => Ok(ExtentBytes::Zeros(extent.len)),
        Some(chunk) => chunk.read(source).map(ExtentBytes::Data),
    }
}

/// The bytes of `extent`, whatever its digest says.
///
/// # Errors
/// [`ExtentError`] if the frame cannot be read or is too short.
pub fn read_extent_unverified<'s>(
    source: &'s mut dyn FrameSource,
    extent: &Extent,
) -> Result<ExtentBytes<'s>, ExtentError> {
    match StoredChunk::of(extent) {
        None => Ok(ExtentBytes::Zeros(extent.len)),
        Some(chunk) => chunk.read_unverified(source).map(ExtentBytes::Data),
    }
}
