//! Copying the tree of an image.

use std::collections::HashMap;

use super::{InoSet, Walk, WalkError};
use crate::error::ImageError;
use crate::image::{Image, Ino};
use crate::limits::Limits;
use crate::memory::{self, DIRECTORY_LEN, INODE_LEN, NAME_LEN};
use crate::metadata::{FileKind, Metadata};
use crate::tree::{InodeId, Node, Tree};

/// The inodes of `image`, except directories, that have more than one name. Names are counted; the
/// image's link counts are not trusted.
///
/// # Errors
/// [`WalkError`] on the first path that cannot be visited.
pub fn several_names(image: &dyn Image, limits: &Limits) -> Result<InoSet, WalkError> {
    let mut seen = InoSet::default();
    let mut several = InoSet::default();
    let mut walk = Walk::new(image, limits);
    while let Some(entry) = walk.next_entry() {
        let entry = entry?;
        if entry.attributes.kind != FileKind::Directory && !seen.insert(entry.ino) {
            several.insert(entry.ino);
        }
    }
    Ok(several)
}

/// Copies the tree of `image`; the content of a file is its inode number there. [`Limits::max_metadata_len`] bounds the
/// memory of the tree, counted as by [`LayerBuilder`](crate::layer::LayerBuilder): inodes that share targets and
/// extended attributes in the image have their own copies in the tree.
///
/// ```
/// use lazyoci_image_model::walk::copy_tree;
/// # use lazyoci_image_model::{ChunkedImage, Limits, Metadata, Tree};
/// # let tree = Tree::new(Metadata::implied_directory());
/// # let image = ChunkedImage::new(tree, Default::default())?;
/// assert_eq!(copy_tree(&image, &Limits::default())?.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`WalkError`] on the first path that cannot be visited or copied.
pub fn copy_tree(image: &dyn Image, limits: &Limits) -> Result<Tree<Ino>, WalkError> {
    let several = several_names(image, limits)?;
    let mut linked: HashMap<Ino, InodeId> = HashMap::new();
    let mut tree = Tree::new(Metadata::default());
    let mut directories = Vec::new();
    let mut spent = 0u64;
    let limit = limits.max_metadata_len;
    let mut walk = Walk::new(image, limits);
    while let Some(entry) = walk.next_entry() {
        let entry = entry?;
        directories.truncate(entry.depth);
        let mut charge = |len: usize| {
            spent = spent.saturating_add(len as u64);
            match spent > limit {
                true => Err(WalkError::Memory {
                    path: entry.path.clone(),
                    limit,
                }),
                false => Ok(()),
            }
        };
        if let Some(name) = entry.name() {
            charge(NAME_LEN + name.as_bytes().len())?;
        }
        let id = match linked.get(&entry.ino) {
            Some(&id) => id,
            None => {
                let (metadata, node) =
                    read_inode(image, entry.ino).map_err(|source| WalkError::Image {
                        path: entry.path.clone(),
                        source,
                    })?;
                charge(memory_len(&metadata, &node))?;
                let id = match entry.name() {
                    None => {
                        tree.inode_mut(InodeId::ROOT).metadata = metadata;
                        InodeId::ROOT
                    }
                    Some(_) => tree.add(metadata, node),
                };
                if image.is_implied(entry.ino) {
                    tree.imply(id);
                }
                if several.contains(entry.ino) {
                    linked.insert(entry.ino, id);
                }
                id
            }
        };
        if let (Some(name), Some(&parent)) = (entry.name(), directories.last()) {
            tree.link(parent, name.to_name(), id)
                .expect("only directories have entries");
        }
        if entry.attributes.kind == FileKind::Directory {
            directories.push(id);
        }
    }
    Ok(tree)
}

/// The memory of an inode, without its names.
fn memory_len(metadata: &Metadata, node: &Node<Ino>) -> usize {
    let more = match node {
        Node::Directory(_) => DIRECTORY_LEN,
        Node::Symlink(target) => target.len(),
        _ => 0,
    };
    INODE_LEN + memory::xattrs_len(&metadata.xattrs) + more
}

/// Everything about an inode except its entries.
fn read_inode(image: &dyn Image, ino: Ino) -> Result<(Metadata, Node<Ino>), ImageError> {
    let attributes = image.attributes(ino)?;
    let metadata = Metadata {
        mode: attributes.mode,
        uid: attributes.uid,
        gid: attributes.gid,
        mtime: attributes.mtime,
        xattrs: image.xattrs(ino)?,
    };
    let node = match attributes.kind {
        FileKind::Directory => Node::empty_directory(),
        FileKind::File => Node::File {
            size: attributes.size,
            content: ino,
        },
        FileKind::Symlink => Node::Symlink(image.symlink_target(ino)?),
        FileKind::CharDevice => Node::CharDevice(attributes.device),
        FileKind::BlockDevice => Node::BlockDevice(attributes.device),
        FileKind::Fifo => Node::Fifo,
        FileKind::Socket => Node::Socket,
    };
    Ok((metadata, node))
}
