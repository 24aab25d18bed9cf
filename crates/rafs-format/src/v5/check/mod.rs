//! Looking at everything there is in a bootstrap.

mod inode;
mod links;
mod records;
mod tables;
mod tree;

use erofs_format::budget::{Budget, PathRoom};
use image_model::advisory::Advisories;
use image_model::{DigestAlgorithm, ImagePath};

use super::bootstrap::Bootstrap;
use crate::check::{CheckFinding, CheckSummary, Inconsistency, Space};

impl Bootstrap {
    /// Looks at every structure, computes the digest of every inode, and reports everything that is wrong, also
    /// what nydus does not look at: counts, reserved bytes, bytes between structures, link counts,
    /// overlaps, whether all names of a file say the same. Images made by nydus-image have no findings.
    ///
    /// Content is not read: that needs the blobs.
    ///
    /// Digests of inodes cover what a file or directory contains, and nothing else. Only the bootstrap's digest vouches
    /// for permissions, owner, group, time and flags of an inode, names that stay in order, extended attributes,
    /// flags of the image that are compatible with each other, checksums and flags of chunks, and of blobs the id,
    /// features, number of chunks, lengths, and what to read ahead. Which chunks are meant, and the targets of links,
    /// digests cover.
    ///
    /// Takes about 80 bytes for each name and 8 for each chunk while it runs.
    pub fn check(&self, report: &mut dyn FnMut(CheckFinding)) -> CheckSummary {
        let mut found = 0u64;
        let mut checker = Checker {
            bootstrap: self,
            report: &mut |finding| {
                found = found.saturating_add(1);
                report(finding);
            },
            algorithm: self.superblock.flags.digester().into(),
            budget: Budget::default(),
            paths: PathRoom::new(self.limits()),
            space: Space::default(),
            seen: TreeSeen::default(),
        };
        checker.digests_can_be_computed();
        checker.tables();
        checker.tree();
        checker.records();
        checker.after_tree();
        let TreeSeen {
            names,
            inodes,
            chunks,
            ..
        } = checker.seen;
        CheckSummary {
            inodes,
            names,
            chunks,
            findings: found,
            advisories: Advisories::default(),
        }
    }
}

/// What the check knows of the tree when it has gone through it.
#[derive(Debug, Default)]
struct TreeSeen {
    names: u64,
    inodes: u64,
    chunks: u64,
    has_xattr: bool,
    /// Whether something was not reached, so that counts mean nothing.
    incomplete: bool,
    /// The names of inodes that are not directories.
    links: Vec<Links>,
}

/// A name of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Links {
    /// Number of the inode.
    number: u32,
    /// Number of the name.
    name: u32,
}

struct Checker<'a> {
    bootstrap: &'a Bootstrap,
    report: &'a mut dyn FnMut(CheckFinding),
    algorithm: DigestAlgorithm,
    budget: Budget,
    paths: PathRoom,
    space: Space,
    seen: TreeSeen,
}

impl Checker<'_> {
    fn report(&mut self, offset: u64, what: impl Into<Inconsistency>) {
        (self.report)(CheckFinding {
            path: None,
            offset,
            what: what.into(),
        });
    }

    fn report_at(&mut self, path: &ImagePath, offset: u64, what: impl Into<Inconsistency>) {
        (self.report)(CheckFinding {
            path: self.paths.copy(path),
            offset,
            what: what.into(),
        });
    }

    fn digests_can_be_computed(&mut self) {
        if let Err(error) = super::merkle::digest(self.algorithm, [[0; 0]; 0]) {
            self.report(0, Inconsistency::Unchecked(error));
        }
    }

    /// What can be said once the whole tree was seen.
    fn after_tree(&mut self) {
        let complete = !self.seen.incomplete;
        if complete {
            self.links();
            self.counts();
        }
        let bytes = &self.bootstrap.bytes;
        let space = std::mem::take(&mut self.space);
        space.check(bytes, complete, &mut |offset, what| {
            self.report(offset, what);
        });
    }
}
