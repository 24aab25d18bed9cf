//! Images with content in memory, sound and unsound.

pub(crate) mod content;

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};

use image_model::image::{ChunkExtent, ChunkRange, ChunkedParts, WrongInode};
use image_model::layer::{LayerBuilder, LayerOptions};
use image_model::metadata::Xattr;
use image_model::{
    Attributes, Blob, BlobId, BlobIndex, Chunk, ChunkId, ChunkedImage, Codec, Device,
    DigestAlgorithm, DirEntry, Extent, Frame, FrameId, Image, ImageError, ImagePath, Ino, Metadata,
    NameRef, Node, Recipe, RecipeId, Timestamp, Tree, Xattrs,
};
use lazyoci_verify::{crc32c, digest};

use content::Store;

pub(crate) fn path(text: &str) -> ImagePath {
    ImagePath::clean(text.as_bytes()).unwrap()
}

pub(crate) fn metadata(mode: u16) -> Metadata {
    Metadata {
        mode,
        mtime: Timestamp::from_seconds(1_600_000_000),
        ..Metadata::default()
    }
}

pub(crate) fn xattrs(list: &[(&str, &[u8])]) -> Xattrs {
    let xattr = |(name, value): &(&str, &[u8])| Xattr {
        name: name.as_bytes().into(),
        value: (*value).into(),
    };
    Xattrs::new(list.iter().map(xattr)).unwrap()
}

/// Writes trees of files with their bytes.
pub(crate) struct Files(LayerBuilder<Vec<u8>>);

impl Files {
    pub(crate) fn new() -> Self {
        Self(LayerBuilder::new(LayerOptions::default()))
    }

    pub(crate) fn node(mut self, at: &str, metadata: Metadata, node: Node<Vec<u8>>) -> Self {
        self.0.add(&path(at), metadata, node).unwrap();
        self
    }

    pub(crate) fn directory(self, at: &str) -> Self {
        self.node(at, metadata(0o755), Node::empty_directory())
    }

    pub(crate) fn file(self, at: &str, content: impl Into<Vec<u8>>) -> Self {
        let content = content.into();
        let size = content.len() as u64;
        self.node(at, metadata(0o644), Node::File { size, content })
    }

    pub(crate) fn symlink(self, at: &str, target: &str) -> Self {
        let node = Node::Symlink(target.as_bytes().into());
        self.node(at, metadata(0o777), node)
    }

    pub(crate) fn device(self, at: &str, major: u32, minor: u32) -> Self {
        let node = Node::CharDevice(Device { major, minor });
        self.node(at, metadata(0o600), node)
    }

    pub(crate) fn link(mut self, at: &str, target: &str) -> Self {
        self.0.link(&path(at), &path(target)).unwrap();
        self
    }

    pub(crate) fn tree(self) -> Tree<Vec<u8>> {
        self.0.finish().unwrap().into_tree().unwrap()
    }

    /// Cut into chunks of `chunk_len`.
    pub(crate) fn store(self, chunk_len: usize) -> (ChunkedImage, Store) {
        store(self.tree(), chunk_len)
    }
}

/// Equal chunks are stored once, each in a frame of its own; chunks of zeros not at all. Every
/// other chunk has a CRC only.
pub(crate) fn store(tree: Tree<Vec<u8>>, chunk_len: usize) -> (ChunkedImage, Store) {
    let mut store = Store::default();
    let mut known: HashMap<Vec<u8>, ChunkId> = HashMap::new();
    let (mut extents, mut chunks, mut frames) = (Vec::new(), Vec::new(), Vec::new());
    let recipes = vec![Recipe::exact(Codec::None)];
    let tree = tree.try_map(|_, _, content: Vec<u8>| {
        let start = u32::try_from(extents.len()).unwrap();
        for (number, piece) in content.chunks(chunk_len).enumerate() {
            let chunk = piece.iter().any(|&b| b != 0).then(|| {
                *known.entry(piece.to_vec()).or_insert_with(|| {
                    let index = u32::try_from(chunks.len()).unwrap();
                    let len = u32::try_from(piece.len()).unwrap();
                    let offset = store.blob.len() as u64;
                    let sha256 = digest(DigestAlgorithm::Sha256, piece).unwrap();
                    chunks.push(Chunk {
                        digest: (index % 2 == 0).then_some(sha256),
                        len,
                        crc32c: Some(crc32c(piece)),
                        frame: FrameId(index),
                        offset_in_frame: 0,
                    });
                    frames.push(Frame {
                        blob: BlobIndex(0),
                        offset,
                        stored_len: len,
                        len,
                        recipe: RecipeId(0),
                    });
                    store.blob.extend_from_slice(piece);
                    ChunkId::new(index)
                })
            });
            let file_offset = (number * chunk_len) as u64;
            extents.push(ChunkExtent { file_offset, chunk });
        }
        let end = u32::try_from(extents.len()).unwrap();
        Ok::<_, std::convert::Infallible>(ChunkRange { start, end })
    });
    let mut blob = Blob::new(BlobId::new(b"the-blob").unwrap());
    blob.stored_len = Some(store.blob.len() as u64);
    let parts = ChunkedParts {
        extents,
        chunks,
        frames,
        recipes,
        blobs: vec![blob],
    };
    (ChunkedImage::new(tree.unwrap(), parts).unwrap(), store)
}

type Change<T, Key = Ino> = Box<dyn Fn(Key, &mut T)>;

/// An image whose answers are changed on the way.
pub(crate) struct Tampered {
    pub(crate) image: ChunkedImage,
    pub(crate) attributes: Change<Attributes>,
    pub(crate) extents: Change<Vec<Extent>>,
    pub(crate) frames: Change<Frame, FrameId>,
    pub(crate) entries: Change<Vec<(String, Ino, image_model::FileKind)>>,
    pub(crate) blobs: Vec<Blob>,
    pub(crate) broken_xattrs: Option<Ino>,
}

impl Tampered {
    pub(crate) fn new(image: ChunkedImage) -> Self {
        Self {
            blobs: image.blobs.clone(),
            image,
            attributes: Box::new(|_, _| {}),
            extents: Box::new(|_, _| {}),
            frames: Box::new(|_, _| {}),
            entries: Box::new(|_, _| {}),
            broken_xattrs: None,
        }
    }

    pub(crate) fn ino(&self, at: &str) -> Ino {
        Ino(self.image.tree.resolve(at.as_bytes()).unwrap().index() as u64)
    }
}

impl Image for Tampered {
    fn root(&self) -> Ino {
        self.image.root()
    }

    fn attributes(&self, ino: Ino) -> Result<Attributes, ImageError> {
        let mut attributes = self.image.attributes(ino)?;
        (self.attributes)(ino, &mut attributes);
        Ok(attributes)
    }

    fn xattrs(&self, ino: Ino) -> Result<Xattrs, ImageError> {
        if self.broken_xattrs == Some(ino) {
            return Err(ImageError::new(ino, WrongInode::Missing(ino)));
        }
        self.image.xattrs(ino)
    }

    fn lookup(&self, directory: Ino, name: NameRef<'_>) -> Result<Option<Ino>, ImageError> {
        self.image.lookup(directory, name)
    }

    fn read_directory(
        &self,
        directory: Ino,
        visit: &mut dyn FnMut(DirEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        let mut entries = Vec::new();
        self.image.read_directory(directory, &mut |entry| {
            entries.push((entry.name.to_string(), entry.ino, entry.kind));
            ControlFlow::Continue(())
        })?;
        (self.entries)(directory, &mut entries);
        for (name, ino, kind) in entries {
            let name = NameRef::new(name.as_bytes()).unwrap();
            if visit(DirEntry { name, ino, kind }).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn symlink_target(&self, ino: Ino) -> Result<Box<[u8]>, ImageError> {
        self.image.symlink_target(ino)
    }

    fn extents(
        &self,
        ino: Ino,
        range: Range<u64>,
        visit: &mut dyn FnMut(Extent) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        let mut extents = Vec::new();
        self.image.extents(ino, range, &mut |extent| {
            extents.push(extent);
            ControlFlow::Continue(())
        })?;
        (self.extents)(ino, &mut extents);
        for extent in extents {
            if visit(extent).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn frame(&self, id: FrameId) -> Result<Frame, ImageError> {
        let mut frame = self.image.frame(id)?;
        (self.frames)(id, &mut frame);
        Ok(frame)
    }

    fn frame_bound(&self) -> u32 {
        self.image.frame_bound()
    }

    fn recipe(&self, recipe: RecipeId) -> Option<Recipe> {
        self.image.recipe(recipe)
    }

    fn blobs(&self) -> &[Blob] {
        &self.blobs
    }
}
