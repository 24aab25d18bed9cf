//! Content in memory, read extent by extent: what this crate sees of whoever holds the blobs,
//! without requests, codecs and threads.

use std::collections::HashSet;
use std::ops::ControlFlow;

use image_model::{
    Blame, Cancelled, Extent, ExtentSource, Fault, Frame, Image, ImageError, Ino, RecipeId,
};
use lazyoci_verify::{
    CheckError, CheckFiles, ChunkFault, ChunkObserver, ChunkSummary, Content, ContentError,
    ExtentBytes, FilePiece, StoredAt, check_chunk,
};

/// A blob whose frames are stored as they are, and where those begin that were read from it.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) blob: Vec<u8>,
    pub(crate) reads: Vec<u64>,
}

impl Store {
    /// The content of `image`, all of which lies here.
    pub(crate) fn of<'a>(&'a mut self, image: &'a dyn Image) -> InMemory<'a> {
        InMemory { image, store: self }
    }
}

/// Why an extent cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("cannot read the inode")]
    Image(#[from] ImageError),
    #[error("no extent begins there")]
    Uncovered,
    #[error("the chunk ends at byte {end} of a frame of {frame_len}")]
    OutsideFrame { end: u64, frame_len: u32 },
    #[error("more than is allowed")]
    Refused,
    #[error("nothing at {0}")]
    Nothing(u64),
    #[error(transparent)]
    Check(#[from] CheckError),
}

impl Blame for Unreadable {
    fn fault(&self) -> Fault {
        match self {
            Self::Image(error) => error.fault(),
            Self::Uncovered | Self::OutsideFrame { .. } => Fault::Corrupt,
            Self::Nothing(_) => Fault::Io,
            Self::Refused => Fault::Limit,
            Self::Check(error) => error.fault(),
        }
    }
}

/// The content of an image.
pub(crate) struct InMemory<'a> {
    image: &'a dyn Image,
    store: &'a mut Store,
}

/// What an image says of a file: its length, and its extents up to the first gap.
struct FileExtents {
    size: u64,
    extents: Vec<Extent>,
    covered: u64,
}

impl InMemory<'_> {
    fn file(&self, ino: Ino) -> Result<FileExtents, ImageError> {
        let size = self.image.attributes(ino)?.size;
        let (mut extents, mut covered) = (Vec::new(), 0);
        self.image.extents(ino, 0..size, &mut |extent| {
            let rest = size - covered;
            if extent.file_offset != covered || extent.len == 0 || extent.len > rest {
                return ControlFlow::Break(());
            }
            covered += extent.len;
            extents.push(extent);
            ControlFlow::Continue(())
        })?;
        Ok(FileExtents {
            size,
            extents,
            covered,
        })
    }

    /// The frame of an extent, and where the extent begins in it; `None` for zeros.
    fn place(&self, extent: &Extent) -> Result<Option<(Frame, u32)>, ImageError> {
        Ok(match extent.source {
            ExtentSource::Zeros => None,
            ExtentSource::Plain { blob, offset } => {
                let len = extent.len as u32;
                let (stored_len, recipe) = (len, RecipeId(0));
                let frame = Frame {
                    blob,
                    offset,
                    stored_len,
                    len,
                    recipe,
                };
                Some((frame, 0))
            }
            ExtentSource::Chunk {
                frame,
                offset_in_frame,
                ..
            } => Some((self.image.frame(frame)?, offset_in_frame)),
        })
    }

    fn read(&mut self, extent: &Extent) -> Result<ExtentBytes<'_>, Unreadable> {
        let Some((frame, offset_in_frame)) = self.place(extent)? else {
            return Ok(ExtentBytes::Zeros(extent.len));
        };
        in_frame(extent, &frame, offset_in_frame)?;
        self.store.reads.push(frame.offset);
        let start = frame.offset as usize;
        let plain = self.store.blob.get(start..start + frame.len as usize);
        let plain = plain.ok_or(Unreadable::Nothing(frame.offset))?;
        let bytes = &plain[offset_in_frame as usize..][..extent.len as usize];
        if let ExtentSource::Chunk { digest, crc32c, .. } = &extent.source {
            check_chunk(bytes, digest.as_ref(), *crc32c)?;
        }
        Ok(ExtentBytes::Data(bytes))
    }

    /// Chunk `chunk` of a file.
    fn check(&mut self, chunk: u64, extent: &Extent, read: bool) -> Result<(), ChunkFault> {
        let file_offset = extent.file_offset;
        let Some((frame, offset_in_frame)) = self.place(extent).map_err(ChunkFault::Image)? else {
            return Ok(());
        };
        let listed = self.image.blobs().get(frame.blob.0 as usize);
        let at = StoredAt {
            blob: frame.blob,
            blob_id: listed.map(|blob| blob.id.clone()),
            frame_offset: frame.offset,
            offset_in_frame,
        };
        let Some(listed) = listed else {
            return Err(ChunkFault::Blob {
                chunk,
                file_offset,
                at,
            });
        };
        let end = frame.stored_end().unwrap();
        if let Some(blob_len) = listed.stored_len.filter(|&len| len < end) {
            return Err(ChunkFault::OutsideBlob {
                chunk,
                file_offset,
                at,
                end,
                blob_len,
            });
        }
        let checked = in_frame(extent, &frame, offset_in_frame);
        let checked = match read {
            true => checked.and_then(|()| self.read(extent).map(drop)),
            false => checked,
        };
        checked.map_err(|error| ChunkFault::Chunk {
            chunk,
            file_offset,
            at,
            source: ContentError::new(None, file_offset, error),
        })
    }
}

fn in_frame(extent: &Extent, frame: &Frame, offset_in_frame: u32) -> Result<(), Unreadable> {
    let (end, frame_len) = (u64::from(offset_in_frame) + extent.len, frame.len);
    if end > frame_len.into() {
        return Err(Unreadable::OutsideFrame { end, frame_len });
    }
    Ok(())
}

impl Content for InMemory<'_> {
    fn read_files(
        &mut self,
        files: &[Ino],
        take: &mut dyn FnMut(FilePiece<'_>) -> Result<(), Cancelled>,
    ) -> Result<(), ContentError> {
        for (file, &ino) in files.iter().enumerate() {
            let FileExtents {
                size,
                extents,
                covered,
            } = (self.file(ino)).map_err(|error| ContentError::new(ino, 0, error))?;
            for extent in extents {
                let file_offset = extent.file_offset;
                let bytes = self.read(&extent);
                let bytes = bytes.map_err(|error| ContentError::new(ino, file_offset, error))?;
                take(FilePiece {
                    file,
                    file_offset,
                    bytes,
                })?;
            }
            if covered < size {
                return Err(ContentError::new(ino, covered, Unreadable::Uncovered));
            }
        }
        Ok(())
    }

    fn check_files(
        &mut self,
        files: &[Ino],
        &CheckFiles { read, limits, .. }: &CheckFiles<'_>,
        observer: &mut dyn ChunkObserver,
    ) -> Result<ChunkSummary, Cancelled> {
        let limit = limits.max_chunks;
        let (mut seen, mut chunks) = (HashSet::new(), Vec::new());
        let (mut summary, mut visited) = (ChunkSummary::default(), 0);
        'files: for (file, &ino) in files.iter().enumerate() {
            let FileExtents {
                size,
                extents,
                covered: file_offset,
            } = match self.file(ino) {
                Ok(file) => file,
                Err(error) => {
                    observer.fault(file, ChunkFault::Image(error));
                    continue;
                }
            };
            let mut number = 0;
            for extent in extents {
                visited += 1;
                if visited > limit {
                    observer.fault(file, ChunkFault::TooManyExtents { limit });
                    break 'files;
                }
                if extent.source == ExtentSource::Zeros {
                    continue;
                }
                if seen.insert((extent.len, extent.source)) {
                    summary.chunks += 1;
                    summary.chunk_len += extent.len;
                    summary.unverifiable += u64::from(!is_vouched(&extent.source));
                    chunks.push((file, number, extent));
                }
                number += 1;
            }
            if file_offset < size {
                observer.fault(file, ChunkFault::Extents { file_offset, size });
            }
        }
        let (mut done, total) = (0, summary.chunk_len);
        for (file, number, extent) in chunks {
            if let Err(fault) = self.check(number, &extent, read) {
                observer.fault(file, fault);
            }
            if read {
                done += extent.len;
                observer.advance(done, total)?;
            }
        }
        Ok(summary)
    }
}

fn is_vouched(source: &ExtentSource) -> bool {
    matches!(source, ExtentSource::Chunk { digest, crc32c, .. }
        if digest.is_some() || crc32c.is_some())
}
