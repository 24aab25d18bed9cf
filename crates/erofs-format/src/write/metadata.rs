//! Inodes, what follows them, and blocks of directories and links, written as they were placed.

use std::io;

use image_model::width::usize_up_to;
use image_model::{InodeId, Node, Tree};

use super::Emitter;
use super::directory::{each_block, with_dots, write_block};
use crate::dirent::RawDirent;
use crate::inode::{DataLayout, Inode};
use crate::superblock::Superblock;
use crate::xattr;

/// A tree whose inodes have places.
pub trait Placed {
    /// What files hold.
    type Content;

    /// The tree.
    fn tree(&self) -> &Tree<Self::Content>;

    /// The superblock, which says where inodes are counted from, and how long blocks are.
    fn superblock(&self) -> &Superblock;

    /// Number of the inode `id`.
    fn nid(&self, id: InodeId) -> u64;

    /// The directory above the directory `id`.
    fn parent(&self, id: InodeId) -> InodeId;

    /// Where the data of `id` are.
    fn layout(&self, id: InodeId) -> DataLayout;

    /// First block of the data of the directory or link `id`.
    fn first_block(&self, id: InodeId) -> u32;

    /// The inode `id` as stored, extended.
    fn inode(&self, id: InodeId) -> Inode;

    /// Appends the chunk addresses of the file `id`, or the inline end of its content, to what is written, which ends
    /// after its extended attributes, where `start` bytes were written when its inode began.
    ///
    /// # Errors
    /// Errors of the writer.
    fn write_addresses<W: io::Write>(
        &self,
        id: InodeId,
        start: u64,
        emitter: &mut Emitter<W>,
    ) -> io::Result<()>;
}

/// Writes inodes and blocks of data, whichever comes next: the inodes `by_place` in the order of their
/// places, `with_blocks` those that have blocks of data, in the order of these.
///
/// # Errors
/// Errors of the writer.
pub fn write_metadata<W: io::Write>(
    placed: &impl Placed,
    by_place: &[InodeId],
    with_blocks: &[InodeId],
    emitter: &mut Emitter<W>,
) -> io::Result<()> {
    let mut with_blocks = with_blocks.iter().copied().peekable();
    for &id in by_place {
        let offset = placed.superblock().inode_offset(placed.nid(id));
        while let Some(earlier) = with_blocks.next_if(|&id| blocks_offset(placed, id) < offset) {
            write_blocks(placed, earlier, emitter)?;
        }
        emitter.seek(offset)?;
        write_inode(placed, id, emitter)?;
        emitter.flush_if_full()?;
    }
    for id in with_blocks {
        write_blocks(placed, id, emitter)?;
    }
    Ok(())
}

fn blocks_offset(placed: &impl Placed, id: InodeId) -> u64 {
    placed
        .superblock()
        .block_size
        .bytes_in(placed.first_block(id))
}

/// The inode with extended attributes and what follows it.
fn write_inode<W: io::Write>(
    placed: &impl Placed,
    id: InodeId,
    emitter: &mut Emitter<W>,
) -> io::Result<()> {
    let inode = placed.tree().inode(id);
    let start = emitter.position();
    let out = &mut emitter.buffer;
    out.extend_from_slice(&placed.inode(id).to_extended());
    xattr::write(&inode.metadata.xattrs, out);
    let inline = placed.layout(id) == DataLayout::Inline;
    match &inode.node {
        Node::File { .. } => placed.write_addresses(id, start, emitter)?,
        Node::Symlink(target) if inline => {
            let block = usize_up_to(placed.superblock().block_size.bytes());
            out.extend_from_slice(target.chunks_exact(block).remainder());
        }
        Node::Directory(_) if inline => write_directory(placed, id, true, emitter)?,
        _ => {}
    }
    Ok(())
}

/// The data of `id` but for its inline tail.
fn write_blocks<W: io::Write>(
    placed: &impl Placed,
    id: InodeId,
    emitter: &mut Emitter<W>,
) -> io::Result<()> {
    emitter.seek(blocks_offset(placed, id))?;
    match &placed.tree().inode(id).node {
        Node::Symlink(target) => {
            let block = usize_up_to(placed.superblock().block_size.bytes());
            let tail = match placed.layout(id) {
                DataLayout::Inline => target.chunks_exact(block).remainder(),
                _ => &[],
            };
            let blocks = target.strip_suffix(tail).unwrap_or(target);
            emitter.buffer.extend_from_slice(blocks);
        }
        _ => write_directory(placed, id, false, emitter)?,
    }
    emitter.flush_if_full()
}

/// The inline tail of a directory, or all before it.
fn write_directory<W: io::Write>(
    placed: &impl Placed,
    id: InodeId,
    tail: bool,
    emitter: &mut Emitter<W>,
) -> io::Result<()> {
    let tree = placed.tree();
    let Some(entries) = tree.directory(id) else {
        return Ok(());
    };
    let dirent = |id: InodeId, name_offset| {
        RawDirent::new(placed.nid(id), name_offset, tree.inode(id).node.kind())
    };
    let inline = placed.layout(id) == DataLayout::Inline;
    let block = usize_up_to(placed.superblock().block_size.bytes());
    let names = with_dots(entries, id, placed.parent(id));
    each_block(names, block, |entries, last| {
        if (inline && last) != tail {
            return Ok(());
        }
        let out = &mut emitter.buffer;
        let start = out.len();
        write_block(entries, dirent, out);
        if !last {
            out.resize(start.saturating_add(block), 0);
        }
        emitter.flush_if_full()
    })
}
