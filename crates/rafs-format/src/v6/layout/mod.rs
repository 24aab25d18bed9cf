//! Planning and writing a bootstrap.

mod content;
mod order;
mod tables;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::ops::ControlFlow;

use erofs_format::DeviceSlot;
use image_model::width::u64_from;
use image_model::{ImagePath, InodeId, Tree};

use super::device;
use super::ext_superblock::ExtSuperblock;
use erofs_format::inode::DataLayout;
use erofs_format::{BlockSize, Superblock};

use super::superblock;
use crate::chunk_record::ChunkRecord;
use crate::flags::SuperFlags;
use crate::layout::{CannotCarry, EncodeError, LayoutInput, LayoutOptions, refuse_losses};
use crate::version::Version;
use crate::view::{self, MAX_LEN};
use erofs_format::loss::{Visit, each_path};

use content::ChunkTable;
use order::Planner;

/// Finds what RAFS v6 cannot carry of `tree`, in the order of paths, and tells `report` where and what.
///
/// ```
/// use image_model::{Device, Metadata, Name, Node, Tree};
/// use lazyoci_rafs_format::v6::{CannotCarry, losses};
///
/// let mut tree: Tree<()> = Tree::new(Metadata::implied_directory());
/// let device = Device { major: 5000, minor: 0 };
/// let node = tree.add(Metadata::default(), Node::CharDevice(device));
/// tree.link(Tree::<()>::ROOT, Name::new(*b"odd")?, node)?;
/// let mut found = Vec::new();
/// losses(&tree, &mut |_, what| found.push(what));
/// assert_eq!(found, [CannotCarry::Device { device }]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn losses<C>(tree: &Tree<C>, report: &mut dyn FnMut(&ImagePath, CannotCarry)) {
    erofs_format::losses(tree, Version::V6.room(), report);
}

/// Removes from `tree` what RAFS v6 cannot carry, and reports each loss: whole devices and symbolic
/// links, single extended attributes; a time loses its nanoseconds.
pub fn drop_losses<C: Clone>(tree: &mut Tree<C>, report: &mut dyn FnMut(&ImagePath, CannotCarry)) {
    erofs_format::drop_losses(tree, Version::V6.room(), report);
}

/// Where one inode goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Planned {
    /// Number of its 32-byte slot; 0 if the root does not reach the inode.
    nid: u32,
    /// The word `i_u`.
    word: u32,
    /// The sequential number `i_ino`.
    number: u32,
    /// The directory above (directories only).
    parent: InodeId,
    layout: DataLayout,
}

/// A planned bootstrap: where everything in it goes.
///
/// The plan is a function of image, blob entries and options, and so are the bytes that
/// [`write_to`](Self::write_to) writes. It takes about 30 bytes for each inode and 8 for each chunk, and
/// writing needs no more than a few blocks besides.
///
/// Inodes are placed as nydus-image does it: depth first, a directory's files before its
/// subdirectories, small inodes in the gaps that aligned data leave. All names of a hard-linked inode
/// share it; nydus does so for regular files only.
///
/// ```
/// use bytes::Bytes;
/// use image_model::{ChunkedImage, Image, Limits, Metadata, Name, Node, Tree};
/// use lazyoci_rafs_format::v6::{Bootstrap, Layout, LayoutInput, LayoutOptions};
///
/// let mut tree = Tree::new(Metadata::implied_directory());
/// let link = tree.add(Metadata::default(), Node::Symlink((*b"usr/bin").into()));
/// tree.link(Tree::<()>::ROOT, Name::new(*b"bin")?, link)?;
/// # let tree = tree.try_map(|_, _, ()| Ok::<_, std::convert::Infallible>(Default::default()))?;
/// let image = ChunkedImage::new(tree, Default::default())?;
///
/// let input = LayoutInput { image: &image, places: &[], entries: &[] };
/// let layout = Layout::plan(input, &LayoutOptions::default())?;
/// let mut bytes = Vec::new();
/// layout.write_to(&mut bytes)?;
/// assert_eq!(bytes.len() as u64, layout.len());
///
/// let bootstrap = Bootstrap::open(Bytes::from(bytes), &Limits::default())?;
/// let bin = bootstrap.lookup(bootstrap.root(), Name::new(*b"bin")?.as_ref())?.unwrap();
/// assert_eq!(&*bootstrap.symlink_target(bin)?, b"usr/bin");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Layout<'a> {
    input: LayoutInput<'a>,
    options: LayoutOptions,
    superblock: Superblock,
    ext: ExtSuperblock,
    devices: Vec<DeviceSlot>,
    /// By position in the tree's table.
    inodes: Vec<Planned>,
    /// Inodes in the order of their places.
    by_place: Vec<InodeId>,
    /// Inodes with blocks of data, in the order of those.
    with_blocks: Vec<InodeId>,
    chunk_table: ChunkTable,
    len: u64,
}

impl<'a> Layout<'a> {
    /// Decides where everything goes.
    ///
    /// # Errors
    /// [`EncodeError`] if the format cannot carry the image, its content is not cut and stored as
    /// the format needs it, or blob entries and options do not fit.
    pub fn plan(input: LayoutInput<'a>, options: &LayoutOptions) -> Result<Self, EncodeError> {
        let block_size = match options.tarfs {
            true => BlockSize::B512,
            false => BlockSize::B4096,
        };
        input.check(options)?;
        let LayoutInput { image, entries, .. } = input;
        tables::check_entries(image, entries, options)?;
        refuse_losses(image, Version::V6)?;
        let mut ext = tables::plan(entries, options);
        let count = u16::try_from(entries.len()).expect("no more entries than were checked");
        let mut superblock = superblock::new(block_size, count);
        if !entries.is_empty() {
            let tables = ext.blob_table().end.max(ext.prefetch_table().end);
            let start = block_size.whole_in(view::align(tables, 4096));
            superblock.meta_blkaddr = u32::try_from(start).expect("tables have less than 5 GiB");
        }

        let mut planner = Planner::new(input, options, &superblock);
        planner.run()?;
        let Planner {
            inodes,
            with_blocks,
            contents,
            placer,
            names,
            has_xattr,
            ..
        } = planner;
        superblock.inos = names.into();
        let chunk_table = contents.into_table(options.tarfs)?;
        if has_xattr {
            ext.flags = ext.flags | SuperFlags::HAS_XATTR;
        }
        ext.chunk_table_offset =
            view::align(superblock.meta_start().saturating_add(placer.end()), 4096);
        ext.chunk_table_size = u64_from(chunk_table.records.len().saturating_mul(ChunkRecord::LEN));
        let len = view::align(ext.chunk_table().end, 4096);
        if len > MAX_LEN {
            return Err(EncodeError::TooLong { len });
        }
        let devices = tables::plan_devices(entries, options.compat, block_size, len)?;
        superblock.blocks = devices.iter().map(|slot| slot.blocks).sum();
        let by_place = sort_by_place(&inodes);
        let layout = Self {
            input,
            options: options.clone(),
            superblock,
            ext,
            devices,
            inodes,
            by_place,
            with_blocks,
            chunk_table,
            len,
        };
        options.check_prefetch(|id| layout.nid(id).is_some())?;
        Ok(layout)
    }

    /// Length of the bootstrap in bytes.
    #[expect(clippy::len_without_is_empty, reason = "no bootstrap is empty")]
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The EROFS superblock.
    #[must_use]
    pub fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// The RAFS extended superblock.
    #[must_use]
    pub fn ext_superblock(&self) -> &ExtSuperblock {
        &self.ext
    }

    /// The device table.
    #[must_use]
    pub fn devices(&self) -> &[DeviceSlot] {
        &self.devices
    }

    /// Number of the inode `id`; `None` if the root does not reach it.
    #[must_use]
    pub fn nid(&self, id: InodeId) -> Option<u64> {
        let planned = self.inodes.get(id.index())?;
        (planned.nid != 0).then_some(planned.nid.into())
    }

    /// Where the data of inode `id` are; `None` if the root does not reach it.
    #[must_use]
    pub fn data_layout(&self, id: InodeId) -> Option<DataLayout> {
        let planned = self.inodes.get(id.index())?;
        (planned.nid != 0).then_some(planned.layout)
    }
}

impl fmt::Debug for Layout<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layout")
            .field("len", &self.len)
            .field("superblock", &self.superblock)
            .field("ext_superblock", &self.ext)
            .field("devices", &self.devices)
            .finish_non_exhaustive()
    }
}

/// One line for each region, then one for each name with inode and place.
impl fmt::Display for Layout<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ext, superblock) = (&self.ext, &self.superblock);
        let devices = view::element_offset(device::OFFSET, self.devices.len(), DeviceSlot::LEN);
        let regions = [
            ("device table", device::OFFSET..devices),
            ("blob table", ext.blob_table()),
            ("prefetch table", ext.prefetch_table()),
            ("metadata", superblock.meta_start()..ext.chunk_table_offset),
            ("chunk table", ext.chunk_table()),
            ("end", self.len..self.len),
        ];
        for (what, range) in regions {
            writeln!(
                f,
                "{:#010x} {what}, {} bytes",
                range.start,
                range.end.saturating_sub(range.start)
            )?;
        }
        let mut result = Ok(());
        each_path(&self.input.image.tree, &mut |path, Visit { id, .. }| {
            let planned = &self.inodes[id.index()];
            let offset = superblock.inode_offset(planned.nid.into());
            let Planned { nid, layout, .. } = planned;
            result = writeln!(f, "{offset:#010x} inode {nid} {layout:?} {path}");
            match result {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        result
    }
}

fn sort_by_place(inodes: &[Planned]) -> Vec<InodeId> {
    let mut ids: Vec<InodeId> = (0u32..)
        .zip(inodes)
        .filter(|(_, planned)| planned.nid != 0)
        .map(|(index, _)| InodeId::new(index))
        .collect();
    ids.sort_unstable_by_key(|id| inodes[id.index()].nid);
    ids
}
