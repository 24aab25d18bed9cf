//! Copying the tree of an image.

use std::collections::HashMap;

use super::{InoSet, Walk, WalkError};
use crate::error::ImageError;
use crate::image::{Image, Ino};
use crate::limits::Limits;
use crate::metadata::{FileKind, Metadata};
use crate::tree::{InodeId, Node, Tree};

/// The inodes of `image`, directories aside, that have more than one name. Names are counted:
/// what the image says of its link counts is not trusted.
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

/// Copies the tree of `image`; the content of a file is its inode number there.
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
    let mut walk = Walk::new(image, limits);
    while let Some(entry) = walk.next_entry() {
        let entry = entry?;
        directories.truncate(entry.depth);
        let id = match (entry.name(), linked.get(&entry.ino)) {
            (None, _) => {
                let (metadata, _) =
                    read_inode(image, entry.ino).map_err(|source| WalkError::Image {
                        path: entry.path.clone(),
                        source,
                    })?;
                tree.inode_mut(InodeId::ROOT).metadata = metadata;
                if image.is_implied(entry.ino) {
                    tree.imply(InodeId::ROOT);
                }
                InodeId::ROOT
            }
            (Some(_), Some(&id)) => id,
            (Some(_), None) => {
                let (metadata, node) =
                    read_inode(image, entry.ino).map_err(|source| WalkError::Image {
                        path: entry.path.clone(),
                        source,
                    })?;
                let id = tree.add(metadata, node);
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

/// Everything about an inode but its entries.
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
