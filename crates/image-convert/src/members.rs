//! The names of a tree as the members of a tar.

use std::collections::HashMap;

use image_model::order::Named;
use image_model::{FileKind, ImagePath, Ino, Inode, InodeId, Limits, Metadata, Node, Tree};
use image_read::FileOrder;
use verify::ExtentBytes;

use crate::ConvertError;
use crate::source::Contents;

/// Takes the members of a tar, one after the other.
pub(crate) trait MemberSink {
    /// The name number `position` is next.
    fn next(&mut self, _position: usize) -> Result<(), ConvertError> {
        Ok(())
    }

    /// A file of any kind by its first name. The content of a regular one follows.
    fn file(&mut self, name: &Named, inode: &Inode<Ino>) -> Result<(), ConvertError>;

    /// A hard link to the file at `target`.
    fn link(
        &mut self,
        path: &ImagePath,
        metadata: &Metadata,
        target: &ImagePath,
    ) -> Result<(), ConvertError>;

    /// The next bytes of the file that came last.
    fn content(&mut self, bytes: ExtentBytes<'_>) -> Result<(), ConvertError>;
}

/// Hands `names` to `sink`, in their order: the first name of a file with the file's content, which is
/// read ahead of that, all others as hard links to it.
pub(crate) fn write_members(
    tree: &Tree<Ino>,
    names: &[Named],
    contents: &mut Contents<'_>,
    sink: &mut dyn MemberSink,
) -> Result<(), ConvertError> {
    let first_names = first_names(tree, names);
    let is_first = |position: usize| {
        let first = first_names.get(&names[position].inode);
        first.is_none_or(|first| *first == position)
    };
    let mut files = Vec::new();
    let mut positions = Vec::new();
    for (position, name) in names.iter().enumerate() {
        if let Node::File {
            size: size @ 1..,
            content,
        } = tree.inode(name.inode).node
            && is_first(position)
        {
            files.push((content, size));
            positions.push(position);
        }
    }
    let mut next = 0;
    let mut advance = |to: usize, sink: &mut dyn MemberSink| {
        while next < to {
            let name = &names[next];
            let inode = tree.inode(name.inode);
            sink.next(next)?;
            match first_names.get(&name.inode) {
                Some(&first) if first != next => {
                    sink.link(&name.path, &inode.metadata, &names[first].path)?;
                }
                _ => sink.file(name, inode)?,
            }
            next += 1;
        }
        Ok::<_, ConvertError>(())
    };
    let path = |nth: usize| names[positions[nth]].path.clone();
    contents.read(&files, FileOrder::Given, &path, &mut |nth, bytes| {
        advance(positions[nth] + 1, sink)?;
        sink.content(bytes)
    })?;
    advance(names.len(), sink)?;
    sink.next(names.len())
}

/// Of the inodes with several of `names`: the position of the first.
fn first_names(tree: &Tree<Ino>, names: &[Named]) -> HashMap<InodeId, usize> {
    let mut counts = vec![0u8; tree.len()];
    for name in names {
        let count = &mut counts[name.inode.index()];
        *count = count.saturating_add(1);
    }
    let mut first_names = HashMap::new();
    for (position, name) in names.iter().enumerate() {
        let is_directory = tree.inode(name.inode).node.kind() == FileKind::Directory;
        if counts[name.inode.index()] > 1 && !is_directory {
            first_names.entry(name.inode).or_insert(position);
        }
    }
    first_names
}

/// Checks that a tar of `len` bytes has room for the file at `path`, of `size` bytes.
pub(crate) fn check_room(
    len: u64,
    size: u64,
    path: &ImagePath,
    limits: &Limits,
) -> Result<(), ConvertError> {
    let limit = limits.max_layer_len;
    if len.saturating_add(size) > limit {
        let path = path.clone();
        return Err(ConvertError::TarTooLong { path, limit });
    }
    Ok(())
}
