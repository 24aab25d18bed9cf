//! Trees on their way through a conversion.

use std::collections::HashMap;

use image_model::tree::Directory;
use image_model::walk::{InoSet, Walk, WalkError};
use image_model::{
    FileKind, Image, ImageError, ImagePath, Ino, InodeId, Limits, Metadata, Node, Tree,
};

use crate::ConvertError;

/// The inodes of `image`, directories aside, that have more than one name. Names are counted:
/// what the image says of its link counts is not trusted.
pub(crate) fn several_names(image: &dyn Image, limits: &Limits) -> Result<InoSet, WalkError> {
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
pub(crate) fn copy_tree(image: &dyn Image, limits: &Limits) -> Result<Tree<Ino>, ConvertError> {
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
                let (metadata, _) = inode(image, entry.path, entry.ino)?;
                tree.inode_mut(InodeId::ROOT).metadata = metadata;
                if image.is_implied(entry.ino) {
                    tree.imply(InodeId::ROOT);
                }
                InodeId::ROOT
            }
            (Some(_), Some(&id)) => id,
            (Some(_), None) => {
                let (metadata, node) = inode(image, entry.path, entry.ino)?;
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
pub(crate) fn inode(
    image: &dyn Image,
    path: &ImagePath,
    ino: Ino,
) -> Result<(Metadata, Node<Ino>), ConvertError> {
    read_inode(image, ino).map_err(|source| ConvertError::Image {
        path: path.clone(),
        source,
    })
}

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

/// Bytes of all files.
pub(crate) fn content_len<C>(tree: &Tree<C>) -> u64 {
    let ids = (0..tree.len() as u32).map(InodeId::new);
    let sizes = ids.map(|id| match tree.inode(id).node {
        Node::File { size, .. } => size,
        _ => 0,
    });
    sizes.fold(0, u64::saturating_add)
}

/// The files of `tree` that have content, each once, in the order in which they are stored.
pub(crate) struct StoreOrder {
    files: Vec<InodeId>,
    /// How many of them come first because they are asked for.
    first: usize,
}

impl StoreOrder {
    /// The files below each of `first`, then all others, directory by directory.
    pub(crate) fn new<C>(tree: &Tree<C>, first: &[InodeId]) -> Self {
        let mut seen = vec![false; tree.len()];
        let mut files = Vec::new();
        for &start in first {
            append_files(tree, start, &mut seen, &mut files);
        }
        let first = files.len();
        append_files(tree, InodeId::ROOT, &mut seen, &mut files);
        Self { files, first }
    }

    /// Those that come first because they are asked for, and the others.
    pub(crate) fn parts(&self) -> (&[InodeId], &[InodeId]) {
        self.files.split_at(self.first)
    }

    /// The others in the order of the inode table instead.
    pub(crate) fn by_table(mut self) -> Self {
        self.files[self.first..].sort_unstable();
        self
    }
}

/// Visits a directory's children, then its subdirectories one after the other, as nydus does.
fn append_files<C>(tree: &Tree<C>, start: InodeId, seen: &mut [bool], order: &mut Vec<InodeId>) {
    let mut append = |id: InodeId| {
        let has_content = matches!(tree.inode(id).node, Node::File { size: 1.., .. });
        if has_content && !std::mem::replace(&mut seen[id.index()], true) {
            order.push(id);
        }
    };
    append(start);
    let mut pending = vec![start];
    while let Some(directory) = pending.pop() {
        let children = || {
            tree.directory(directory)
                .into_iter()
                .flat_map(Directory::values)
        };
        for &child in children() {
            append(child);
        }
        pending.extend(children().rev().filter(|&&id| tree.directory(id).is_some()));
    }
}
