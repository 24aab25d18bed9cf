//! A bootstrap copied into the shared model.

use std::collections::HashMap;

use erofs_format::budget::Budget;
use image_model::image::{ChunkExtent, ChunkRange, ChunkedParts};
use image_model::tree::Directory;
use image_model::width::usize_from;
use image_model::{
    Blob, Chunk, ChunkId, ChunkedImage, Codec, Decode, FileKind, Frame, FrameId, Ino, InodeId,
    Limits, Metadata, NameRef, Node, Recipe, Tree,
};

use crate::error::DecodeError;
use crate::native::FileChunk;
use crate::recipes::native_recipes;
use crate::v6::ChunkPlace;

/// A bootstrap copied into the shared model, with what only RAFS knows of chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedBootstrap {
    /// The image.
    pub image: ChunkedImage,
    /// Where its chunks are in their blobs, in the order of the image's list.
    pub places: Vec<ChunkPlace>,
}

/// What is copied: a bootstrap of either version.
pub(crate) trait Copied {
    /// An inode as stored.
    type Inode;

    /// The bounds that it was opened with.
    fn limits(&self) -> &Limits;

    /// The blobs.
    fn blobs(&self) -> &[Blob];

    /// The recipes of frames of its chunks.
    fn recipes(&self) -> Vec<Recipe> {
        native_recipes().collect()
    }

    /// The root directory.
    fn root(&self) -> Ino;

    /// Reads an inode that is seen for the first time, and counts it.
    fn read(&self, ino: Ino, budget: &mut Budget) -> Result<Self::Inode, DecodeError>;

    /// Where the inode `ino` begins.
    fn offset_of(&self, ino: Ino) -> u64;

    /// Its metadata and, but for content and children, the inode.
    fn node(&self, inode: &Self::Inode) -> Result<(Metadata, Node<()>), DecodeError>;

    /// Shows the entries of a directory, in order.
    fn children(
        &self,
        directory: &Self::Inode,
        visit: &mut dyn FnMut(Child<'_>) -> Result<FileKind, DecodeError>,
    ) -> Result<(), DecodeError>;

    /// Shows the chunks of a file, in order.
    fn chunks(
        &self,
        file: &Self::Inode,
        visit: &mut dyn FnMut(FileChunk),
    ) -> Result<(), DecodeError>;
}

/// An entry of a directory. The visitor returns the kind of the inode.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Child<'a> {
    pub(crate) name: NameRef<'a>,
    pub(crate) ino: Ino,
}

/// Copies the image into the shared model: every inode that the root reaches once, in the order in
/// which builders number them; every chunk that a file uses once, in the order of first use.
pub(crate) fn copy<S: Copied>(source: &S) -> Result<OwnedBootstrap, DecodeError> {
    let mut budget = Budget::default();
    let root = source.read(source.root(), &mut budget)?;
    let (metadata, _) = source.node(&root)?;
    let mut copy = Copy {
        source,
        tree: Tree::new(metadata),
        parts: ChunkedParts {
            recipes: source.recipes(),
            blobs: source.blobs().to_vec(),
            ..ChunkedParts::default()
        },
        places: Vec::new(),
        ids: HashMap::from([(source.root(), InodeId::ROOT)]),
        chunk_ids: HashMap::new(),
        names: 1,
        budget,
    };
    let mut pending = vec![(InodeId::ROOT, root, 0u32)];
    while let Some((id, inode, depth)) = pending.pop() {
        let depth = copy.check_depth(depth)?;
        let first_child = pending.len();
        let mut entries = Vec::new();
        source.children(&inode, &mut |child| {
            let (id, directory) = copy.child(child.ino)?;
            pending.extend(directory.map(|inode| (id, inode, depth)));
            entries.push((child.name.to_name(), id));
            Ok(copy.tree.inode(id).node.kind())
        })?;
        pending[first_child..].reverse();
        copy.tree.inode_mut(id).node = Node::Directory(Directory::from_iter(entries));
    }
    let Copy {
        tree,
        parts,
        places,
        ..
    } = copy;
    let image = ChunkedImage::new(tree, parts);
    let image = image.expect("each directory was met once, and the rest put in its place");
    Ok(OwnedBootstrap { image, places })
}

/// The copy so far.
struct Copy<'a, S> {
    source: &'a S,
    tree: Tree<ChunkRange>,
    parts: ChunkedParts,
    places: Vec<ChunkPlace>,
    /// Inodes that were met.
    ids: HashMap<Ino, InodeId>,
    /// Chunks that were met.
    chunk_ids: HashMap<FrameId, ChunkId>,
    names: u64,
    budget: Budget,
}

impl<S: Copied> Copy<'_, S> {
    fn check_depth(&self, depth: u32) -> Result<u32, DecodeError> {
        let max = self.source.limits().max_depth;
        if depth > max {
            return Err(DecodeError::Limit {
                what: "nested directories",
                found: depth.into(),
                max: max.into(),
            });
        }
        Ok(depth.saturating_add(1))
    }

    /// The inode that a directory entry means, read if it is seen for the first time; a directory is
    /// answered too, since its entries are left for later.
    fn child(&mut self, ino: Ino) -> Result<(InodeId, Option<S::Inode>), DecodeError> {
        self.names = self.names.saturating_add(1);
        let max = u64::from(self.source.limits().max_inodes);
        if self.names > max {
            return Err(DecodeError::Limit {
                what: "names",
                found: self.names,
                max,
            });
        }
        match self.ids.get(&ino) {
            Some(&id) if self.tree.directory(id).is_some() => {
                let offset = self.source.offset_of(ino);
                Err(DecodeError::DirectoryAgain { offset })
            }
            Some(&id) => Ok((id, None)),
            None => self.add(ino),
        }
    }

    fn add(&mut self, ino: Ino) -> Result<(InodeId, Option<S::Inode>), DecodeError> {
        let inode = self.source.read(ino, &mut self.budget)?;
        let (metadata, node) = self.source.node(&inode)?;
        let node = match node {
            Node::File { size, .. } => Node::File {
                size,
                content: self.content(&inode)?,
            },
            Node::Directory(entries) => Node::Directory(entries),
            Node::Symlink(target) => Node::Symlink(target),
            Node::CharDevice(device) => Node::CharDevice(device),
            Node::BlockDevice(device) => Node::BlockDevice(device),
            Node::Fifo => Node::Fifo,
            Node::Socket => Node::Socket,
        };
        let is_directory = node.kind() == FileKind::Directory;
        let id = self.tree.add(metadata, node);
        self.ids.insert(ino, id);
        Ok((id, is_directory.then_some(inode)))
    }

    fn content(&mut self, inode: &S::Inode) -> Result<ChunkRange, DecodeError> {
        let source = self.source;
        let start = self.parts.extents.len();
        source.chunks(inode, &mut |chunk| {
            let id = self.chunk_id(&chunk);
            self.parts.extents.push(ChunkExtent {
                file_offset: chunk.extent.file_offset,
                chunk: Some(id),
            });
        })?;
        let small =
            |len| u32::try_from(len).expect("a bootstrap has at most 2 GiB, and fewer extents");
        Ok(ChunkRange {
            start: small(start),
            end: small(self.parts.extents.len()),
        })
    }

    fn chunk_id(&mut self, chunk: &FileChunk) -> ChunkId {
        if let Some(&id) = self.chunk_ids.get(&chunk.id) {
            return id;
        }
        let index = u32::try_from(self.places.len()).expect("no more chunks than records");
        let id = ChunkId::new(index);
        self.chunk_ids.insert(chunk.id, id);
        self.parts.chunks.push(Chunk {
            digest: chunk.digest,
            len: chunk.frame.len,
            crc32c: chunk.crc32c,
            frame: FrameId(index),
            offset_in_frame: 0,
        });
        self.places.push(ChunkPlace {
            index: chunk.record.index,
            address: chunk.record.uncompressed_offset,
            in_batch: self.is_in_batch(&chunk.frame),
        });
        self.parts.frames.push(chunk.frame);
        id
    }

    /// Whether `frame` is what a record says of a chunk in a batch.
    fn is_in_batch(&self, frame: &Frame) -> bool {
        let recipe = self.parts.recipes.get(usize_from(frame.recipe.0));
        recipe.is_some_and(|recipe| recipe.decode == Decode::Unlocated(Codec::None))
    }
}
