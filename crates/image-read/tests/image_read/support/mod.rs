//! Images made by hand, with their blobs in memory.

pub(crate) mod fixtures;
pub(crate) mod made;
pub(crate) mod tar;

use std::sync::Arc;

use blob_io::ReadAt;
use bytes::Bytes;
use frame_codec::{Compression, Encoder};
use image_model::image::{ChunkExtent, ChunkRange, ChunkedParts};
use image_model::{
    Blob, BlobId, BlobIndex, Chunk, ChunkId, ChunkedImage, Digest, Frame, FrameId, Image, Ino,
    Metadata, Name, NameRef, Node, Recipe, RecipeId, Tree,
};
use lazyoci_image_read::{BlobStore, OpenBlob, ReadOptions, Reader, StoreError};

/// What vouches for a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vouch {
    Digest,
    Crc,
    Nothing,
}

/// A piece of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Piece {
    Chunk(ChunkId),
    Zeros(u64),
}

/// Puts an image together; blobs and plain contents are kept beside it.
#[derive(Default)]
pub(crate) struct Builder {
    files: Vec<(Name, Vec<Piece>)>,
    chunks: Vec<Chunk>,
    frames: Vec<Frame>,
    recipes: Vec<Recipe>,
    plain_frames: Vec<Vec<u8>>,
    blobs: Vec<Vec<u8>>,
}

/// An image, its blobs and what its files hold.
pub(crate) struct Fixture {
    pub(crate) image: Arc<ChunkedImage>,
    pub(crate) blobs: Vec<Vec<u8>>,
    pub(crate) contents: Vec<Vec<u8>>,
}

impl Builder {
    /// An image with that many blobs.
    pub(crate) fn new(blobs: usize) -> Self {
        Self {
            blobs: vec![Vec::new(); blobs],
            ..Self::default()
        }
    }

    /// Appends a frame to a blob: one more byte of nothing in front of it, so that frames do not
    /// touch, then `plain` compressed. `tail` is compressed with it, but nobody vouches for it.
    pub(crate) fn frame(
        &mut self,
        blob: u32,
        compression: Compression,
        plain: &[u8],
        tail: &[u8],
    ) -> FrameId {
        let mut stored = Vec::new();
        let whole = [plain, tail].concat();
        let mut encoder = Encoder::new(compression).unwrap();
        encoder.encode_frame(&whole, &mut stored).unwrap();
        let codec = compression.codec();
        let recipe = match tail.is_empty() {
            true => Recipe::exact(codec),
            false => Recipe::prefix(codec),
        };
        self.stored_frame(blob, recipe, &stored, plain)
    }

    /// Appends a frame that is compressed already.
    pub(crate) fn stored_frame(
        &mut self,
        blob: u32,
        recipe: Recipe,
        stored: &[u8],
        plain: &[u8],
    ) -> FrameId {
        let known = self.recipes.iter().position(|known| *known == recipe);
        let recipe = known.unwrap_or_else(|| {
            self.recipes.push(recipe);
            self.recipes.len() - 1
        });
        let blob_bytes = &mut self.blobs[blob as usize];
        blob_bytes.push(0xee);
        self.frames.push(Frame {
            blob: BlobIndex(blob),
            offset: blob_bytes.len() as u64,
            stored_len: stored.len() as u32,
            len: plain.len() as u32,
            recipe: RecipeId(recipe as u32),
        });
        blob_bytes.extend_from_slice(stored);
        self.plain_frames.push(plain.to_vec());
        FrameId(self.frames.len() as u32 - 1)
    }

    pub(crate) fn chunk(&mut self, frame: FrameId, offset: u32, len: u32, vouch: Vouch) -> ChunkId {
        let plain = &self.plain_frames[frame.0 as usize][offset as usize..][..len as usize];
        let digest = verify::sha256(plain);
        self.chunks.push(Chunk {
            digest: (vouch == Vouch::Digest).then_some(digest),
            len,
            crc32c: (vouch == Vouch::Crc).then(|| verify::crc32c(plain)),
            frame,
            offset_in_frame: offset,
        });
        ChunkId::new(self.chunks.len() as u32 - 1)
    }

    /// A frame that is one chunk with a digest.
    pub(crate) fn whole(&mut self, blob: u32, compression: Compression, plain: &[u8]) -> ChunkId {
        let frame = self.frame(blob, compression, plain, b"");
        self.chunk(frame, 0, plain.len() as u32, Vouch::Digest)
    }

    pub(crate) fn file(&mut self, name: &str, pieces: &[Piece]) {
        let name = Name::new(name.as_bytes()).unwrap();
        self.files.push((name, pieces.to_vec()));
    }

    pub(crate) fn build(self) -> Fixture {
        let mut tree = Tree::new(Metadata::implied_directory());
        let mut extents = Vec::new();
        let mut contents = Vec::new();
        for (name, pieces) in &self.files {
            let start = extents.len() as u32;
            let mut content = Vec::new();
            for piece in pieces {
                let file_offset = content.len() as u64;
                let chunk = match *piece {
                    Piece::Zeros(len) => {
                        content.resize(content.len() + len as usize, 0);
                        None
                    }
                    Piece::Chunk(id) => {
                        let chunk = self.chunks[id.index()];
                        let frame = &self.plain_frames[chunk.frame.0 as usize];
                        let start = chunk.offset_in_frame as usize;
                        content.extend_from_slice(&frame[start..][..chunk.len as usize]);
                        Some(id)
                    }
                };
                extents.push(ChunkExtent { file_offset, chunk });
            }
            let end = extents.len() as u32;
            let node = Node::File {
                size: content.len() as u64,
                content: ChunkRange { start, end },
            };
            let inode = tree.add(Metadata::default(), node);
            tree.link(Tree::<ChunkRange>::ROOT, name.clone(), inode)
                .unwrap();
            contents.push(content);
        }
        let blobs = self.blobs.iter().enumerate().map(|(index, bytes)| {
            let id = BlobId::new(format!("blob-{index}").as_bytes()).unwrap();
            let mut blob = Blob::new(id);
            blob.stored_len = Some(bytes.len() as u64);
            blob
        });
        let parts = ChunkedParts {
            extents,
            chunks: self.chunks,
            frames: self.frames,
            recipes: self.recipes,
            blobs: blobs.collect(),
        };
        Fixture {
            image: Arc::new(ChunkedImage::new(tree, parts).unwrap()),
            blobs: self.blobs,
            contents,
        }
    }
}

impl Fixture {
    pub(crate) fn ino(&self, name: &str) -> Ino {
        self.find(name).unwrap()
    }

    pub(crate) fn find(&self, name: &str) -> Option<Ino> {
        let name = NameRef::new(name.as_bytes()).unwrap();
        self.image.lookup(self.image.root(), name).unwrap()
    }

    /// A store over copies of the blobs as they are now.
    pub(crate) fn store(&self) -> BlobStore {
        store(&*self.image, &self.blobs)
    }

    /// A reader of the blobs as they are now.
    pub(crate) fn reader(&self, options: ReadOptions) -> Reader {
        Reader::new(Arc::clone(&self.image) as _, self.store(), options)
    }

    /// The frame at `index`, in the order in which frames were made.
    pub(crate) fn frame(&self, index: usize) -> Frame {
        self.image.frames[index]
    }

    /// The stored bytes of a frame, to be damaged.
    pub(crate) fn stored(&mut self, index: usize) -> &mut [u8] {
        let frame = self.image.frames[index];
        let blob = &mut self.blobs[frame.blob.0 as usize];
        &mut blob[frame.offset as usize..][..frame.stored_len as usize]
    }
}

/// A store over copies of `blobs`, which are those of `image`.
pub(crate) fn store(image: &dyn Image, blobs: &[Vec<u8>]) -> BlobStore {
    let copies = blobs.iter().map(|b| Bytes::from(b.clone())).collect();
    BlobStore::new(image.blobs(), Memory(copies))
}

struct Memory(Vec<Bytes>);

impl OpenBlob for Memory {
    fn open_blob(&self, index: BlobIndex, _blob: &Blob) -> Result<Arc<dyn ReadAt>, StoreError> {
        Ok(Arc::new(self.0[index.0 as usize].clone()))
    }
}

/// Bytes that compress, but not to nothing, and differ everywhere.
pub(crate) fn text(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(format!("{:04x} lazily ", state & 0xffff).as_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// The digest of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    verify::sha256(bytes)
}
