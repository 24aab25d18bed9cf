//! Frames of an opened image that can be kept as they are stored.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::Arc;

use blob_io::ReadAt;
use frame_codec::{Compression, Decoder};
use image_model::{Codec, Decode, Digest, Extent, ExtentSource, ImagePath, Ino, InodeId, Tree};
use image_read::{Follow, Format, FrameError, OpenImage, ReadError};

use verify::CheckError;

use super::{Kind, Source, Streaming};
use crate::ConvertError;
use crate::stage::{KeptFrame, SourceChunk, StoredFrames};

/// An opened image, and which of its frames a target can take as they are.
pub(crate) struct KeptFrames {
    image: OpenImage,
    codec: Codec,
    single: bool,
}

/// The chunks of a file, as the source has them.
#[derive(Debug, Default)]
pub(crate) struct KeptFile {
    pub(crate) chunks: Vec<SourceChunk>,
    /// Whether they cover the whole file, and none is longer than was asked for.
    pub(crate) covers: bool,
}

impl KeptFrames {
    /// The frames of `source`, if they are to be kept, that the target, whose codec is that of `compression`, can take.
    /// `single`: a piece of it is one frame of the codec.
    pub(crate) fn of(source: &Source<'_>, compression: Compression, single: bool) -> Option<Self> {
        let Kind::Opened(image) = &source.kind else {
            return None;
        };
        let codec = compression.codec();
        let kept = source.keep_frames && codec != Codec::None;
        kept.then(|| Self {
            image: (**image).clone(),
            codec,
            single,
        })
    }

    /// The chunks of the file `ino`, of `size` bytes; none of a file that cannot be read, which its content tells.
    pub(crate) fn file(&self, ino: Ino, size: u64, max_len: u32) -> KeptFile {
        let mut chunks = Vec::new();
        let (mut end, mut fits) = (0, true);
        let visited = self.image.image().extents(ino, 0..size, &mut |extent| {
            fits &= extent.file_offset == end && (1..=u64::from(max_len)).contains(&extent.len);
            end = extent.file_offset.saturating_add(extent.len);
            if let Ok(len) = u32::try_from(extent.len) {
                chunks.push(SourceChunk {
                    file_offset: extent.file_offset,
                    len,
                    frame: self.frame(ino, &extent),
                });
            }
            ControlFlow::Continue(())
        });
        match visited {
            Ok(()) => KeptFile {
                chunks,
                covers: fits && end == size,
            },
            Err(_) => KeptFile::default(),
        }
    }

    /// The same of the file at `path`.
    pub(crate) fn file_at(&self, path: &ImagePath, size: u64, max_len: u32) -> KeptFile {
        let ino = self.image.resolve(path.as_bytes(), Follow::Parents);
        ino.map_or_else(|_| KeptFile::default(), |ino| self.file(ino, size, max_len))
    }

    /// Refuses content of the file at `path`, which was read from the tar, if its digest `found` is not that in the
    /// TOC. A file whose TOC has only digests of its chunks is not compared.
    pub(crate) fn check(&self, path: &ImagePath, found: Digest) -> Result<(), ConvertError> {
        let known = self.image.estargz().and_then(|layer| {
            let inode = layer.toc.image.tree.resolve(path.as_bytes())?;
            Some((inode, layer.toc.file_digest(inode)?))
        });
        match known {
            Some((inode, expected)) if expected != found => {
                let source = ReadError::Chunk {
                    ino: Ino(inode.index() as u64),
                    file_offset: 0,
                    source: CheckError::Digest { expected, found },
                };
                let path = path.clone();
                Err(ConvertError::Content { path, source })
            }
            _ => Ok(()),
        }
    }

    /// The frame that holds `extent`, and no other chunk.
    fn frame(&self, ino: Ino, extent: &Extent) -> Option<KeptFrame> {
        let ExtentSource::Chunk {
            frame,
            offset_in_frame: 0,
            ..
        } = extent.source
        else {
            return None;
        };
        let image = self.image.image();
        let frame = image.frame(frame).ok()?;
        let whole = match image.recipe(frame.recipe)?.decode {
            Decode::Exact(codec) if codec == self.codec => true,
            // Of zstd, the header mostly tells whether anything follows the chunk.
            Decode::Prefix(codec) if codec == self.codec => {
                let mut start = [0; Decoder::MAX_HEADER_LEN];
                let start = &mut start[..Decoder::MAX_HEADER_LEN.min(frame.stored_len as usize)];
                let blob = self.image.blobs().blob(frame.blob).ok()?;
                codec == Codec::Zstd
                    && blob.read_at(frame.offset, start).is_ok()
                    && Decoder::declared_len(codec, start) == Some(extent.len)
            }
            _ => return None,
        };
        let bound = self.codec.max_stored_len(frame.len);
        let fits = u64::from(frame.len) == extent.len && u64::from(frame.stored_len) <= bound;
        fits.then_some(KeptFrame {
            blob: frame.blob,
            offset: frame.offset,
            stored_len: frame.stored_len,
            whole,
            place: (ino, extent.file_offset),
        })
    }

    /// The tree of a layer with a TOC, in the order of its tar.
    pub(crate) fn tar_order(&self) -> Option<Tree<Ino>> {
        let tree = &self.image.estargz()?.toc.image.tree;
        let number = |id: InodeId, _, _| Ino(id.index() as u64);
        Some(tree.clone().map(number))
    }

    /// The tar of a layer with frames of the codec, to be read from its first byte to its last.
    pub(crate) fn tar(&self) -> Option<Streaming<'static>> {
        let codec = match self.image.format() {
            Format::Estargz | Format::ExternalToc => Codec::Gzip,
            Format::ZstdChunked => Codec::Zstd,
            _ => return None,
        };
        let source = self.image.source().filter(|_| codec == self.codec)?;
        let stored = Stored {
            source: Arc::clone(source),
            at: 0,
        };
        Some(Streaming::new(stored))
    }
}

impl KeptFile {
    /// Whether all chunks can be frames of their own as they are, but for the last of several.
    pub(crate) fn stands_alone(&self) -> bool {
        let [before @ .., last] = &self.chunks[..] else {
            return false;
        };
        let is_whole = |chunk: &SourceChunk| chunk.frame.is_some_and(|frame| frame.whole);
        let mut before = before.iter();
        self.covers
            && match is_whole(last) {
                true => before.all(is_whole),
                false => before.len() > 0 && before.all(|chunk| chunk.frame.is_some()),
            }
    }
}

impl StoredFrames for KeptFrames {
    fn read(&self, frame: &KeptFrame, out: &mut Vec<u8>) -> Result<(), ConvertError> {
        let failed = |source: FrameError| {
            let (ino, file_offset) = frame.place;
            ConvertError::Frame(ReadError::Frame {
                ino,
                file_offset,
                source: source.into(),
            })
        };
        let blobs = self.image.blobs();
        let blob = blobs
            .blob(frame.blob)
            .map_err(|error| failed(error.into()))?;
        let start = out.len();
        out.resize(start + frame.stored_len as usize, 0);
        blob.read_at(frame.offset, &mut out[start..])
            .map_err(|source| match blobs.id(frame.blob) {
                Ok(id) => {
                    let id = id.clone();
                    failed(FrameError::Blob { id, source })
                }
                Err(error) => failed(error.into()),
            })
    }

    fn single(&self) -> bool {
        self.single
    }
}

/// The bytes of a file, from its first one on.
struct Stored {
    source: Arc<dyn ReadAt>,
    at: u64,
}

impl Read for Stored {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.source.len()?.saturating_sub(self.at);
        let len = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        self.source.read_at(self.at, &mut buf[..len])?;
        self.at += len as u64;
        Ok(len)
    }
}
