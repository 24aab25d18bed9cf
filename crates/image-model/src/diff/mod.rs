//! Comparing two images, with reasons. [`diff`] reports which paths differ and why; [`transfer`]
//! counts the chunks that two images share, and those to fetch to get from one to the other.

mod compare;
mod content;
mod error;
mod transfer;

use std::cmp::Ordering;
use std::fmt;

use crate::image::{Attributes, Image, Ino};
use crate::limits::Limits;
use crate::path::ImagePath;
use crate::walk::{HardLinks, Walk, WalkError};
use compare::Comparison;

pub use error::{DiffError, Side};
pub use transfer::{Transfer, transfer, transfer_by_blob};

/// An attribute in which two inodes differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Kinds; if they differ, sizes, devices, targets and content are not compared.
    Kind,
    /// Permission bits. Those of symbolic links are not compared.
    Mode,
    /// Owners.
    Uid,
    /// Groups.
    Gid,
    /// Times of last modification, in whole seconds. Those of the root are not compared.
    Mtime,
    /// Lengths of regular files; if they differ, content is not compared.
    Size,
    /// Device numbers.
    Device,
    /// Targets of symbolic links.
    Target,
    /// Extended attributes.
    Xattrs,
    /// Content of regular files.
    Content,
    /// Which other paths are hard links to the same file.
    Links,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kind => "kind",
            Self::Mode => "mode",
            Self::Uid => "uid",
            Self::Gid => "gid",
            Self::Mtime => "mtime",
            Self::Size => "size",
            Self::Device => "device",
            Self::Target => "target",
            Self::Xattrs => "xattrs",
            Self::Content => "content",
            Self::Links => "links",
        })
    }
}

/// A path that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference<'a> {
    /// The path.
    pub path: &'a ImagePath,
    /// How it differs.
    pub change: Change<'a>,
}

/// The change of a path from the left image to the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// Only the right image has it, as this inode.
    Added(Ino),
    /// Only the left image has it, as this inode.
    Removed(Ino),
    /// Both have it, and differ.
    Changed {
        /// The inode in the left image.
        left: Ino,
        /// The inode in the right image.
        right: Ino,
        /// The attributes that differ, in the order of [`Reason`]; never empty.
        reasons: &'a [Reason],
    },
}

/// Receives the differences, and compares content if chunk digests cannot decide.
pub trait DiffObserver {
    /// An error that ends the comparison.
    type Error: From<DiffError>;

    /// A path differs. Paths come in walk order: a directory before its contents, siblings by name.
    ///
    /// # Errors
    /// Any error ends the comparison.
    fn difference(&mut self, difference: Difference<'_>) -> Result<(), Self::Error>;

    /// Whether two regular files of the same length have the same bytes. Called if they are cut
    /// into chunks differently, or their chunk digests cannot be compared.
    ///
    /// # Errors
    /// Any error ends the comparison.
    fn same_content(&mut self, left: Ino, right: Ino) -> Result<bool, Self::Error>;

    /// A path has been compared, whether or not it differs: for showing progress, or ending the comparison. `left` and
    /// `right` are its attributes in the images that have it.
    ///
    /// # Errors
    /// Any error ends the comparison.
    fn compared(
        &mut self,
        left: Option<&Attributes>,
        right: Option<&Attributes>,
    ) -> Result<(), Self::Error> {
        let _ = (left, right);
        Ok(())
    }
}

/// Number of paths compared, by result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DiffSummary {
    /// Paths that only the right image has.
    pub added: u64,
    /// Paths that only the left image has.
    pub removed: u64,
    /// Paths that differ.
    pub changed: u64,
    /// Paths that are the same.
    pub same: u64,
}

/// Reports to `observer` every path that differs between `left` and `right`. It compares what the
/// tree digest covers, so that images without differences have the same digest; whiteouts are
/// ordinary files. Memory beyond the images: the entries of the directories on the current path,
/// the extents of one file, and one path per hard-linked inode.
///
/// ```
/// use lazyoci_image_model::diff::{Change, DiffError, DiffObserver, Difference, diff};
/// use lazyoci_image_model::{ChunkedImage, Ino, Limits, Metadata, Name, Node, Tree};
///
/// struct Print;
/// impl DiffObserver for Print {
///     type Error = DiffError;
///     fn difference(&mut self, difference: Difference<'_>) -> Result<(), DiffError> {
///         match difference.change {
///             Change::Added(_) => println!("+ {}", difference.path),
///             Change::Removed(_) => println!("- {}", difference.path),
///             Change::Changed { reasons, .. } => println!("~ {} {reasons:?}", difference.path),
///         }
///         Ok(())
///     }
///     fn same_content(&mut self, _: Ino, _: Ino) -> Result<bool, DiffError> {
///         Ok(false)
///     }
/// }
/// # let empty = || ChunkedImage::new(Tree::new(Metadata::default()), Default::default());
/// # let (old, new) = (empty()?, empty()?);
/// let summary = diff(&old, &new, &Limits::default(), &mut Print)?;
/// assert_eq!((summary.changed, summary.same), (0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`DiffError`] if an image is damaged; any error that `observer` returns.
pub fn diff<O: DiffObserver>(
    left: &dyn Image,
    right: &dyn Image,
    limits: &Limits,
    observer: &mut O,
) -> Result<DiffSummary, O::Error> {
    let links = |image, side| {
        HardLinks::collect(image, limits, &|_| false).map_err(|source| walk_error(side, source))
    };
    let mut comparison = Comparison::new(
        (left, links(left, Side::Left)?),
        (right, links(right, Side::Right)?),
        limits,
    );
    let mut left = Cursor::new(left, Side::Left, limits)?;
    let mut right = Cursor::new(right, Side::Right, limits)?;
    let mut summary = DiffSummary::default();
    loop {
        let order = match (left.at, right.at) {
            (None, None) => return Ok(summary),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), Some(_)) => left.path().walk_order(right.path()),
        };
        let there = if order.is_le() { left.at } else { None };
        let here = if order.is_ge() { right.at } else { None };
        let path = if order.is_le() {
            left.path()
        } else {
            right.path()
        };
        let reasons;
        let change = match (there, here) {
            (Some(there), Some(here)) => {
                reasons = comparison.reasons(path, there, here, observer)?;
                (!reasons.is_empty()).then_some(Change::Changed {
                    left: there.ino,
                    right: here.ino,
                    reasons: &reasons,
                })
            }
            (Some(there), None) => Some(Change::Removed(there.ino)),
            (None, here) => here.map(|here| Change::Added(here.ino)),
        };
        match change {
            None => summary.same += 1,
            Some(Change::Added(_)) => summary.added += 1,
            Some(Change::Removed(_)) => summary.removed += 1,
            Some(Change::Changed { .. }) => summary.changed += 1,
        }
        if let Some(change) = change {
            observer.difference(Difference { path, change })?;
        }
        let attributes = |found: &Option<Found>| found.map(|found| found.attributes);
        let (before, after) = (attributes(&there), attributes(&here));
        observer.compared(before.as_ref(), after.as_ref())?;
        if order.is_le() {
            left.advance()?;
        }
        if order.is_ge() {
            right.advance()?;
        }
    }
}

/// An inode of one of the images.
#[derive(Debug, Clone, Copy)]
struct Found {
    ino: Ino,
    attributes: Attributes,
}

/// A walk positioned on a path.
struct Cursor<'i> {
    side: Side,
    walk: Walk<'i>,
    at: Option<Found>,
}

impl<'i> Cursor<'i> {
    fn new(image: &'i dyn Image, side: Side, limits: &Limits) -> Result<Self, DiffError> {
        let mut cursor = Self {
            side,
            walk: Walk::new(image, limits),
            at: None,
        };
        cursor.advance()?;
        Ok(cursor)
    }

    fn advance(&mut self) -> Result<(), DiffError> {
        let entry = self.walk.next_entry().transpose();
        let entry = entry.map_err(|source| walk_error(self.side, source))?;
        self.at = entry.map(|entry| Found {
            ino: entry.ino,
            attributes: entry.attributes,
        });
        Ok(())
    }

    fn path(&self) -> &ImagePath {
        self.walk.path()
    }
}

fn walk_error(side: Side, source: WalkError) -> DiffError {
    DiffError::Walk { side, source }
}
