//! Planning and writing a bootstrap.

mod order;
mod tables;
mod write;

use std::fmt;
use std::ops::ControlFlow;

use erofs_format::loss::{Visit, each_path};
use image_model::{ImagePath, InodeId, Tree};

use super::superblock::Superblock;
use crate::flags::Compat;
use crate::layout::{CannotCarry, EncodeError, LayoutInput, LayoutOptions, refuse_losses};
use crate::version::Version;
use crate::view::MAX_LEN;

use order::{Named, Planner};

/// Finds what RAFS v5 cannot carry of `tree`, in the order of paths, and tells `report` where and what.
///
/// ```
/// use image_model::{FileKind, Metadata, Name, Node, Tree};
/// use lazyoci_rafs_format::v5::{CannotCarry, losses};
///
/// let mut tree: Tree<()> = Tree::new(Metadata::implied_directory());
/// let fifo = tree.add(Metadata::default(), Node::Fifo);
/// for name in [b"one", b"two"] {
///     tree.link(Tree::<()>::ROOT, Name::new(*name)?, fifo)?;
/// }
/// let mut found = Vec::new();
/// losses(&tree, &mut |path, what| found.push((path.to_string(), what)));
/// let link = CannotCarry::HardLink { kind: FileKind::Fifo };
/// assert_eq!(found, [("/two".into(), link)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn losses<C>(tree: &Tree<C>, report: &mut dyn FnMut(&ImagePath, CannotCarry)) {
    erofs_format::losses(tree, Version::V5.room(), report);
}

/// Removes from `tree` what RAFS v5 cannot carry, and reports each loss: whole devices and symbolic links, single
/// extended attributes; a time loses its nanoseconds; a hard link to anything but a regular file becomes a copy.
pub fn drop_losses<C: Clone>(tree: &mut Tree<C>, report: &mut dyn FnMut(&ImagePath, CannotCarry)) {
    erofs_format::drop_losses(tree, Version::V5.room(), report);
}

/// A planned bootstrap: where everything in it goes, and the digest of every inode.
///
/// The plan is a function of image, blob entries and options, and so are the bytes that
/// [`write_to`](Self::write_to) writes. It takes about 100 bytes for each name, and writing needs
/// no more than one inode besides.
///
/// Numbers and places are those that nydus-image gives: children one after the other, in the order of
/// their names; then those of each subdirectory. Release 2.2 places inodes in the order of their
/// numbers, 2.4 a directory's children each before what it holds.
///
/// ```
/// use bytes::Bytes;
/// use image_model::{ChunkedImage, Image, Limits, Metadata, Name, Node, Tree};
/// use lazyoci_rafs_format::v5::{Bootstrap, Layout, LayoutInput, LayoutOptions};
///
/// let mut tree = Tree::new(Metadata::implied_directory());
/// let link = tree.add(Metadata::default(), Node::Symlink((*b"usr/bin").into()));
/// tree.link(Tree::<()>::ROOT, Name::new(*b"bin")?, link)?;
/// # let tree = tree.try_map(|_, _, ()| Ok::<_, std::convert::Infallible>(Default::default()))?;
/// let image = ChunkedImage::new(tree, Default::default())?;
///
/// let input = LayoutInput { image: &image, places: &[], entries: &[] };
/// # let options = LayoutOptions::default().digester(lazyoci_rafs_format::flags::Digester::Sha256);
/// let layout = Layout::plan(input, &options)?;
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
    blob_table: Vec<u8>,
    /// The names, by number.
    names: Vec<Named<'a>>,
    /// Positions of the names in the order of their places.
    by_place: Vec<u32>,
    /// Number of an inode's first name, by position in the tree's table; 0 if the root does not reach
    /// it.
    numbers: Vec<u32>,
    len: u64,
}

impl<'a> Layout<'a> {
    /// Decides where everything goes, and computes the digests of inodes.
    ///
    /// # Errors
    /// [`EncodeError`] if the format cannot carry the image, its content is not cut and stored as
    /// the format needs it, blob entries and options do not fit, or the digests cannot be computed.
    pub fn plan(input: LayoutInput<'a>, options: &LayoutOptions) -> Result<Self, EncodeError> {
        input.check(options)?;
        let LayoutInput { image, entries, .. } = input;
        tables::check_entries(image, entries)?;
        refuse_losses(image, Version::V5)?;
        let mut planner = Planner::new(input, options);
        planner.run()?;
        planner.digest()?;
        let blob_table = tables::blob_table(entries, &options.readahead);
        let mut superblock = tables::plan(&planner, &blob_table, options);
        let end = superblock.extended_blob_table().end;
        let len = planner.place(end, options.compat);
        if len > MAX_LEN {
            return Err(EncodeError::TooLong { len });
        }
        superblock.inodes_count = match options.compat {
            // It does not count the root.
            Compat::V2_2 => planner.inodes().saturating_sub(1),
            Compat::V2_4 => planner.inodes(),
        };
        let Planner {
            names,
            by_place,
            numbers,
            ..
        } = planner;
        let layout = Self {
            input,
            options: options.clone(),
            superblock,
            blob_table,
            names,
            by_place,
            numbers,
            len,
        };
        options.check_prefetch(|id| layout.number(id).is_some())?;
        Ok(layout)
    }

    /// Length of the bootstrap in bytes.
    #[expect(clippy::len_without_is_empty, reason = "no bootstrap is empty")]
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The superblock.
    #[must_use]
    pub fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// Number of the inode `id`, that of its first name; `None` if the root does not reach it.
    #[must_use]
    pub fn number(&self, id: InodeId) -> Option<u32> {
        let number = *self.numbers.get(id.index())?;
        (number != 0).then_some(number)
    }
}

impl fmt::Debug for Layout<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layout")
            .field("len", &self.len)
            .field("superblock", &self.superblock)
            .finish_non_exhaustive()
    }
}

/// One line for each region, then one for each path with the number of its inode.
impl fmt::Display for Layout<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, range) in self.superblock.tables() {
            let len = range.end.saturating_sub(range.start);
            writeln!(f, "{:#010x} {what}, {len} bytes", range.start)?;
        }
        writeln!(f, "{:#010x} end, 0 bytes", self.len)?;
        let mut result = Ok(());
        each_path(&self.input.image.tree, &mut |path, Visit { id, .. }| {
            let number = self.number(id).unwrap_or(0);
            result = writeln!(f, "inode {number} {path}");
            match result {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        result
    }
}
