//! Comparing two inodes.

use std::collections::HashMap;

use super::content::{self, Source, Verdict};
use super::{DiffError, DiffObserver, Found, Reason, Side};
use crate::error::ImageError;
use crate::image::{Attributes, Image, Ino};
use crate::limits::Limits;
use crate::metadata::FileKind;
use crate::path::ImagePath;
use crate::walk::HardLinks;

/// What comparing two inodes needs of their images.
pub(super) struct Comparison<'a> {
    left: Source<'a>,
    right: Source<'a>,
    left_links: HardLinks,
    right_links: HardLinks,
    /// Whether hard-linked files have the same content.
    known: HashMap<(Ino, Ino), bool>,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(
        (left, left_links): (&'a dyn Image, HardLinks),
        (right, right_links): (&'a dyn Image, HardLinks),
        limits: &Limits,
    ) -> Self {
        Self {
            left: Source::new(left, Side::Left, limits),
            right: Source::new(right, Side::Right, limits),
            left_links,
            right_links,
            known: HashMap::new(),
        }
    }

    /// The reasons why two inodes at `path` differ.
    pub(super) fn reasons<O: DiffObserver>(
        &mut self,
        path: &ImagePath,
        left: Found,
        right: Found,
        observer: &mut O,
    ) -> Result<Vec<Reason>, O::Error> {
        let mut reasons = attribute_reasons(path, &left.attributes, &right.attributes);
        let mut add = |reason, differs: bool| {
            if differs {
                reasons.push(reason);
            }
        };
        let (kind, size) = (left.attributes.kind, left.attributes.size);
        if kind == right.attributes.kind {
            match kind {
                FileKind::Symlink => {
                    let target = |source: &Source<'_>, ino| {
                        let target = source.image.symlink_target(ino);
                        target.map_err(|error| image_error(source.side, path, error))
                    };
                    let of_left = target(&self.left, left.ino)?;
                    add(Reason::Target, of_left != target(&self.right, right.ino)?);
                }
                FileKind::File if size == right.attributes.size => {
                    let same = self.same_content(path, size, (left.ino, right.ino), observer)?;
                    add(Reason::Content, !same);
                }
                _ => {}
            }
        }
        let xattrs = |source: &Source<'_>, ino| {
            let xattrs = source.image.xattrs(ino);
            xattrs.map_err(|error| image_error(source.side, path, error))
        };
        let of_left = xattrs(&self.left, left.ino)?;
        add(Reason::Xattrs, of_left != xattrs(&self.right, right.ino)?);
        let group = self.left_links.group(left.ino);
        add(Reason::Links, group != self.right_links.group(right.ino));
        reasons.sort_unstable();
        Ok(reasons)
    }

    fn same_content<O: DiffObserver>(
        &mut self,
        path: &ImagePath,
        size: u64,
        inos: (Ino, Ino),
        observer: &mut O,
    ) -> Result<bool, O::Error> {
        if let Some(&same) = self.known.get(&inos) {
            return Ok(same);
        }
        let (left, right) = inos;
        let verdict =
            content::compare(path, size, (&mut self.left, left), (&mut self.right, right))?;
        let same = match verdict {
            Verdict::Same => true,
            Verdict::Different => false,
            Verdict::Unknown => observer.same_content(left, right)?,
        };
        let linked = [self.left_links.group(left), self.right_links.group(right)];
        if linked.iter().any(Option::is_some) {
            self.known.insert(inos, same);
        }
        Ok(same)
    }
}

/// Reasons that the fixed-size attributes give.
fn attribute_reasons(path: &ImagePath, left: &Attributes, right: &Attributes) -> Vec<Reason> {
    let kinds = [left.kind, right.kind];
    let both = |kind| kinds == [kind; 2];
    let devices = both(FileKind::CharDevice) || both(FileKind::BlockDevice);
    let seconds = |attributes: &Attributes| attributes.mtime.seconds;
    let differs = [
        (Reason::Kind, left.kind != right.kind),
        (
            Reason::Mode,
            left.mode != right.mode && !both(FileKind::Symlink),
        ),
        (Reason::Uid, left.uid != right.uid),
        (Reason::Gid, left.gid != right.gid),
        (
            Reason::Mtime,
            seconds(left) != seconds(right) && !path.is_root(),
        ),
        (
            Reason::Size,
            both(FileKind::File) && left.size != right.size,
        ),
        (Reason::Device, devices && left.device != right.device),
    ];
    (differs.into_iter())
        .filter_map(|(reason, differs)| differs.then_some(reason))
        .collect()
}

fn image_error(side: Side, path: &ImagePath, source: ImageError) -> DiffError {
    DiffError::Image {
        side,
        path: path.clone(),
        source,
    }
}
