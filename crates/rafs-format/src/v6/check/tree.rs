//! The tree: inodes, directories, links, content.

use image_model::width::u64_from;
use image_model::{FileKind, ImagePath, Ino, Name, NameRef};

use super::{Checker, Seen, TreeSeen};
use crate::check::Inconsistency;
use crate::error::{At, DecodeError};
use crate::v6::chunk_address::ChunkAddress;
use crate::v6::directory::Directory;
use crate::view;
use erofs_format::dirent::Dirent;
use erofs_format::inode::{DataLayout, Inode};
use erofs_format::xattr;

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
    own: Option<Dots>,
    parent: Option<Dots>,
    names: u64,
}

#[derive(Clone, Copy)]
struct Dots {
    offset: u64,
    nid: u64,
}

impl Checker<'_> {
    pub(super) fn tree(&mut self) -> TreeSeen {
        let bootstrap = self.bootstrap;
        let mut seen = TreeSeen {
            names: 1,
            has_xattr: false,
            complete: true,
        };
        let mut path = ImagePath::root();
        let root = bootstrap.root_ino().0;
        let mut levels: Vec<Level> = Vec::new();
        let mut next = self.first_name(&path, root, &mut seen);
        loop {
            if let Some(inode) = next.take() {
                let depth = u64_from(levels.len());
                let parent = levels.last().map_or(root, |level| level.nid);
                let max = u64::from(bootstrap.limits.max_depth);
                let children = if depth > max {
                    let what = "nested directories";
                    let found = depth;
                    self.report_at(&path, inode.offset, DecodeError::Limit { what, found, max });
                    seen.complete = false;
                    Vec::new()
                } else {
                    self.directory(&mut path, &inode, parent, &mut seen)
                };
                let nid = inode.nid;
                levels.push(Level { nid, children });
            }
            let Some(level) = levels.last_mut() else {
                return seen;
            };
            match level.children.pop() {
                Some((name, nid)) => {
                    path.push(name.as_ref());
                    next = self.bootstrap.inode(Ino(nid)).ok();
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
    fn first_name(&mut self, path: &ImagePath, nid: u64, seen: &mut TreeSeen) -> Option<Inode> {
        let bootstrap = self.bootstrap;
        let offset = bootstrap.superblock.inode_offset(nid);
        let inode = match bootstrap.inode(Ino(nid)) {
            Ok(inode) => inode,
            Err(error) => {
                self.report_at(path, offset, error);
                seen.complete = false;
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
        if let Err(error) = bootstrap.charge(&inode, &mut self.budget) {
            // Beyond the budget every entry would report the same error.
            if seen.complete || !matches!(error, DecodeError::Crowded { .. }) {
                self.report_at(path, offset, error);
            }
            seen.complete = false;
            return None;
        }
        self.inode(path, &inode, seen);
        (inode.kind == FileKind::Directory).then_some(inode)
    }

    fn inode(&mut self, path: &ImagePath, inode: &Inode, seen: &mut TreeSeen) {
        let bootstrap = self.bootstrap;
        let written = inode.to_extended();
        if inode.extended && !self.reserved_of_inode(inode.offset, &written) {
            let structure = "inode";
            self.report_at(path, inode.offset, Inconsistency::Reserved { structure });
        }
        let mut len = inode.end().saturating_sub(inode.offset);
        if inode.xattr_len != 0 {
            seen.has_xattr = true;
            let offset = inode.offset.saturating_add(inode.header_len());
            let structure = "extended attributes";
            if let Err(error) = bootstrap.read_xattrs(inode) {
                self.report_at(path, offset, error);
            }
            let area = view::slice(&bootstrap.bytes, structure, offset, inode.xattr_len);
            if !area.is_ok_and(xattr::header_is_zero) {
                self.report_at(path, offset, Inconsistency::Reserved { structure });
            }
        }
        let checked = match inode.kind {
            FileKind::File => self.content(path, inode).map(|addresses| {
                let before = inode.chunk_addresses().saturating_sub(inode.offset);
                len = before.saturating_add(addresses);
            }),
            FileKind::Directory | FileKind::Symlink => bootstrap.data(inode).map(|data| {
                len = len.saturating_add(u64_from(data.tail.len()));
                let blocks = u64_from(data.blocks.len());
                self.space.take("data blocks", data.blocks_offset, blocks);
            }),
            _ => Ok(()),
        };
        self.space.take("inode", inode.offset, len);
        if let Err(error) = checked {
            self.report_at(path, inode.offset, error);
        }
        if inode.kind == FileKind::Symlink
            && let Err(error) = bootstrap.read_target(inode)
        {
            self.report_at(path, inode.offset, error);
        }
    }

    /// Checks each chunk of a file; returns the bytes of its addresses.
    fn content(&mut self, path: &ImagePath, inode: &Inode) -> Result<u64, DecodeError> {
        let bootstrap = self.bootstrap;
        let addresses = bootstrap.chunk_addresses(inode)?;
        for number in 0..addresses.len() {
            match bootstrap.check_chunk(inode, addresses, number) {
                // Blobs that are not supported were reported already.
                Err(DecodeError::Unsupported { .. }) => {}
                Ok(()) => self.take_sectors(inode, &addresses[number], number),
                Err(error) => {
                    let table = inode.chunk_addresses();
                    let offset = view::element_offset(table, number, ChunkAddress::LEN);
                    self.report_at(path, offset, error);
                }
            }
        }
        if inode.layout == DataLayout::Chunked && !self.chunk_format_fits(inode, addresses) {
            let rule = "of the image's chunk size, or of one that holds the whole file if its \
                        chunks lie one behind the other";
            let error = At::new("inode", inode.offset).wrong("i_u", inode.word, rule);
            self.report_at(path, inode.offset, error);
        }
        Ok(u64_from(addresses.as_flattened().len()))
    }

    /// Whether the kernel, which goes by the inode's own chunk size, reads what the addresses say:
    /// with a larger one than the image's it must need the first address only.
    fn chunk_format_fits(&self, inode: &Inode, addresses: &[[u8; ChunkAddress::LEN]]) -> bool {
        let superblock = &self.bootstrap.superblock;
        let chunk_size = u64::from(self.bootstrap.ext.chunk_size);
        let bits = inode.chunk_bits(superblock);
        let own = chunk_size.trailing_zeros();
        let step = superblock.block_size.whole_in(chunk_size);
        let follows = |pair: &[[u8; ChunkAddress::LEN]]| {
            let [a, b] = [0, 1].map(|n| ChunkAddress::from_bytes(&pair[n]));
            let next = u64::from(a.startblk).saturating_add(step);
            a.device == b.device && next == u64::from(b.startblk)
        };
        bits == own || bits > own && 1 << bits >= inode.size && addresses.windows(2).all(follows)
    }

    /// Checks the entries of a directory and the inodes that they mention first; returns the
    /// directories among them, last first.
    fn directory(
        &mut self,
        path: &mut ImagePath,
        inode: &Inode,
        parent: u64,
        seen: &mut TreeSeen,
    ) -> Vec<(Name, u64)> {
        let Ok(directory) = self.bootstrap.directory(inode) else {
            seen.complete = false;
            return Vec::new();
        };
        let mut entries = self.entries(path, directory, seen);
        for (name, dots, expected) in [
            (".", entries.own, inode.nid),
            ("..", entries.parent, parent),
        ] {
            let Some(Dots { offset, nid }) = dots else {
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
        seen.names = seen.names.saturating_add(entries.names);
        let links = u64_from(entries.children.len()).saturating_add(2);
        if u64::from(inode.links) != links && seen.complete {
            let what = Inconsistency::Mismatch {
                structure: "inode",
                field: "i_nlink",
                found: inode.links.into(),
                expected: links,
            };
            self.report_at(path, inode.offset, what);
        }
        entries.children.reverse();
        entries.children
    }

    fn entries(
        &mut self,
        path: &mut ImagePath,
        directory: Directory<'_>,
        seen: &mut TreeSeen,
    ) -> Entries {
        let mut found = Entries::default();
        let mut last: &[u8] = &[];
        for block in directory.blocks() {
            let (offset, block) = match block {
                Ok(block) => (block.offset(), block),
                Err((offset, error)) => {
                    self.report_at(path, offset, error);
                    seen.complete = false;
                    continue;
                }
            };
            for index in 0..block.len() {
                let entry = match block.entry(index) {
                    Ok(entry) => entry,
                    Err(error) => {
                        self.report_at(path, offset, error);
                        seen.complete = false;
                        continue;
                    }
                };
                if entry.name <= last {
                    let offset = entry.offset;
                    self.report_at(path, offset, DecodeError::NameOrder { offset });
                }
                last = entry.name;
                self.entry(path, &entry, &mut found, seen);
            }
            if !block.rest_is_zero() {
                let structure = "directory block";
                self.report_at(path, offset, Inconsistency::Reserved { structure });
            }
        }
        found
    }

    fn entry(
        &mut self,
        path: &mut ImagePath,
        entry: &Dirent<'_>,
        found: &mut Entries,
        seen: &mut TreeSeen,
    ) {
        let &Dirent { offset, nid, .. } = entry;
        match entry.name {
            b"." => found.own = Some(Dots { offset, nid }),
            b".." => found.parent = Some(Dots { offset, nid }),
            name => match NameRef::new(name) {
                Ok(name) => {
                    found.names = found.names.saturating_add(1);
                    path.push(name);
                    self.named(path, name, entry, found, seen);
                    path.pop();
                    return;
                }
                Err(source) => self.report_at(path, offset, DecodeError::Name { offset, source }),
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
        seen: &mut TreeSeen,
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
        } else if self.first_name(path, nid, seen).is_some() {
            found.children.push((name.to_name(), nid));
        }
        if let Ok(inode) = self.bootstrap.inode(Ino(nid))
            && let Err(error) = entry.require_kind(inode.kind)
        {
            self.report_at(path, entry.offset, error);
        }
    }
}
