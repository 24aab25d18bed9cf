//! Content that waits for the metadata before it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use blob_io::{LocalFile, ReadAt};
use chunk_dedup::ChunkList;
use image_model::image::{ChunkExtent, ChunkRange};
use image_model::{Chunk, ChunkId, FrameId, Ino, InodeId, Node};
use image_read::{Format, OpenImage};
use tar_stream::Compression;

use super::write::{ImageWriter, PART};
use crate::ConvertError;
use crate::source::Kind;
use crate::stage::{Piece, Target};

/// Size of a block in bytes.
pub(super) const BLOCK: u64 = 4096;

/// A plain tar that was opened: its content can be had again.
pub(super) struct Origin {
    image: OpenImage,
    source: Arc<dyn ReadAt>,
}

impl Origin {
    /// The origin of what is read of a source of this kind.
    pub(super) fn of(kind: &Kind<'_>) -> Option<Self> {
        let Kind::Opened(image) = kind else {
            return None;
        };
        let plain = image.format() == Format::Tar(Compression::None) && image.tree().is_some();
        let source = image.source().filter(|_| plain)?;
        Some(Self {
            image: (**image).clone(),
            source: Arc::clone(source),
        })
    }

    /// Appends `len` bytes at `start` of the file `ino` to `out`.
    fn copy(
        &self,
        (ino, start): (Ino, u64),
        len: u64,
        out: &mut ImageWriter<'_, '_>,
    ) -> Result<(), ConvertError> {
        let end = start + len;
        let mut at = start;
        // A number that the tree assigned.
        let id = InodeId::new(ino.0 as u32);
        if let Some(tree) = self.image.tree()
            && let Node::File { content, .. } = &tree.tree().inode(id).node
        {
            for span in content.as_slice() {
                let from = span.file_offset.max(at);
                let to = (span.file_offset + span.len).min(end);
                if from >= to {
                    continue;
                }
                fill_zeros(from - at, out)?;
                let offset = span.source_offset + (from - span.file_offset);
                let read = copy(&*self.source, offset, to - from, out);
                read.map_err(|error| ConvertError::Write(error.into()))?;
                at = to;
            }
        }
        Ok(fill_zeros(end - at, out)?)
    }
}

/// Keeps each chunk once in an unnamed temporary file, but those of zeros, which are nowhere; or nothing,
/// where they can be had again.
pub(super) struct Spool<'k> {
    known: &'k RwLock<ChunkList>,
    directory: PathBuf,
    /// `None` if nothing is kept.
    out: Option<BufWriter<File>>,
    len: u64,
    /// Where each chunk begins; `None` for zeros.
    starts: Vec<Option<u64>>,
}

/// All chunks, to be read again.
pub(super) struct Spooled {
    directory: PathBuf,
    from: From,
    pub(super) starts: Vec<Option<u64>>,
}

/// Where they are.
enum From {
    File(LocalFile),
    /// At these places of files, by chunk.
    Origin(Box<Origin>, Vec<(Ino, u64)>),
}

impl<'k> Spool<'k> {
    pub(super) fn begin(
        known: &'k RwLock<ChunkList>,
        directory: Option<PathBuf>,
        needed: bool,
    ) -> Result<Self, ConvertError> {
        let directory = directory.unwrap_or_else(tempfile::env::temp_dir);
        let file = needed
            .then(|| tempfile::tempfile_in(&directory))
            .transpose();
        let file = file.map_err(|source| ConvertError::Spool {
            directory: directory.clone(),
            source,
        })?;
        Ok(Self {
            known,
            directory,
            out: file.map(|file| BufWriter::with_capacity(PART, file)),
            len: 0,
            starts: Vec::new(),
        })
    }

    /// What was kept; of `origin` if nothing was, whose `files` have these extents.
    pub(super) fn end(
        self,
        origin: Option<Origin>,
        files: &[(ChunkRange, Ino)],
        extents: &[ChunkExtent],
    ) -> Result<Spooled, ConvertError> {
        let Self {
            directory,
            out,
            starts,
            ..
        } = self;
        let from = match (out.map(BufWriter::into_inner), origin) {
            (Some(Ok(file)), _) => From::File(file.into()),
            (Some(Err(error)), _) => {
                let source = error.into_error();
                return Err(ConvertError::Spool { directory, source });
            }
            (None, origin) => {
                let origin = origin.expect("nothing is kept of what has an origin only");
                let mut places = vec![(Ino(0), 0); starts.len()];
                for &(range, ino) in files {
                    for extent in &extents[range.start as usize..range.end as usize] {
                        if let Some(chunk) = extent.chunk {
                            places[chunk.index()] = (ino, extent.file_offset);
                        }
                    }
                }
                From::Origin(Box::new(origin), places)
            }
        };
        Ok(Spooled {
            directory,
            from,
            starts,
        })
    }
}

impl Target for Spool<'_> {
    fn store(&mut self, piece: &Piece<'_>) -> Result<Option<ChunkId>, ConvertError> {
        let Some(chunk) = piece.chunk else {
            return Ok(None);
        };
        let zeros = chunk_dedup::is_zero(piece.plain);
        self.starts.push((!zeros).then_some(self.len));
        if let Some(out) = self.out.as_mut().filter(|_| !zeros) {
            let written = out.write_all(piece.plain);
            written.map_err(|source| ConvertError::Spool {
                directory: self.directory.clone(),
                source,
            })?;
            self.len += u64::from(chunk.len);
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(known.push(Chunk {
            digest: Some(chunk.digest),
            len: chunk.len,
            crc32c: None,
            frame: FrameId(0),
            offset_in_frame: 0,
        })))
    }
}

impl Spooled {
    /// Appends `chunk`, which has `len` bytes, to `out`, and zeros to the end of a block.
    pub(super) fn copy(
        &self,
        chunk: ChunkId,
        len: u32,
        out: &mut ImageWriter<'_, '_>,
    ) -> Result<(), ConvertError> {
        let position = chunk.index();
        let len = u64::from(len);
        match (&self.from, self.starts[position]) {
            (_, None) => return Ok(()),
            (From::File(file), Some(start)) => {
                let copied = copy(file, start, len, out);
                copied.map_err(|error| ConvertError::Spool {
                    directory: self.directory.clone(),
                    source: error.into(),
                })?;
            }
            (From::Origin(origin, places), Some(_)) => origin.copy(places[position], len, out)?,
        }
        let padding = out.len().next_multiple_of(BLOCK) - out.len();
        Ok(fill_zeros(padding, out)?)
    }
}

/// Appends the `len` bytes of `source` from `start` on to `out`.
fn copy(
    source: &dyn ReadAt,
    mut start: u64,
    mut len: u64,
    out: &mut ImageWriter<'_, '_>,
) -> Result<(), blob_io::ReadError> {
    while len > 0 {
        let room = out.room(len).map_err(|source| blob_io::ReadError::Io {
            offset: start,
            len,
            source,
        })?;
        source.read_at(start, room)?;
        let read = room.len() as u64;
        start += read;
        len -= read;
    }
    Ok(())
}

fn fill_zeros(mut len: u64, out: &mut ImageWriter<'_, '_>) -> std::io::Result<()> {
    while len > 0 {
        let room = out.room(len)?;
        room.fill(0);
        len -= room.len() as u64;
    }
    Ok(())
}
