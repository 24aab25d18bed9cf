//! Reading a layer once that stays as it is: its bytes to the output, and the chunks of its files.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::num::NonZeroU32;
use std::sync::{PoisonError, RwLock};

use chunk_dedup::{ChunkList, FixedSize};
use frame_codec::Compression;
use image_model::image::ChunkRange;
use image_model::{Chunk, ChunkId, FrameId, ImagePath, Limits, Progress, Tree};
use tar_stream::TarReader;

use crate::ConvertError;
use crate::fill::{self, Format, StoredMember};
use crate::object::DigestedObject;
use crate::report::Report;
use crate::stage::{self, ChunkDigest, Fetch, Piece, Rules, Setup, Stored, Target};

/// The tar in a layer, whose bytes are written on the way.
pub(super) trait TarOfLayer<'o>: Read {
    /// What is known of the layer when all of it was read.
    type Known;

    /// Reads the rest. Returns the object that has the bytes, complete but for its name.
    fn finish(self) -> Result<(DigestedObject<'o>, Self::Known), ConvertError>;

    /// An error that was met while the tar was read, as one of the layer if it is that.
    fn of_layer(error: ConvertError) -> ConvertError {
        error
    }
}

/// How files are cut and digested.
pub(super) struct Cutting {
    pub(super) chunk_size: u32,
    /// Equal chunks are found once. Without digests every chunk is one of its own.
    pub(super) digest: Option<ChunkDigest>,
    pub(super) threads: usize,
}

/// A layer that was read.
pub(super) struct ReadLayer<'o, K> {
    /// The layer as it is, complete but for its name.
    pub(super) object: DigestedObject<'o>,
    pub(super) known: K,
    pub(super) tree: Tree<ChunkRange>,
    pub(super) stored: Stored,
    /// The distinct chunks, in the order in which they were met, and where in the tar each was met.
    pub(super) chunks: Vec<Chunk>,
    pub(super) places: Vec<u64>,
    pub(super) report: Report,
}

impl<'o, K> ReadLayer<'o, K> {
    /// Reads `tar` by the rules of `lenient` and the limits.
    pub(super) fn read<T: TarOfLayer<'o, Known = K>>(
        tar: T,
        (lenient, limits): (bool, &Limits),
        cutting: &Cutting,
        format: &impl Format,
        progress: &mut dyn Progress,
    ) -> Result<Self, ConvertError> {
        let tar = RefCell::new(tar);
        let known = RwLock::new(ChunkList::default());
        let setup = Setup {
            rules: Rules {
                compression: Compression::None,
                plain_if_shorter: true,
                digest: cutting.digest,
                dictionary: Some(&known),
                foreign: None,
                room_behind: 0,
                grouped_below: 0,
                origin: None::<&dyn Fetch>,
                frames: None,
            },
            chunker: &mut FixedSize::new(
                NonZeroU32::new(cutting.chunk_size).unwrap_or(NonZeroU32::MAX),
            ),
            max_chunks: limits.max_chunks,
            threads: cutting.threads,
            before: Stored::default(),
            progress,
        };
        let mut report = Report::default();
        let mut files = Vec::new();
        let target = ChunkTarget { known: &known };
        let read = stage::run(setup, target, |stage| {
            let reader = TarReader::new(Shared(&tar), fill::tar_options(lenient, limits));
            let reader = (reader, fill::Content::Read);
            let rules = (lenient, limits);
            fill::members(reader, rules, stage, format, &mut report, &mut |file| {
                files.extend(place_of(file)?);
                Ok(())
            })
        });
        let (layer, _, mut stored) = read.map_err(T::of_layer)?;
        stored.counts.stored_bytes = 0;
        let (object, found) = tar.into_inner().finish()?;
        let chunks = known.into_inner().unwrap_or_else(PoisonError::into_inner);
        let chunks = chunks.into_chunks();
        let places = places(&files, &stored, chunks.len());
        Ok(Self {
            object,
            known: found,
            tree: layer.into_tree()?,
            stored,
            chunks,
            places,
            report,
        })
    }
}

/// The chunks of a file, and where its content begins in the tar; `None` of an empty one.
fn place_of(file: &StoredMember<'_>) -> Result<Option<(ChunkRange, u64)>, ConvertError> {
    match file.spans {
        [] if file.size == 0 => Ok(None),
        [span] if span.file_offset == 0 && span.len == file.size => {
            Ok(Some((file.chunks, span.source_offset)))
        }
        _ => {
            let path: ImagePath = file.path.clone();
            Err(ConvertError::Sparse { path })
        }
    }
}

/// Where in the tar each of `count` chunks was met first.
fn places(files: &[(ChunkRange, u64)], stored: &Stored, count: usize) -> Vec<u64> {
    let mut places = Vec::with_capacity(count);
    for &(chunks, start) in files {
        for extent in &stored.extents[chunks.start as usize..chunks.end as usize] {
            // Chunks are numbered as they are met.
            if extent.chunk.is_some_and(|id| id.index() == places.len()) {
                places.push(start + extent.file_offset);
            }
        }
    }
    places
}

/// A stream whose bytes are written as it is read.
pub(super) struct Tee<'o, R> {
    pub(super) source: R,
    pub(super) object: DigestedObject<'o>,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.source.read(buf)?;
        self.object.write_all(&buf[..len])?;
        Ok(len)
    }
}

/// A tar that is not compressed.
impl<'o, R: Read> TarOfLayer<'o> for Tee<'o, R> {
    type Known = ();

    fn finish(mut self) -> Result<(DigestedObject<'o>, ()), ConvertError> {
        io::copy(&mut self, &mut io::sink())?;
        Ok((self.object, ()))
    }
}

/// The same, read by the reader of the tar.
struct Shared<'s, T>(&'s RefCell<T>);

impl<T: Read> Read for Shared<'_, T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buf)
    }
}

/// Keeps a list of chunks, which stay where they are.
struct ChunkTarget<'k> {
    known: &'k RwLock<ChunkList>,
}

impl Target for ChunkTarget<'_> {
    fn store(&mut self, piece: &Piece<'_>) -> Result<Option<ChunkId>, ConvertError> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(known.push(Chunk {
            digest: piece.chunk.map(|chunk| chunk.digest),
            // All of it is one chunk, which has a length of 32 bits.
            len: piece.plain.len() as u32,
            crc32c: piece.chunk.and_then(|chunk| chunk.crc32c),
            // Which one it is will be known when the layer has been read.
            frame: FrameId(0),
            offset_in_frame: 0,
        })))
    }
}
