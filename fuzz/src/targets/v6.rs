//! What the targets of RAFS v6 share, and those of v5 of storing content.

use lazyoci::chunk_dedup::ChunkTable;
use lazyoci::frame_codec::{Compression, Encoder};
use lazyoci::model::image::{ChunkExtent, ChunkRange, ChunkedParts};
use lazyoci::model::{
    BlobIndex, Chunk, ChunkId, ChunkedImage, Codec, DigestAlgorithm, Frame, FrameId, Limits,
    Recipe, RecipeId, Tree,
};
use lazyoci::rafs_format::blob::{BlobBuilder, BlobHasher, BlobOptions, StoredChunk};
use lazyoci::rafs_format::flags::{Compat, Compressor, Digester};
use lazyoci::rafs_format::v6::{
    BlobEntry, Bootstrap, ChunkPlace, EncodeError, Layout, LayoutInput, LayoutOptions,
    OwnedBootstrap,
};
use lazyoci::rafs_format::{DecodeError, Version};
use lazyoci::verify;

use super::input::Input;
use super::tree::Pattern;

/// Opens a bootstrap with small limits.
pub(super) fn open(bytes: &[u8]) -> Result<Bootstrap, DecodeError> {
    Bootstrap::open(bytes.to_vec().into(), &Limits::small())
}

/// The bytes of a bootstrap.
pub(super) fn encode(
    bootstrap: &OwnedBootstrap,
    entries: &[BlobEntry],
    options: &LayoutOptions,
) -> Result<Vec<u8>, EncodeError> {
    let OwnedBootstrap { image, places } = bootstrap;
    let input = LayoutInput {
        image,
        places,
        entries,
    };
    let layout = Layout::plan(input, options)?;
    let mut bytes = Vec::new();
    layout
        .write_to(&mut bytes)
        .expect("a vector takes all bytes");
    assert_eq!(bytes.len() as u64, layout.len());
    Ok(bytes)
}

/// How a tree is stored.
#[derive(Debug, Clone)]
pub(super) struct Choices {
    compression: Compression,
    blob: BlobOptions,
}

impl Choices {
    /// Choices out of the input.
    pub(super) fn take(input: &mut Input<'_>) -> Self {
        let compression = input.one_of(&[
            Compression::None,
            Compression::Lz4Block,
            Compression::Zstd { level: 1 },
        ]);
        let compressor = Compressor::try_from(compression.codec()).expect("RAFS has these three");
        Self {
            compression,
            blob: BlobOptions::default()
                .version(Version::V6)
                .compat(input.one_of(&[Compat::V2_2, Compat::V2_4]))
                .compressor(compressor)
                .digester(input.one_of(&[Digester::Sha256, Digester::Blake3]))
                .chunk_size(input.one_of(&[4096, 8192, 1 << 20]))
                .toc(input.flag())
                .aligned_data(input.flag() && compression == Compression::None),
        }
    }

    /// The same for version 5, whose blobs have nothing but chunks.
    pub(super) fn of_v5(mut self) -> Self {
        self.blob.version = Version::V5;
        self.blob.toc = false;
        self.blob.aligned_data = false;
        self
    }

    /// Options for a bootstrap of such a blob.
    pub(super) fn layout(&self) -> LayoutOptions {
        LayoutOptions::default()
            .compat(self.blob.compat)
            .chunk_size(self.blob.chunk_size)
            .compressor(self.blob.compressor)
            .digester(self.blob.digester)
            .explicit_ids(true)
    }
}

/// An image with its blob.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) bootstrap: OwnedBootstrap,
    /// One, or none if there is no content.
    pub(super) entries: Vec<BlobEntry>,
    pub(super) blob: Vec<u8>,
}

/// Stores the content of `tree`.
pub(super) fn store(tree: Tree<Pattern>, choices: &Choices) -> Stored {
    let builder = BlobBuilder::new(choices.blob.clone()).expect("the options are possible");
    let encoder = Encoder::new(choices.compression).expect("the codec is built in");
    let mut writer = Writer {
        choices,
        builder,
        encoder,
        hasher: BlobHasher::default(),
        table: ChunkTable::new(),
        parts: ChunkedParts {
            recipes: CODECS.map(Recipe::exact).into(),
            ..ChunkedParts::default()
        },
        places: Vec::new(),
        blob: Vec::new(),
    };
    let tree =
        tree.try_map(|_, _, content| Ok::<_, std::convert::Infallible>(writer.file(content)));
    let tree = tree.unwrap_or_else(|never| match never {});
    writer.finish(tree)
}

/// What chunks are stored with; the numbers of recipes.
const CODECS: [Codec; 3] = [Codec::None, Codec::Lz4Block, Codec::Zstd];

struct Writer<'a> {
    choices: &'a Choices,
    builder: BlobBuilder,
    encoder: Encoder,
    hasher: BlobHasher,
    table: ChunkTable,
    parts: ChunkedParts,
    places: Vec<ChunkPlace>,
    blob: Vec<u8>,
}

impl Writer<'_> {
    fn file(&mut self, content: Pattern) -> ChunkRange {
        let start = self.parts.extents.len() as u32;
        let chunk_size = self.choices.blob.chunk_size as usize;
        for (number, plain) in (0u64..).zip(content.bytes().chunks(chunk_size)) {
            let chunk = Some(self.chunk(plain));
            let file_offset = number * chunk_size as u64;
            self.parts.extents.push(ChunkExtent { file_offset, chunk });
        }
        let end = self.parts.extents.len() as u32;
        ChunkRange { start, end }
    }

    fn chunk(&mut self, plain: &[u8]) -> ChunkId {
        let options = &self.choices.blob;
        let algorithm = DigestAlgorithm::from(options.digester);
        let digest = verify::digest(algorithm, plain).expect("the algorithm is built in");
        let len = plain.len() as u32;
        if let Some(id) = self.table.find(&self.parts.chunks, &digest, len) {
            return id;
        }
        let mut stored = Vec::new();
        let codec = self
            .encoder
            .encode(plain, &mut stored)
            .expect("it is short");
        let stored_len = stored.len() as u32;
        let recipe = CODECS.iter().position(|known| *known == codec);
        let recipe = recipe.expect("RAFS has these three");
        let chunk = StoredChunk {
            len,
            stored_len,
            codec,
            digest,
            crc32c: None,
        };
        let placement = self.builder.push(&chunk).expect("the blob has room");
        assert_eq!(placement.offset, self.blob.len() as u64);
        stored.resize(stored.len() + placement.padding as usize, 0);
        self.blob.extend(&stored);
        self.hasher.update(&stored);
        let crc32c = (options.compat == Compat::V2_4).then(|| verify::crc32c(plain));
        self.parts.frames.push(Frame {
            blob: BlobIndex(0),
            offset: placement.offset,
            stored_len,
            len,
            recipe: RecipeId(recipe as u32),
        });
        let id = ChunkId::new(placement.index);
        self.parts.chunks.push(Chunk {
            digest: Some(digest),
            len,
            crc32c,
            frame: FrameId(placement.index),
            offset_in_frame: 0,
        });
        self.places.push(ChunkPlace {
            in_batch: false,
            index: placement.index,
            address: placement.address,
        });
        assert!(self.table.insert(&self.parts.chunks, id));
        id
    }

    fn finish(mut self, tree: Tree<ChunkRange>) -> Stored {
        let finished = self.builder.finish(self.hasher).expect("all was hashed");
        let mut entries = Vec::new();
        if let Some(finished) = finished {
            self.blob.extend(&finished.trailer);
            assert_eq!(self.blob.len() as u64, finished.len);
            entries.extend(finished.entry);
        }
        self.parts.blobs = entries.iter().map(BlobEntry::blob).collect();
        let image = ChunkedImage::new(tree, self.parts);
        let image = image.expect("each extent, chunk and frame was put in where it belongs");
        Stored {
            bootstrap: OwnedBootstrap {
                image,
                places: self.places,
            },
            entries,
            blob: self.blob,
        }
    }
}
