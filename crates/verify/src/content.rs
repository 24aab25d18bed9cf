//! Access to the content of files.

use std::error::Error;
use std::fmt;

use image_model::{Blame, BlobId, BlobIndex, Cancelled, Digest, Fault, ImageError, Ino, Limits};

use crate::hash::{CheckError, check, check_crc32c};

/// Reads the content of an image's files; implemented by readers of blobs. Many files are requested
/// at once, so that nearby frames are fetched together and each is decoded once, in the cheapest
/// order.
pub trait Content {
    /// Passes the verified bytes of each of `files` to `take` in pieces: all those of one file in order, then those of
    /// another. Files without content are skipped. Each of `files` is a regular file, and appears only once.
    ///
    /// # Errors
    /// [`ContentError`] on the first piece that cannot be read or is corrupt, and if `take` cancels.
    fn read_files(
        &mut self,
        files: &[Ino],
        take: &mut dyn FnMut(FilePiece<'_>) -> Result<(), Cancelled>,
    ) -> Result<(), ContentError>;

    /// Checks that the extents of each of `files` cover it, and checks every distinct chunk once: that it is within its
    /// frame and blob and, if `read` says so, that its bytes can be read and have the digest and the checksum that the
    /// image gives them.
    ///
    /// # Errors
    /// [`Cancelled`] if `observer` asks to stop. Faults are not errors.
    fn check_files(
        &mut self,
        files: &[Ino],
        options: &CheckFiles<'_>,
        observer: &mut dyn ChunkObserver,
    ) -> Result<ChunkSummary, Cancelled>;
}

/// Options of [`Content::check_files`].
///
/// ```
/// use image_model::Limits;
/// use lazyoci_verify::CheckFiles;
/// let limits = Limits::small();
/// assert!(!CheckFiles::new(&limits).read(false).read);
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct CheckFiles<'a> {
    /// Whether to read the stored bytes as well. Default: true.
    pub read: bool,
    /// Bounds: after [`max_chunks`](Limits::max_chunks) extents no more are checked.
    pub limits: &'a Limits,
}

impl<'a> CheckFiles<'a> {
    /// Reads what is stored, within `limits`.
    #[must_use]
    pub fn new(limits: &'a Limits) -> Self {
        Self { read: true, limits }
    }

    image_model::setters! {
        read: bool,
    }
}

/// Receives the findings of [`Content::check_files`].
pub trait ChunkObserver {
    /// Something is wrong with the file at position `file` of those requested: the first that uses
    /// the chunk, if several do.
    fn fault(&mut self, file: usize, fault: ChunkFault);

    /// `done` of `total` bytes of chunks have been checked.
    ///
    /// # Errors
    /// [`Cancelled`] ends the check.
    fn advance(&mut self, done: u64, total: u64) -> Result<(), Cancelled>;
}

/// What [`Content::check_files`] checked. Chunks that several files use count once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ChunkSummary {
    /// Distinct chunks, and plain pieces of blobs.
    pub chunks: u64,
    /// Their length in bytes.
    pub chunk_len: u64,
    /// Chunks with neither digest nor checksum, which cannot be verified.
    pub unverifiable: u64,
}

/// A piece of a file that [`Content::read_files`] hands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilePiece<'a> {
    /// Position of the file among those requested.
    pub file: usize,
    /// First byte in the file.
    pub file_offset: u64,
    /// The bytes.
    pub bytes: ExtentBytes<'a>,
}

/// The bytes of a piece of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtentBytes<'a> {
    /// That many zeros.
    Zeros(u64),
    /// These.
    Data(&'a [u8]),
}

impl<'a> ExtentBytes<'a> {
    /// The bytes as slices: zeros in pieces of at most 64 KiB.
    ///
    /// ```
    /// use lazyoci_verify::ExtentBytes;
    /// let lens = |bytes: ExtentBytes<'_>| bytes.slices().map(<[u8]>::len).collect::<Vec<_>>();
    /// assert_eq!(lens(ExtentBytes::Data(b"abc")), [3]);
    /// assert_eq!(lens(ExtentBytes::Zeros(65_537)), [65_536, 1]);
    /// ```
    pub fn slices(self) -> impl Iterator<Item = &'a [u8]> {
        static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
        let (data, mut zeros) = match self {
            Self::Data(data) => (Some(data), 0),
            Self::Zeros(len) => (None, len),
        };
        let zeros = std::iter::from_fn(move || {
            let slice = &ZEROS[..zeros.min(ZEROS.len() as u64) as usize];
            zeros -= slice.len() as u64;
            (!slice.is_empty()).then_some(slice)
        });
        data.into_iter().chain(zeros)
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Zeros(len) => *len,
            Self::Data(data) => data.len() as u64,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Content that cannot be read, or is corrupt. `source()` is the reader's own typed error, which
/// says what is wrong and where.
#[derive(Debug)]
pub struct ContentError {
    fault: Fault,
    ino: Option<Ino>,
    file_offset: u64,
    source: Box<dyn Error + Send + Sync>,
}

impl ContentError {
    /// Wraps the reader's error about byte `file_offset` of the file `ino`.
    pub fn new(
        ino: impl Into<Option<Ino>>,
        file_offset: u64,
        source: impl Blame + Send + Sync + 'static,
    ) -> Self {
        Self {
            fault: source.fault(),
            ino: ino.into(),
            file_offset,
            source: Box::new(source),
        }
    }

    /// The file, if the error is about one.
    #[must_use]
    pub fn ino(&self) -> Option<Ino> {
        self.ino
    }

    /// Whether the caller asked to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.fault == Fault::Cancelled
    }

    /// Where in the file the unreadable piece begins.
    #[must_use]
    pub fn file_offset(&self) -> u64 {
        self.file_offset
    }
}

impl From<Cancelled> for ContentError {
    fn from(cancelled: Cancelled) -> Self {
        Self::new(None, 0, cancelled)
    }
}

impl Blame for ContentError {
    fn fault(&self) -> Fault {
        self.fault
    }
}

impl fmt::Display for ContentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ino {
            Some(_) => write!(f, "the content at byte {}", self.file_offset),
            None => f.write_str("the content"),
        }?;
        write!(f, " {}", verdict(self.fault))
    }
}

impl Error for ContentError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// How to describe content that cannot be read because of `fault`: exceeding a limit is not damage.
fn verdict(fault: Fault) -> &'static str {
    match fault {
        Fault::Corrupt => "is damaged",
        Fault::Unsupported => "is not supported",
        Fault::Limit => "exceeds a limit",
        Fault::Io | Fault::Misuse => "cannot be read",
        Fault::Cancelled => "was not read completely",
    }
}

/// A fault in the content of a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkFault {
    /// The image's metadata of the content cannot be read.
    #[error("cannot read the inode")]
    Image(#[source] ImageError),
    /// The extents do not cover the file in order.
    #[error("no extent begins at byte {file_offset} of a file of {size} bytes")]
    Extents {
        /// Where the next extent should begin.
        file_offset: u64,
        /// Bytes of the file.
        size: u64,
    },
    /// A chunk is in a blob that the image does not list.
    #[error("chunk {chunk} at byte {file_offset}: {at} is not in the image's list")]
    Blob {
        /// Position among the file's chunks, counted from 0.
        chunk: u64,
        /// Where the chunk begins in the file.
        file_offset: u64,
        /// Where it should be stored.
        at: StoredAt,
    },
    /// A chunk's frame extends past the end of its blob.
    #[error(
        "chunk {chunk} at byte {file_offset}: {at} ends at byte {end}, past the blob's {blob_len} bytes"
    )]
    OutsideBlob {
        /// Position among the file's chunks, counted from 0.
        chunk: u64,
        /// Where the chunk begins in the file.
        file_offset: u64,
        /// Where it should be stored.
        at: StoredAt,
        /// One past the last stored byte of the frame.
        end: u64,
        /// Stored bytes of the blob.
        blob_len: u64,
    },
    /// A chunk cannot be read, or is corrupt.
    #[error("chunk {chunk} at byte {file_offset} ({at}) {}", verdict(source.fault()))]
    Chunk {
        /// Position among the file's chunks, counted from 0.
        chunk: u64,
        /// Where the chunk begins in the file.
        file_offset: u64,
        /// Where it is stored.
        at: StoredAt,
        /// What is wrong with it.
        source: ContentError,
    },
    /// A blob cannot be opened, so none of its chunks is checked. Reported once per blob.
    #[error("cannot open blob {blob}")]
    Unopened {
        /// Its name.
        blob: BlobId,
        /// Why not.
        source: ContentError,
    },
    /// There are too many extents. Those of later files are not checked.
    #[error("the image has more than {limit} extents")]
    TooManyExtents {
        /// The bound, [`Limits::max_chunks`].
        limit: u32,
    },
}

impl ChunkFault {
    /// Where the chunk is stored, if the fault is about one.
    #[must_use]
    pub fn stored_at(&self) -> Option<&StoredAt> {
        match self {
            Self::Blob { at, .. } | Self::OutsideBlob { at, .. } | Self::Chunk { at, .. } => {
                Some(at)
            }
            Self::Image(_)
            | Self::Extents { .. }
            | Self::Unopened { .. }
            | Self::TooManyExtents { .. } => None,
        }
    }
}

impl Blame for ChunkFault {
    fn fault(&self) -> Fault {
        match self {
            Self::Image(error) => error.fault(),
            Self::Chunk { source, .. } | Self::Unopened { source, .. } => source.fault(),
            Self::TooManyExtents { .. } => Fault::Limit,
            Self::Extents { .. } | Self::Blob { .. } | Self::OutsideBlob { .. } => Fault::Corrupt,
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

/// Compares the bytes of a chunk with the digest and the CRC-32C in the image. If it has neither,
/// the bytes are accepted unchecked.
///
/// # Errors
/// [`CheckError`] if they differ.
pub fn check_chunk(
    bytes: &[u8],
    digest: Option<&Digest>,
    crc32c: Option<u32>,
) -> Result<(), CheckError> {
    if let Some(digest) = digest {
        check(digest, bytes)?;
    }
    match crc32c {
        Some(crc32c) => check_crc32c(crc32c, bytes),
        None => Ok(()),
    }
}
