//! The tree: directories and names.

use image_model::width::u64_from;
use image_model::{Digest, FileKind, ImagePath, Ino, Name};
use verify::Hasher;

use super::{Checker, Links};
use crate::check::Inconsistency;
use crate::error::DecodeError;
use crate::v5::inode::{Inode, ROOT, directory_size, entry_len};
use crate::v5::inode_table;

/// A directory on the current path.
struct Level {
    inode: Inode,
    /// Number of the child that is next.
    next: u32,
    /// One past the number of the last child.
    end: u32,
    /// The name that was last.
    last: Option<Name>,
    /// The digests of the children; `None` if they cannot be computed.
    digest: Option<Hasher>,
    subdirectories: u32,
    /// Length of the entries so far, in bytes.
    entries: u64,
    /// Whether a child could not be read.
    incomplete: bool,
}

impl Checker<'_> {
    pub(super) fn tree(&mut self) {
        let bootstrap = self.bootstrap;
        let mut path = ImagePath::root();
        let root = match bootstrap.inode(Ino(ROOT.into())) {
            Ok(root) => root,
            Err(error) => {
                self.seen.incomplete = true;
                return self.report(0, error);
            }
        };
        if root.raw_name(&bootstrap.bytes) != Ok(b"/") {
            let (structure, field) = ("inode", "i_name_size");
            let what = Inconsistency::Mismatch {
                structure,
                field,
                found: root.name_len.into(),
                expected: 1,
            };
            self.report_at(&path, root.offset, what);
        }
        self.seen.names = 1;
        if !self.charge(&path, &root) {
            return;
        }
        self.inode(&path, &root);
        // The number that builders give to the next directory's first child.
        let mut first = ROOT.saturating_add(1);
        let mut levels: Vec<Level> = self.enter(&path, root, &mut first).into_iter().collect();
        while let Some(level) = levels.last_mut() {
            if level.next >= level.end {
                if let Some(level) = levels.pop() {
                    self.leave(&path, level);
                }
                path.pop();
                continue;
            }
            let number = level.next;
            level.next = level.next.saturating_add(1);
            let Some((name, child)) = self.child(&path, level, number) else {
                continue;
            };
            path.push(name.as_ref());
            if !self.charge(&path, &child) {
                level.incomplete = true;
                path.pop();
                continue;
            }
            self.inode(&path, &child);
            if child.kind != FileKind::Directory {
                self.seen.links.push(Links {
                    number: u32::try_from(child.ino).unwrap_or(u32::MAX),
                    name: number,
                });
                path.pop();
                continue;
            }
            let (found, max) = (u64_from(levels.len()), bootstrap.limits.max_depth.into());
            if found > max {
                let what = "nested directories";
                self.report_at(&path, child.offset, DecodeError::Limit { what, found, max });
                self.seen.incomplete = true;
                path.pop();
                continue;
            }
            match self.enter(&path, child, &mut first) {
                Some(level) => levels.push(level),
                None => {
                    path.pop();
                }
            }
        }
    }

    /// Counts what the inode takes.
    fn charge(&mut self, path: &ImagePath, inode: &Inode) -> bool {
        let available = u64_from(self.bootstrap.bytes.len());
        let charged = self.budget.charge(inode.offset, inode.len(), available);
        let Err(error) = charged else { return true };
        // Beyond the budget every entry would report the same error.
        if !self.seen.incomplete {
            self.report_at(path, inode.offset, error);
        }
        self.seen.incomplete = true;
        false
    }

    fn enter(&mut self, path: &ImagePath, inode: Inode, first: &mut u32) -> Option<Level> {
        self.seen.inodes = self.seen.inodes.saturating_add(1);
        let numbers = match self.bootstrap.children(&inode) {
            Ok(numbers) => numbers,
            Err(error) => {
                self.seen.incomplete = true;
                self.report_at(path, inode.offset, error);
                return None;
            }
        };
        if inode.child_index != *first {
            let what = Inconsistency::Mismatch {
                structure: "inode",
                field: "i_child_index",
                found: inode.child_index.into(),
                expected: (*first).into(),
            };
            self.report_at(path, inode.offset, what);
        }
        *first = first.saturating_add(inode.child_count);
        Some(Level {
            inode,
            next: numbers.start,
            end: numbers.end,
            last: None,
            digest: Hasher::new(self.algorithm).ok(),
            subdirectories: 0,
            entries: 0,
            incomplete: false,
        })
    }

    /// Child `number` of a directory, with its name.
    fn child(&mut self, path: &ImagePath, level: &mut Level, number: u32) -> Option<(Name, Inode)> {
        let bootstrap = self.bootstrap;
        let table = bootstrap.superblock.inode_table_offset;
        let read = || {
            let child = bootstrap.child(&level.inode, number)?;
            Ok((child.name(&bootstrap.bytes)?.to_name(), child))
        };
        let (name, child) = match read() {
            Ok(child) => child,
            Err(error) => {
                let error: DecodeError = error;
                let offset = inode_table::entry_offset(table, number);
                self.report_at(path, offset, error);
                level.incomplete = true;
                self.seen.incomplete = true;
                return None;
            }
        };
        self.seen.names = self.seen.names.saturating_add(1);
        if level.last.as_ref().is_some_and(|last| name <= *last) {
            let offset = child.offset;
            self.report_at(path, offset, DecodeError::NameOrder { offset });
        }
        level.last = Some(name.clone());
        level.entries = level
            .entries
            .saturating_add(entry_len(name.as_bytes().len()));
        if child.kind == FileKind::Directory {
            level.subdirectories = level.subdirectories.saturating_add(1);
        }
        if let Some(hasher) = &mut level.digest {
            hasher.update(&child.digest);
        }
        Some((name, child))
    }

    /// What can be said of a directory once all of its children were seen.
    fn leave(&mut self, path: &ImagePath, level: Level) {
        let Level {
            inode,
            digest,
            subdirectories,
            entries,
            incomplete,
            ..
        } = level;
        if incomplete {
            return;
        }
        let links = subdirectories.saturating_add(2);
        for (field, found, expected) in [
            ("i_nlink", u64::from(inode.links), u64::from(links)),
            ("i_size", inode.size, directory_size(entries)),
        ] {
            self.expect_at(path, &inode, field, found, expected);
        }
        if let Some(hasher) = digest {
            self.expect_digest(path, &inode, hasher.finish());
        }
    }

    pub(super) fn expect_digest(&mut self, path: &ImagePath, inode: &Inode, expected: Digest) {
        let found = Digest::new(self.algorithm, inode.digest);
        if found != expected {
            let what = Inconsistency::Digest { found, expected };
            self.report_at(path, inode.offset, what);
        }
    }

    pub(super) fn expect_at(
        &mut self,
        path: &ImagePath,
        inode: &Inode,
        field: &'static str,
        found: u64,
        expected: u64,
    ) {
        if found != expected {
            let what = Inconsistency::Mismatch {
                structure: "inode",
                field,
                found,
                expected,
            };
            self.report_at(path, inode.offset, what);
        }
    }
}
