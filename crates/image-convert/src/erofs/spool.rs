//! Content that waits for the metadata before it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use blob_io::{LocalFile, ReadAt};
use chunk_dedup::ChunkList;
use image_model::image::ChunkExtent;
use image_model::tree::Span;
use image_model::{Chunk, ChunkId, FrameId};

use super::write::{ImageWriter, PART};
use crate::ConvertError;
use crate::source::{FilePlaces, Origin};
use crate::stage::{BlockDigest, Fetch, Piece, Target};

/// Size of a block in bytes.
pub(super) const BLOCK: u64 = 4096;

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
    blocks: Blocks,
}

/// The digests of the blocks of those chunks where they are known.
#[derive(Default)]
struct Blocks {
    digests: Vec<BlockDigest>,
    /// Where those of each chunk end.
    ends: Vec<usize>,
}

impl Blocks {
    fn push(&mut self, digests: &[BlockDigest]) {
        self.digests.extend(digests);
        self.ends.push(self.digests.len());
    }

    fn of(&self, chunk: usize) -> &[BlockDigest] {
        let end = self.ends[chunk];
        let start = chunk.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.digests[start..end]
    }
}

/// All chunks, to be read again.
pub(super) struct Spooled<'o> {
    directory: PathBuf,
    from: From<'o>,
    pub(super) starts: Vec<Option<u64>>,
    blocks: Blocks,
}

/// Where they are.
enum From<'o> {
    File(LocalFile),
    Origin {
        origin: &'o Origin,
        files: FilePlaces,
        /// By chunk: its file, and its place there.
        chunks: Vec<(usize, u64)>,
    },
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
            blocks: Blocks::default(),
        })
    }

    /// What was kept; of `origin` if nothing was, where it is in `files`, which have these extents.
    pub(super) fn end<'o>(
        self,
        origin: Option<&'o Origin>,
        files: FilePlaces,
        extents: &[ChunkExtent],
    ) -> Result<Spooled<'o>, ConvertError> {
        let Self {
            directory,
            out,
            starts,
            blocks,
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
                let mut chunks = vec![(0, 0); starts.len()];
                for (file, range) in files.chunks().enumerate() {
                    for extent in &extents[range.start as usize..range.end as usize] {
                        if let Some(chunk) = extent.chunk {
                            chunks[chunk.index()] = (file, extent.file_offset);
                        }
                    }
                }
                From::Origin {
                    origin,
                    files,
                    chunks,
                }
            }
        };
        Ok(Spooled {
            directory,
            from,
            starts,
            blocks,
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
        self.blocks.push(piece.blocks);
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

impl Spooled<'_> {
    /// Appends the first `len` bytes of `chunk` to `out`, and zeros to the end of a block.
    pub(super) fn copy(
        &self,
        chunk: ChunkId,
        len: u32,
        out: &mut ImageWriter<'_, '_>,
    ) -> Result<(), ConvertError> {
        let len = u64::from(len);
        let digests = self.blocks.of(chunk.index());
        let blocks = len.div_ceil(BLOCK) as usize;
        out.expect_content(&digests[..blocks.min(digests.len())]);
        fill(out, len, |at, place| self.read(chunk, at, place))?;
        let padding = out.len().next_multiple_of(BLOCK) - out.len();
        fill(out, padding, |_, place| {
            place.fill(0);
            Ok(())
        })
    }

    /// Fills `place` with the bytes of `chunk` from the `at`th on.
    pub(super) fn read(
        &self,
        chunk: ChunkId,
        at: u64,
        place: &mut [u8],
    ) -> Result<(), ConvertError> {
        match &self.from {
            From::File(file) => {
                let start = self.starts[chunk.index()].unwrap_or(0);
                let read = file.read_at(start + at, place);
                read.map_err(|error| ConvertError::Spool {
                    directory: self.directory.clone(),
                    source: error.into(),
                })
            }
            From::Origin {
                origin,
                files,
                chunks,
            } => {
                let (file, start) = chunks[chunk.index()];
                read_spans(origin, files.spans(file), start + at, place)
            }
        }
    }
}

/// Fills `place` with the bytes from `start` on of the file that has `spans` of `origin`.
fn read_spans(
    origin: &Origin,
    spans: &[Span],
    start: u64,
    mut place: &mut [u8],
) -> Result<(), ConvertError> {
    let end = start + place.len() as u64;
    let mut done = start;
    let first = spans.partition_point(|span| span.file_offset + span.len <= start);
    for span in &spans[first..] {
        let from = span.file_offset.max(done);
        let to = (span.file_offset + span.len).min(end);
        if from >= to {
            break;
        }
        let (zeros, rest) = place.split_at_mut((from - done) as usize);
        zeros.fill(0);
        let (bytes, rest) = rest.split_at_mut((to - from) as usize);
        origin.fetch(span.source_offset + (from - span.file_offset), bytes)?;
        (place, done) = (rest, to);
    }
    place.fill(0);
    Ok(())
}

/// Appends `len` bytes to `out`, which `read` fills in, told which one of them comes next.
fn fill(
    out: &mut ImageWriter<'_, '_>,
    len: u64,
    mut read: impl FnMut(u64, &mut [u8]) -> Result<(), ConvertError>,
) -> Result<(), ConvertError> {
    let mut at = 0;
    while at < len {
        let room = out.room(len - at)?;
        read(at, room)?;
        let filled = room.len();
        out.is_filled(filled);
        at += filled as u64;
    }
    Ok(())
}
