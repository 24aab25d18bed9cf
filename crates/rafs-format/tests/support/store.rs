//! Images to encode.

use std::collections::HashMap;

use image_model::image::{ChunkExtent, ChunkRange, ChunkedParts};
use image_model::{
    BlobId, BlobIndex, Chunk, ChunkId, ChunkedImage, Codec, DigestAlgorithm, Frame, FrameId,
    InodeId, Metadata, Name, Node, Recipe, RecipeId, Timestamp, Tree,
};
use lazyoci_rafs_format::flags::{BlobFeatures, Cipher, Compressor, Digester};
use lazyoci_rafs_format::layout::LayoutInput;
use lazyoci_rafs_format::v6::{BlobEntry, ChunkPlace};

pub(crate) const ID: &str = "624c0593d0f83a9eaffbb0eb2c2045e1c32b1d9ed8e35ef8ed9629edb13113d9";

/// All that a bootstrap is planned from.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) image: ChunkedImage,
    pub(crate) places: Vec<ChunkPlace>,
    pub(crate) entries: Vec<BlobEntry>,
}

impl Stored {
    pub(crate) fn input(&self) -> LayoutInput<'_> {
        LayoutInput {
            image: &self.image,
            places: &self.places,
            entries: &self.entries,
        }
    }
}

/// The recipe of frames that [`Store`] stores; behind it stand those of LZ4 and zstd.
pub(crate) const NONE: RecipeId = RecipeId(0);

/// Cuts and stores content, each chunk once, uncompressed, one behind the other.
pub(crate) struct Store {
    pub(crate) algorithm: DigestAlgorithm,
    pub(crate) chunk_size: usize,
    lists: ChunkedParts,
    places: Vec<ChunkPlace>,
    known: HashMap<Vec<u8>, ChunkId>,
    stored: u64,
    address: u64,
}

impl Store {
    pub(crate) fn new(algorithm: DigestAlgorithm, chunk_size: usize) -> Self {
        Self {
            algorithm,
            chunk_size,
            lists: ChunkedParts {
                recipes: [Codec::None, Codec::Lz4Block, Codec::Zstd]
                    .map(Recipe::exact)
                    .into(),
                ..ChunkedParts::default()
            },
            places: Vec::new(),
            known: HashMap::new(),
            stored: 0,
            address: 0,
        }
    }

    pub(crate) fn file(&mut self, content: &[u8]) -> Node<ChunkRange> {
        let start = self.lists.extents.len() as u32;
        for (number, piece) in content.chunks(self.chunk_size).enumerate() {
            let chunk = match self.known.get(piece) {
                Some(&id) => id,
                None => self.add(piece),
            };
            self.lists.extents.push(ChunkExtent {
                file_offset: (number * self.chunk_size) as u64,
                chunk: Some(chunk),
            });
        }
        let end = self.lists.extents.len() as u32;
        Node::File {
            size: content.len() as u64,
            content: ChunkRange { start, end },
        }
    }

    fn add(&mut self, piece: &[u8]) -> ChunkId {
        let index = self.lists.chunks.len() as u32;
        self.lists.chunks.push(Chunk {
            digest: Some(verify::digest(self.algorithm, piece).unwrap()),
            len: piece.len() as u32,
            crc32c: Some(verify::crc32c(piece)),
            frame: FrameId(index),
            offset_in_frame: 0,
        });
        self.places.push(ChunkPlace {
            in_batch: false,
            index,
            address: self.address,
        });
        self.lists.frames.push(Frame {
            blob: BlobIndex(0),
            offset: self.stored,
            stored_len: piece.len() as u32,
            len: piece.len() as u32,
            recipe: NONE,
        });
        self.stored += piece.len() as u64;
        self.address = (self.address + piece.len() as u64).next_multiple_of(4096);
        self.known.insert(piece.to_vec(), ChunkId::new(index));
        ChunkId::new(index)
    }

    /// The image of `tree`, and the blob table that goes with it.
    pub(crate) fn image(mut self, tree: Tree<ChunkRange>) -> Stored {
        let entries = match self.lists.chunks.len() as u64 {
            0 => Vec::new(),
            count => vec![self.entry(count)],
        };
        self.lists.blobs = entries.iter().map(BlobEntry::blob).collect();
        Stored {
            image: ChunkedImage::new(tree, self.lists).unwrap(),
            places: self.places,
            entries,
        }
    }

    fn entry(&self, count: u64) -> BlobEntry {
        BlobEntry {
            id: BlobId::new(ID.as_bytes()).unwrap(),
            chunk_size: self.chunk_size as u32,
            chunk_count: count as u32,
            compressor: Compressor::None,
            digester: Digester::try_from(self.algorithm).unwrap(),
            features: BlobFeatures::ALIGNED | BlobFeatures::CAP_TAR_TOC,
            compressed_size: self.stored + 16 * count + 4096,
            uncompressed_size: self.address,
            toc_size: 0,
            toc_digest: [0; 32],
            ci_compressor: Compressor::None,
            ci_offset: self.stored,
            ci_compressed_size: 16 * count,
            ci_uncompressed_size: 16 * count,
            meta_digest: [0; 32],
            meta_size: 0,
            cipher_iv: 0,
            cipher: Cipher::None,
        }
    }
}

pub(crate) fn name(text: &[u8]) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn metadata(mode: u16) -> Metadata {
    Metadata {
        mode,
        mtime: Timestamp::from_seconds(1_600_000_000),
        ..Metadata::default()
    }
}

/// The tree of the specification's golden vectors; inodes: `d` 1, `e` 2, `f` 3, `z` 4, `d/l` 5.
pub(crate) fn a4_tree(store: &mut Store) -> Tree<ChunkRange> {
    let root = Metadata {
        mtime: Timestamp::EPOCH,
        ..metadata(0o755)
    };
    let mut tree = Tree::new(root);
    let mut add = |parent: InodeId, path: &[u8], mode: u16, node: Node<ChunkRange>| {
        let id = tree.add(metadata(mode), node);
        tree.link(parent, name(path), id).unwrap();
        id
    };
    let root = InodeId::ROOT;
    let d = add(root, b"d", 0o755, Node::empty_directory());
    add(root, b"e", 0o644, store.file(b""));
    let f = add(root, b"f", 0o644, store.file(b"hello"));
    add(root, b"z", 0o644, store.file(&[b'A'; 10_000]));
    add(d, b"l", 0o777, Node::Symlink((*b"../f").into()));
    tree.link(d, name(b"h"), f).unwrap();
    tree
}
