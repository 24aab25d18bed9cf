//! Content that waits for the metadata before it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use blob_io::{LocalFile, ReadAt};
use chunk_dedup::ChunkList;
use image_model::{Chunk, ChunkId, FrameId};

use super::write::{ImageWriter, PART};
use crate::ConvertError;
use crate::stage::{Piece, Target};

/// Bytes of a block.
pub(super) const BLOCK: u64 = 4096;

/// Keeps each chunk once in an unnamed temporary file, but those of zeros, which are nowhere.
pub(super) struct Spool<'k> {
    known: &'k RwLock<ChunkList>,
    directory: PathBuf,
    out: BufWriter<File>,
    len: u64,
    /// Where each chunk begins; `None` for zeros.
    starts: Vec<Option<u64>>,
}

/// All chunks, to be read again.
pub(super) struct Spooled {
    directory: PathBuf,
    file: LocalFile,
    pub(super) starts: Vec<Option<u64>>,
}

impl<'k> Spool<'k> {
    pub(super) fn begin(
        known: &'k RwLock<ChunkList>,
        directory: Option<PathBuf>,
    ) -> Result<Self, ConvertError> {
        let directory = directory.unwrap_or_else(tempfile::env::temp_dir);
        let file = tempfile::tempfile_in(&directory).map_err(|source| ConvertError::Spool {
            directory: directory.clone(),
            source,
        })?;
        Ok(Self {
            known,
            directory,
            out: BufWriter::with_capacity(PART, file),
            len: 0,
            starts: Vec::new(),
        })
    }

    pub(super) fn end(self) -> Result<Spooled, ConvertError> {
        let Self {
            directory,
            out,
            starts,
            ..
        } = self;
        match out.into_inner() {
            Ok(file) => Ok(Spooled {
                directory,
                file: LocalFile::from(file),
                starts,
            }),
            Err(error) => Err(ConvertError::Spool {
                directory,
                source: error.into_error(),
            }),
        }
    }
}

impl Target for Spool<'_> {
    fn store(&mut self, piece: &Piece<'_>) -> Result<Option<ChunkId>, ConvertError> {
        let Some(chunk) = piece.chunk else {
            return Ok(None);
        };
        let zeros = chunk_dedup::is_zero(piece.plain);
        self.starts.push((!zeros).then_some(self.len));
        if !zeros {
            let written = self.out.write_all(piece.plain);
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
    /// Appends the `len` bytes from `start` on to `out`, and zeros to the end of a block.
    pub(super) fn copy(
        &self,
        mut start: u64,
        len: u32,
        out: &mut ImageWriter<'_, '_>,
    ) -> Result<(), ConvertError> {
        let mut left = u64::from(len);
        while left > 0 {
            let room = out.room(left)?;
            let read = self.file.read_at(start, room);
            let read_len = room.len() as u64;
            read.map_err(|error| ConvertError::Spool {
                directory: self.directory.clone(),
                source: error.into(),
            })?;
            start += read_len;
            left -= read_len;
        }
        let padding = out.len().next_multiple_of(BLOCK) - out.len();
        out.write_all(&[0; BLOCK as usize][..padding as usize])?;
        Ok(())
    }
}
