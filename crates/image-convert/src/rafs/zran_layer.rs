//! Reading a gzip layer once: its bytes to the output, its index, and the chunks of its files.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::num::NonZeroU32;
use std::sync::{PoisonError, RwLock};

use chunk_dedup::{ChunkList, FixedSize};
use frame_codec::Compression;
use gzip_index::{BuildError, GzipIndex, IndexBuilder, IndexOptions};
use image_model::image::ChunkRange;
use image_model::{Chunk, ChunkId, DigestAlgorithm, FrameId, Progress, Tree};
use rafs_format::blob::MAX_CONTEXT_LEN;
use rafs_format::flags::Compat;
use tar_stream::{TarError, TarReader};

use super::ZranOptions;
use crate::ConvertError;
use crate::fill::{self, StoredMember};
use crate::object::DigestedObject;
use crate::report::Report;
use crate::source::Streaming;
use crate::stage::{self, ChunkDigest, Piece, Rules, Setup, Stored, Target};

/// A layer that was read.
pub(super) struct ReadLayer<'o> {
    /// The layer as it is, complete but for its name.
    pub(super) object: DigestedObject<'o>,
    pub(super) index: GzipIndex,
    /// Offsets of bytes in which spans begin, and those bytes.
    pub(super) shared_bytes: Vec<(u64, u8)>,
    pub(super) tree: Tree<ChunkRange>,
    pub(super) stored: Stored,
    /// The distinct chunks, in the order in which they were met, and where in the tar each was met.
    pub(super) chunks: Vec<Chunk>,
    pub(super) places: Vec<u64>,
    pub(super) checkpoints: Vec<Checkpoint>,
    pub(super) report: Report,
}

/// How many bytes of the layer gave how many of the tar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) decoded: u64,
    pub(super) stored: u64,
}

impl<'o> ReadLayer<'o> {
    /// Reads `layer`, whose bytes go to `object` as well.
    pub(super) fn read(
        layer: Streaming<'_>,
        object: DigestedObject<'o>,
        options: &ZranOptions,
        progress: &mut dyn Progress,
    ) -> Result<Self, ConvertError> {
        let Streaming {
            layer: source,
            lenient,
            limits,
            ..
        } = layer;
        let (max_stored, max_decoded) = options.spans();
        let bounds = limits.clone();
        let max_frame_len = bounds.max_frame_len.min(MAX_CONTEXT_LEN);
        let index_options = IndexOptions::default()
            .max_stored_span(max_stored)
            .max_decoded_span(max_decoded)
            .ignore_trailing(lenient)
            .stored_digest(false)
            .threads(options.threads)
            .limits(bounds.max_frame_len(max_frame_len));
        let tee = Tee { source, object };
        let decoded = RefCell::new(Decoded {
            builder: IndexBuilder::new(tee, &index_options),
            checkpoints: Vec::new(),
        });
        let known = RwLock::new(ChunkList::default());
        let setup = Setup {
            rules: Rules {
                compression: Compression::None,
                plain_if_shorter: true,
                digest: Some(ChunkDigest {
                    algorithm: DigestAlgorithm::Sha256,
                    with_crc: options.compat == Compat::V2_4,
                    blocks_below: 0,
                }),
                dictionary: Some(&known),
                foreign: None,
                room_behind: 0,
                grouped_below: 0,
                origin: None,
                frames: None,
            },
            chunker: &mut FixedSize::new(
                NonZeroU32::new(options.chunk_size).unwrap_or(NonZeroU32::MAX),
            ),
            max_chunks: limits.max_chunks,
            threads: options.threads,
            before: Stored::default(),
            progress,
        };
        let mut report = Report::default();
        let mut files = Vec::new();
        let target = ChunkTarget { known: &known };
        let read = stage::run(setup, target, |stage| {
            let reader = TarReader::new(Shared(&decoded), fill::tar_options(lenient, &limits));
            let rules = (lenient, &limits);
            fill::members(reader, rules, stage, options, &mut report, &mut |file| {
                files.extend(place_of(file)?);
                Ok(())
            })
        });
        let (layer, _, stored) = read.map_err(of_layer)?;
        let Decoded {
            mut builder,
            mut checkpoints,
        } = decoded.into_inner();
        let mut rest = vec![0; 256 << 10];
        while builder.read(&mut rest).map_err(of_stream)? > 0 {}
        let (stored_end, decoded) = builder.reached();
        checkpoints.push(Checkpoint {
            decoded,
            stored: stored_end,
        });
        let shared_bytes = builder.shared_bytes().to_vec();
        let (index, tee) = builder.finish()?;
        let chunks = known.into_inner().unwrap_or_else(PoisonError::into_inner);
        let chunks = chunks.into_chunks();
        let places = places(&files, &stored, chunks.len());
        Ok(Self {
            object: tee.object,
            index,
            shared_bytes,
            tree: layer.into_tree()?,
            stored,
            chunks,
            places,
            checkpoints,
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
            let path = file.path.clone();
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

/// An error of the layer that was met while its tar was read.
fn of_layer(error: ConvertError) -> ConvertError {
    match error {
        ConvertError::Tar(TarError::Io { offset, source }) => {
            match source.downcast::<BuildError>() {
                Ok(error) => error.into(),
                Err(source) => TarError::Io { offset, source }.into(),
            }
        }
        error => error,
    }
}

fn of_stream(error: io::Error) -> BuildError {
    let error = error.downcast::<BuildError>();
    error.unwrap_or_else(BuildError::from)
}

/// The layer as it is read, whose bytes are written on the way.
struct Tee<'a, 'o> {
    source: Box<dyn Read + 'a>,
    object: DigestedObject<'o>,
}

impl Read for Tee<'_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.source.read(buf)?;
        self.object.write_all(&buf[..len])?;
        Ok(len)
    }
}

/// The tar in the layer.
struct Decoded<'a, 'o> {
    builder: IndexBuilder<Tee<'a, 'o>>,
    checkpoints: Vec<Checkpoint>,
}

/// The same, read by the reader of the tar.
struct Shared<'s, 'a, 'o>(&'s RefCell<Decoded<'a, 'o>>);

impl Read for Shared<'_, '_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Decoded {
            builder,
            checkpoints,
        } = &mut *self.0.borrow_mut();
        let len = builder.read(buf)?;
        let (stored, decoded) = builder.reached();
        if checkpoints
            .last()
            .is_none_or(|last| last.decoded != decoded)
        {
            checkpoints.push(Checkpoint { decoded, stored });
        }
        Ok(len)
    }
}

/// Keeps a list of chunks, which stay where they are.
struct ChunkTarget<'k> {
    known: &'k RwLock<ChunkList>,
}

impl Target for ChunkTarget<'_> {
    fn store(&mut self, piece: &Piece<'_>) -> Result<Option<ChunkId>, ConvertError> {
        let Some(chunk) = piece.chunk else {
            return Ok(None);
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(known.push(Chunk {
            digest: Some(chunk.digest),
            len: chunk.len,
            crc32c: chunk.crc32c,
            // Which one it is will be known when the layer has been read.
            frame: FrameId(0),
            offset_in_frame: 0,
        })))
    }
}
