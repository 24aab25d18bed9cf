//! Looking at everything there is in a bootstrap.

mod chunk_table;
mod sectors;
mod tables;
mod tree;

use std::collections::HashMap;

use image_model::ImagePath;
use image_model::advisory::{Advisories, Oddity};
use image_model::walk::Walk;
use image_model::width::u64_from;

use super::bootstrap::Bootstrap;
use crate::check::{CheckFinding, CheckSummary, Inconsistency, Space};
use erofs_format::budget::{Budget, PathRoom};
use sectors::Sectors;

impl Bootstrap {
    /// Looks at every structure and reports everything that is wrong, also what neither nydus nor the kernel
    /// looks at: counts, reserved bytes, bytes between structures, link counts, overlaps. Images made
    /// by nydus-image from 2.0 on have no findings; where 2.0 and 2.1 wrote something else, that is an
    /// advisory.
    ///
    /// Content is not read and no digest computed: that needs the blobs.
    ///
    /// Version 6 has no digest of its metadata. What the rest of the bootstrap does not contradict is not found; only
    /// the bootstrap's digest vouches for it:
    ///
    /// * superblock: build time, UUID, volume name; flags that are compatible with each other, place and length of a
    ///   prefetch table that is not there, where a device is mapped;
    /// * inodes: permissions, owner, group, time, the sequential number; bits of `i_format`, `i_size` and `i_u` that
    ///   lead to the same content; the kind of a file where several kinds have none;
    /// * nids of two entries that are exchanged, names that stay in order, and where they end, targets of symbolic
    ///   links, extended attributes;
    /// * chunk addresses that lead to another chunk of the same length, and of chunks the digest, checksum and flags,
    ///   and the stored length, which are found to be wrong when the chunk is read, and the offset in a file and the
    ///   up to 4 bytes between extended attributes and chunk addresses, which nobody reads;
    /// * blobs: algorithms, features, length, and what belongs to a TOC that is not there, which are found to be wrong
    ///   when the blob is opened.
    ///
    /// Of tarfs images, which have no digests of chunks: chunk addresses that lead to other bytes of the tar that no
    /// chunk has, and the chunk table, which nobody reads.
    ///
    /// Takes about 100 bytes for each inode and 8 for each chunk while it runs, in tarfs mode 24.
    pub fn check(&self, report: &mut dyn FnMut(CheckFinding)) -> CheckSummary {
        let mut summary = CheckSummary {
            chunks: u64_from(self.chunk_record_count()),
            ..CheckSummary::default()
        };
        let mut found = 0u64;
        let mut checker = Checker {
            bootstrap: self,
            report: &mut |finding| {
                found = found.saturating_add(1);
                report(finding);
            },
            advisories: Advisories::default(),
            budget: Budget::default(),
            paths: PathRoom::new(self.limits()),
            space: Space::default(),
            inodes: HashMap::new(),
            sectors: Sectors::default(),
        };
        checker.tables();
        checker.chunk_table();
        let seen = checker.tree();
        (summary.inodes, summary.names) = (u64_from(checker.inodes.len()), seen.names);
        checker.after_tree(&seen);
        summary.advisories = checker.advisories;
        summary.findings = found;
        summary
    }
}

/// What the check knows of an inode.
#[derive(Debug, Clone, Copy)]
struct Seen {
    offset: u64,
    is_directory: bool,
    /// The recorded number of links.
    links: u32,
    /// Names found so far (not counted for directories).
    names: u32,
}

/// What the check knows of the tree when it has gone through it.
#[derive(Debug, Clone, Copy)]
struct TreeSeen {
    names: u64,
    has_xattr: bool,
    /// Whether everything was reached, so that counts mean something.
    complete: bool,
}

struct Checker<'a> {
    bootstrap: &'a Bootstrap,
    report: &'a mut dyn FnMut(CheckFinding),
    advisories: Advisories,
    budget: Budget,
    paths: PathRoom,
    space: Space,
    inodes: HashMap<u64, Seen>,
    sectors: Sectors,
}

impl Checker<'_> {
    /// Takes note of what `releases` of nydus-image wrote.
    fn release(&mut self, releases: &'static str, what: &'static str) {
        self.advisories
            .add(None, Oddity::Release { releases, what });
    }

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

    fn expect(
        &mut self,
        (structure, offset): (&'static str, u64),
        field: &'static str,
        found: u64,
        expected: u64,
    ) {
        if found != expected {
            let what = Inconsistency::Mismatch {
                structure,
                field,
                found,
                expected,
            };
            self.report(offset, what);
        }
    }

    /// What can be said once the whole tree was seen.
    fn after_tree(&mut self, seen: &TreeSeen) {
        let bootstrap = self.bootstrap;
        if seen.complete {
            self.check_counts(seen);
            self.check_links();
            for ino in bootstrap.prefetch() {
                if !self.inodes.contains_key(&ino.0) {
                    let offset = bootstrap.ext.prefetch_table_offset;
                    self.report(offset, Inconsistency::Prefetch { nid: ino.0 });
                }
            }
        }
        let sectors = std::mem::take(&mut self.sectors);
        sectors.check(&mut |offset, what| self.report(offset, what));
        let space = std::mem::take(&mut self.space);
        space.check(&bootstrap.bytes, seen.complete, &mut |offset, what| {
            self.report(offset, what);
        });
    }

    /// Compares link counts, and finds the paths of those that are wrong.
    fn check_links(&mut self) {
        let wrong = |seen: &Seen| !seen.is_directory && seen.names != seen.links;
        if !self.inodes.values().any(wrong) {
            return;
        }
        let bootstrap = self.bootstrap;
        let mut walk = Walk::new(bootstrap, &bootstrap.limits);
        while let Some(entry) = walk.next_entry() {
            let Ok(entry) = entry else { continue };
            let Some(seen) = self.inodes.get_mut(&entry.ino.0) else {
                continue;
            };
            if !wrong(seen) {
                continue;
            }
            let what = Inconsistency::Mismatch {
                structure: "inode",
                field: "i_nlink",
                found: seen.links.into(),
                expected: seen.names.into(),
            };
            let offset = seen.offset;
            seen.names = seen.links;
            self.report_at(entry.path, offset, what);
        }
    }
}
