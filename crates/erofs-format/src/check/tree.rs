//! The tree: inodes, directories, links, content.

use std::ops::ControlFlow;

use image_model::width::u64_from;
use image_model::{BlobIndex, ExtentSource, FileKind, ImagePath, Ino, Name, NameRef};

use super::Inconsistency;
use super::run::{Checker, Seen};
use crate::dirent::Dirent;
use crate::error::{DecodeError, StructureError};
use crate::inode::{DataLayout, Inode};
use crate::xattr;

/// A directory on the current path.
struct Level {
    nid: u64,
    /// Directories in it that are still to be entered, last first.
    children: Vec<(Name, u64)>,
}

/// What the entries of one directory say.
#[derive(Default)]
struct Entries {
    children: Vec<(Name, u64)>,
    /// `.` and `..`: where, and what they mean.
    dots: [Option<(u64, u64)>; 2],
    last: Vec<u8>,
}

impl Checker<'_> {
    pub(super) fn tree(&mut self) {
        let image = self.image;
        let mut path = ImagePath::root();
        let root = image.root_ino().0;
        let mut levels: Vec<Level> = Vec::new();
        let mut next = self.first_name(&path, root);
        loop {
            if let Some(inode) = next.take() {
                let found = u64_from(levels.len());
                let parent = levels.last().map_or(root, |level| level.nid);
                let max = u64::from(image.limits().max_depth);
                let children = if found > max {
                    let what = "nested directories";
                    let error = StructureError::Limit { what, found, max };
                    self.report_at(&path, inode.offset, error);
                    self.complete = false;
                    Vec::new()
                } else {
                    self.directory(&mut path, &inode, parent)
                };
                let nid = inode.nid;
                levels.push(Level { nid, children });
            }
            let Some(level) = levels.last_mut() else {
                return;
            };
            match level.children.pop() {
                Some((name, nid)) => {
                    path.push(name.as_ref());
                    next = image.inode(Ino(nid)).ok();
                    if next.is_none() {
                        path.pop();
                    }
                }
                None => {
                    levels.pop();
                    path.pop();
                }
            }
        }
    }

    /// Checks an inode that was seen for the first time; returns it if it is a directory.
    fn first_name(&mut self, path: &ImagePath, nid: u64) -> Option<Inode> {
        let image = self.image;
        let offset = image.superblock().inode_offset(nid);
        let inode = match image.inode(Ino(nid)) {
            Ok(inode) => inode,
            Err(error) => {
                self.report_at(path, offset, error);
                self.complete = false;
                return None;
            }
        };
        let known = Seen {
            offset,
            is_directory: inode.kind == FileKind::Directory,
            links: inode.links,
            names: 1,
        };
        self.inodes.insert(nid, known);
        let own = inode.end().saturating_sub(offset);
        let charged = image.metadata_len(&inode).and_then(|len| {
            let len = own.saturating_add(len);
            self.budget.charge(offset, len, image.len())
        });
        if let Err(error) = charged {
            // Beyond the budget every entry would report the same error.
            if self.complete || !matches!(error, StructureError::Crowded { .. }) {
                self.report_at(path, offset, error);
            }
            self.complete = false;
            return None;
        }
        self.inode(path, &inode);
        (inode.kind == FileKind::Directory).then_some(inode)
    }

    fn inode(&mut self, path: &ImagePath, inode: &Inode) {
        let image = self.image;
        if inode.extended && self.is_stored(inode.offset, &inode.to_extended()) == Ok(false) {
            let structure = "inode";
            self.report_at(path, inode.offset, Inconsistency::Reserved { structure });
        }
        if inode.xattr_len != 0 {
            self.xattrs(path, inode);
        }
        let mut len = inode.end().saturating_sub(inode.offset);
        let flat = matches!(inode.kind, FileKind::Directory | FileKind::Symlink);
        if flat || inode.layout == DataLayout::Inline {
            let tail = match inode.layout {
                DataLayout::Inline => image.superblock().block_size.rest(inode.size),
                _ => 0,
            };
            len = len.saturating_add(tail);
            let start = image.superblock().block_size.bytes_in(inode.word);
            if flat {
                let body = inode.size.saturating_sub(tail);
                self.space.take("data blocks", start, body);
            }
        }
        self.space.take("inode", inode.offset, len);
        if inode.kind == FileKind::Symlink
            && let Err(error) = image.read_target(inode)
        {
            self.report_at(path, inode.offset, error);
        }
        if inode.kind == FileKind::File {
            self.content(path, inode);
        }
    }

    fn xattrs(&mut self, path: &ImagePath, inode: &Inode) {
        let offset = inode.offset.saturating_add(inode.header_len());
        if let Err(error) = self.image.read_xattrs(inode) {
            self.report_at(path, offset, error);
        }
        let filters = self.image.superblock().feature_compat & FILTERS != 0;
        let area = self
            .image
            .read("extended attributes", offset, inode.xattr_len);
        if let Ok(area) = area
            && !filters
            && !xattr::header_is_zero(&area)
        {
            let structure = "extended attributes";
            self.report_at(path, offset, Inconsistency::Reserved { structure });
        }
    }

    /// Checks where each piece of a file is.
    fn content(&mut self, path: &ImagePath, inode: &Inode) {
        let image = self.image;
        if inode.layout == DataLayout::Chunked
            && let Ok(map) = image.chunk_map(inode)
        {
            let len = map.count.saturating_mul(map.address_len);
            self.space.take("chunk addresses", map.offset, len);
        }
        let max = u64::from(image.limits().max_chunks);
        let already = self.extents;
        let (extents, space) = (&mut self.extents, &mut self.space);
        let found = image.visit_extents(inode, 0..u64::MAX, &mut |extent| {
            *extents = extents.saturating_add(1);
            if *extents > max {
                return ControlFlow::Break(());
            }
            if let ExtentSource::Plain {
                blob: BlobIndex(0),
                offset,
            } = extent.source
                && offset != inode.end()
            {
                space.take_content(offset, extent.len);
            }
            ControlFlow::Continue(())
        });
        if let Err(error) = found {
            self.report_at(path, inode.offset, error);
        }
        // Every following file would give the same error.
        if self.extents > max && already <= max {
            let (what, found) = ("chunks", self.extents);
            self.report_at(
                path,
                inode.offset,
                StructureError::Limit { what, found, max },
            );
        }
    }

    /// Checks the entries of a directory and the inodes that they mention first; returns the
    /// directories among them, last first.
    fn directory(&mut self, path: &mut ImagePath, inode: &Inode, parent: u64) -> Vec<(Name, u64)> {
        let mut found = Entries::default();
        for number in 0..self.image.block_count(inode) {
            self.block(path, inode, number, &mut found);
        }
        for ((name, dots), expected) in [".", ".."]
            .into_iter()
            .zip(found.dots)
            .zip([inode.nid, parent])
        {
            let Some((offset, nid)) = dots else {
                self.report_at(path, inode.offset, Inconsistency::NoDots { name });
                continue;
            };
            if nid != expected {
                let what = Inconsistency::Mismatch {
                    structure: "directory entry",
                    field: "nid",
                    found: nid,
                    expected,
                };
                self.report_at(path, offset, what);
            }
        }
        let links = u64_from(found.children.len()).saturating_add(2);
        if u64::from(inode.links) != links && self.complete {
            let what = Inconsistency::Mismatch {
                structure: "inode",
                field: "i_nlink",
                found: inode.links.into(),
                expected: links,
            };
            self.report_at(path, inode.offset, what);
        }
        found.children.reverse();
        found.children
    }

    fn block(&mut self, path: &mut ImagePath, inode: &Inode, number: usize, found: &mut Entries) {
        let block = match self.image.block(inode, number) {
            Ok(block) => block,
            Err(error) => {
                self.report_at(path, inode.offset, error);
                self.complete = false;
                return;
            }
        };
        let offset = block.offset;
        let entries = match block.entries() {
            Ok(entries) => entries,
            Err(error) => {
                self.report_at(path, offset, error);
                self.complete = false;
                return;
            }
        };
        for index in 0..entries.len() {
            let entry = match entries.entry(index) {
                Ok(entry) => entry,
                Err(error) => {
                    self.report_at(path, offset, error);
                    self.complete = false;
                    continue;
                }
            };
            if entry.name <= &found.last[..] {
                let offset = entry.offset;
                self.report_at(path, offset, StructureError::NameOrder { offset });
            }
            found.last = entry.name.into();
            self.entry(path, &entry, found);
        }
        if !entries.rest_is_zero() {
            let structure = "directory block";
            self.report_at(path, offset, Inconsistency::Reserved { structure });
        }
    }

    fn entry(&mut self, path: &mut ImagePath, entry: &Dirent<'_>, found: &mut Entries) {
        let &Dirent { offset, nid, .. } = entry;
        match entry.name {
            b"." => found.dots[0] = Some((offset, nid)),
            b".." => found.dots[1] = Some((offset, nid)),
            name => match NameRef::new(name) {
                Ok(name) => {
                    self.names = self.names.saturating_add(1);
                    path.push(name);
                    self.named(path, name, entry, found);
                    path.pop();
                    return;
                }
                Err(source) => {
                    self.report_at(path, offset, StructureError::Name { offset, source });
                }
            },
        }
        if let Err(error) = entry.require_kind(FileKind::Directory) {
            self.report_at(path, offset, error);
        }
    }

    /// One name, at `path`.
    fn named(
        &mut self,
        path: &ImagePath,
        name: NameRef<'_>,
        entry: &Dirent<'_>,
        found: &mut Entries,
    ) {
        let nid = entry.nid;
        if let Some(known) = self.inodes.get_mut(&nid) {
            known.names = known.names.saturating_add(1);
            let &mut Seen {
                offset,
                is_directory,
                ..
            } = known;
            if is_directory {
                self.report_at(path, entry.offset, DecodeError::DirectoryAgain { offset });
                return;
            }
        } else if self.first_name(path, nid).is_some() {
            found.children.push((name.to_name(), nid));
        }
        if let Ok(inode) = self.image.inode(Ino(nid))
            && let Err(error) = entry.require_kind(inode.kind)
        {
            self.report_at(path, entry.offset, error);
        }
    }
}

/// Inodes have filters of the names of their extended attributes.
const FILTERS: u32 = 0x4;
