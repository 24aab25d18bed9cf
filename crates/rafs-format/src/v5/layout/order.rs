//! The order in which names are numbered and inodes placed.

use erofs_format::loss::second_path_of;
use image_model::tree::{Directory, Inode as TreeInode};
use image_model::width::{u64_from, usize_from};
use image_model::{ChunkedImage, Digest, DigestAlgorithm, InodeId, NameRef, Node};

use crate::chunk_record::ChunkRecord;
use crate::flags::Compat;
use crate::layout::content::{File, StoredChunk, check_file, file_extents};
use crate::layout::{EncodeError, LayoutInput, LayoutOptions};
use crate::v5::inode;
use crate::v5::{merkle, xattr};
use crate::view::{self, MAX_LEN};

/// A name, which has an inode of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) id: InodeId,
    /// Empty for the root.
    pub(super) name: &'a [u8],
    /// Number of the directory above; 0 for the root.
    pub(super) parent: u32,
    /// Number of the first child, of directories.
    pub(super) child_index: u32,
    pub(super) subdirectories: u32,
    pub(super) digest: [u8; 32],
    pub(super) offset: u64,
}

impl Named<'_> {
    /// The name as stored.
    pub(super) fn stored_name(&self) -> &[u8] {
        match self.parent {
            0 => b"/",
            _ => self.name,
        }
    }
}

/// Goes through the tree and gathers the plan.
///
/// The children of a directory are numbered one after the other, in the order of their names; then
/// those of each subdirectory, before the next one. So does nydus.
#[derive(Debug)]
pub(super) struct Planner<'a> {
    input: LayoutInput<'a>,
    image: &'a ChunkedImage,
    chunk_size: u32,
    algorithm: DigestAlgorithm,
    /// By number.
    pub(super) names: Vec<Named<'a>>,
    /// Positions in `names`, in the order of places.
    pub(super) by_place: Vec<u32>,
    /// Number of each inode's first name, 0 before it has one.
    pub(super) numbers: Vec<u32>,
    pub(super) has_xattr: bool,
}

impl<'a> Planner<'a> {
    pub(super) fn new(input: LayoutInput<'a>, options: &LayoutOptions) -> Self {
        let image = input.image;
        Self {
            input,
            image,
            chunk_size: options.chunk_size,
            algorithm: options.digester.into(),
            names: Vec::with_capacity(image.tree.len()),
            by_place: Vec::new(),
            numbers: vec![0; image.tree.len()],
            has_xattr: false,
        }
    }

    /// Numbers all names.
    pub(super) fn run(&mut self) -> Result<(), EncodeError> {
        let tree = &self.image.tree;
        self.add_name(InodeId::ROOT, b"", 0)?;
        let mut pending = vec![InodeId::ROOT];
        while let Some(at) = pending.pop() {
            let number = self.numbers[at.index()];
            let child_index = self.next_number()?;
            let first_child = pending.len();
            for (name, &id) in tree.directory(at).into_iter().flatten() {
                let name: NameRef<'a> = name.as_ref();
                self.add_name(id, name.as_bytes(), number)?;
                if tree.directory(id).is_some() {
                    pending.push(id);
                }
            }
            let subdirectories = pending.len().saturating_sub(first_child);
            let named = &mut self.names[position(number)];
            named.child_index = child_index;
            named.subdirectories = u32::try_from(subdirectories).unwrap_or(u32::MAX);
            pending[first_child..].reverse();
        }
        Ok(())
    }

    fn next_number(&self) -> Result<u32, EncodeError> {
        let next = self.names.len().saturating_add(1);
        let number = u32::try_from(next).ok().filter(|&next| next < 1 << 29);
        number.ok_or(EncodeError::TooLong {
            len: MAX_LEN.saturating_add(1),
        })
    }

    fn add_name(&mut self, id: InodeId, name: &'a [u8], parent: u32) -> Result<(), EncodeError> {
        let number = self.next_number()?;
        let inode = &self.image.tree.inode(id);
        let slot = self
            .numbers
            .get_mut(id.index())
            .ok_or(EncodeError::Broken { what: "inode" })?;
        let is_first = *slot == 0;
        if is_first {
            *slot = number;
        }
        self.has_xattr |= !inode.metadata.xattrs.is_empty();
        match inode.node {
            Node::Directory(_) if !is_first => {
                return Err(EncodeError::SharedDirectory {
                    path: second_path_of(&self.image.tree, id),
                });
            }
            Node::File { size, content } if is_first => {
                let file = File { id, size, content };
                let entries = self.input.entries;
                check_file(self.input, file, self.chunk_size, &mut |stored| {
                    stored.check(entries, 1)
                })?;
            }
            _ => {}
        }
        self.names.push(Named {
            id,
            name,
            parent,
            child_index: 0,
            subdirectories: 0,
            digest: [0; 32],
            offset: 0,
        });
        Ok(())
    }

    /// Blobs of the image.
    pub(super) fn blobs(&self) -> usize {
        self.input.entries.len()
    }

    /// Distinct inodes.
    pub(super) fn inodes(&self) -> u64 {
        let reached = self.numbers.iter().filter(|&&number| number != 0);
        u64_from(reached.count())
    }

    /// Computes the digests of all inodes, children before their directories.
    pub(super) fn digest(&mut self) -> Result<(), EncodeError> {
        for at in (0..self.names.len()).rev() {
            let digest = self.digest_of(at)?;
            self.names[at].digest = *digest.as_bytes();
        }
        Ok(())
    }

    fn digest_of(&self, at: usize) -> Result<Digest, EncodeError> {
        let Named {
            id, child_index, ..
        } = self.names[at];
        let algorithm = self.algorithm;
        let digest = match &self.image.tree.inode(id).node {
            Node::Directory(children) => {
                let first = position(child_index);
                let children = &self.names[first..first.saturating_add(children.len())];
                merkle::digest(algorithm, children.iter().map(|child| child.digest))
            }
            Node::File { content, .. } => {
                let extents = file_extents(self.image, *content)?;
                let chunks = extents.iter().filter_map(|extent| extent.chunk);
                let digests = chunks.filter_map(|chunk| {
                    let stored = StoredChunk::registered(self.input, chunk.index());
                    Some(*stored.chunk.digest?.as_bytes())
                });
                merkle::digest(algorithm, digests)
            }
            Node::Symlink(target) => merkle::digest(algorithm, [target]),
            _ => merkle::digest(algorithm, [[0; 0]; 0]),
        };
        Ok(digest?)
    }

    /// Places all inodes, from `start`; returns where they end.
    pub(super) fn place(&mut self, start: u64, compat: Compat) -> u64 {
        self.by_place = match compat {
            Compat::V2_2 => (0u32..).zip(&self.names).map(|(at, _)| at).collect(),
            Compat::V2_4 => self.depth_first(),
        };
        let mut end = start;
        for &at in &self.by_place {
            let at = usize_from(at);
            let len = self.len_of(&self.names[at]);
            self.names[at].offset = end;
            end = end.saturating_add(len);
        }
        end
    }

    /// Each directory before its children, each child before what it holds.
    fn depth_first(&self) -> Vec<u32> {
        let mut order = Vec::with_capacity(self.names.len());
        let mut pending = vec![0u32];
        while let Some(at) = pending.pop() {
            order.push(at);
            let Named {
                id, child_index, ..
            } = self.names[usize_from(at)];
            let count = self.image.tree.directory(id).map_or(0, Directory::len);
            let first = child_index.saturating_sub(1);
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            pending.extend((first..first.saturating_add(count)).rev());
        }
        order
    }

    /// Size of an inode with all that follows it, in bytes.
    fn len_of(&self, named: &Named<'_>) -> u64 {
        let TreeInode { metadata, node, .. } = self.image.tree.inode(named.id);
        let padded = |len: usize| view::align(u64_from(len), 8);
        let data = match node {
            Node::Symlink(target) => padded(target.len()),
            Node::File { size, .. } => {
                let chunks = size.div_ceil(self.chunk_size.into());
                chunks.saturating_mul(u64_from(ChunkRecord::LEN))
            }
            _ => 0,
        };
        inode::LEN
            .saturating_add(padded(named.stored_name().len()))
            .saturating_add(xattr::planned_len(&metadata.xattrs))
            .saturating_add(data)
    }
}

/// Position of `number` in a list of all names.
fn position(number: u32) -> usize {
    usize_from(number.saturating_sub(1))
}
