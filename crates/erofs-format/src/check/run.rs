//! Looking at everything there is in an image.

use std::collections::HashMap;

use image_model::ImagePath;
use image_model::walk::Walk;
use image_model::width::u64_from;

use super::space::Space;
use super::{CheckFinding, CheckSummary, Inconsistency};
use crate::budget::{Budget, PathRoom};
use crate::device_slot::DeviceSlot;
use crate::error::DecodeError;
use crate::image::ErofsImage;
use crate::superblock::Superblock;
use crate::view;

const SUPERBLOCK: (&str, u64) = ("superblock", Superblock::OFFSET);

impl ErofsImage {
    /// Looks at every structure and reports everything that is wrong, also what the kernel does not look at:
    /// counts, reserved bytes, link counts, overlaps. Images made by mkfs.erofs have no findings.
    ///
    /// Paths of findings take at most [`max_report_len`](image_model::Limits::max_report_len) bytes together;
    /// what is found after those has none. Content is not read; whether it lies inside the devices is looked at.
    ///
    /// EROFS has no digests, but a checksum of the superblock's block, which older mkfs.erofs leave out. What nothing in
    /// the image contradicts is not found; only a digest of the image, or a hash tree, vouches for it:
    ///
    /// * all content, and bytes between structures;
    /// * superblock: build time, UUID, volume name, compatible features, reserved bytes, features that change nothing,
    ///   and fields that belong to features that the image does not have; a number of blocks that is too small, and
    ///   another place of the device table where one can be;
    /// * inodes: permissions, owner, group, time, the sequential number, reserved bytes; sizes, layouts and addresses
    ///   that still lead to bytes of the image, and that no other inode claims;
    /// * names that stay in order and where they end, nids of two entries that are exchanged, targets of symbolic
    ///   links, names and values of extended attributes;
    /// * chunk addresses that stay within their device; tags of devices, their lengths, and where they are mapped.
    ///
    /// Takes about 150 bytes for each inode, and 40 for each chunk that does not follow the one before it,
    /// while it runs. Chunks beyond [`max_chunks`](image_model::Limits::max_chunks) are not looked at.
    pub fn check(&self, report: &mut dyn FnMut(CheckFinding)) -> CheckSummary {
        let mut summary = CheckSummary::default();
        let mut found = 0u64;
        let mut checker = Checker {
            image: self,
            report: &mut |finding| {
                found = found.saturating_add(1);
                report(finding);
            },
            budget: Budget::default(),
            paths: PathRoom::new(self.limits()),
            space: Space::default(),
            inodes: HashMap::new(),
            names: 1,
            extents: 0,
            complete: true,
        };
        checker.headers();
        checker.tree();
        checker.after_tree();
        summary.inodes = u64_from(checker.inodes.len());
        (summary.names, summary.extents) = (checker.names, checker.extents);
        summary.findings = found;
        summary
    }
}

/// What the check knows of an inode.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) offset: u64,
    pub(super) is_directory: bool,
    /// The recorded number of links.
    pub(super) links: u32,
    /// Names found so far (not counted for directories).
    pub(super) names: u32,
}

pub(super) struct Checker<'a> {
    pub(super) image: &'a ErofsImage,
    report: &'a mut dyn FnMut(CheckFinding),
    pub(super) budget: Budget,
    paths: PathRoom,
    pub(super) space: Space,
    pub(super) inodes: HashMap<u64, Seen>,
    pub(super) names: u64,
    pub(super) extents: u64,
    /// Whether everything was reached, so that counts mean something.
    pub(super) complete: bool,
}

impl Checker<'_> {
    fn report(&mut self, offset: u64, what: impl Into<Inconsistency>) {
        (self.report)(CheckFinding {
            path: None,
            offset,
            what: what.into(),
        });
    }

    pub(super) fn report_at(
        &mut self,
        path: &ImagePath,
        offset: u64,
        what: impl Into<Inconsistency>,
    ) {
        (self.report)(CheckFinding {
            path: self.paths.copy(path),
            offset,
            what: what.into(),
        });
    }

    fn headers(&mut self) {
        let image = self.image;
        let superblock = image.superblock();
        let (structure, offset) = SUPERBLOCK;
        self.space
            .take(structure, offset, u64_from(Superblock::LEN));
        self.reserved(SUPERBLOCK, &superblock.to_bytes());
        let has_checksum = superblock.feature_compat & Superblock::COMPAT_CHECKSUM != 0;
        if superblock.checksum != 0 && !has_checksum {
            self.mismatch(SUPERBLOCK, "checksum", superblock.checksum.into(), 0);
        }
        let slots = u64::from(superblock.sb_extslots) << 4;
        let end = offset.saturating_add(u64_from(Superblock::LEN));
        self.space.take("superblock extension", end, slots);
        let table = superblock.device_table();
        for (index, slot) in image.devices().iter().enumerate() {
            let offset = view::element_offset(table, index, DeviceSlot::LEN);
            self.space
                .take("device slot", offset, u64_from(DeviceSlot::LEN));
            self.reserved(("device slot", offset), &slot.to_bytes());
        }
        let blocks = superblock.block_size.whole_in(image.len());
        if u64::from(superblock.blocks) > blocks {
            self.mismatch(SUPERBLOCK, "blocks", superblock.blocks.into(), blocks);
        }
    }

    /// Compares a structure with what is stored: they differ in reserved bytes only.
    fn reserved(&mut self, (structure, offset): (&'static str, u64), written: &[u8]) {
        match self.is_stored(offset, written) {
            Ok(true) => {}
            Ok(false) => self.report(offset, Inconsistency::Reserved { structure }),
            Err(error) => self.report(offset, error),
        }
    }

    /// Whether the bytes at `offset` are `written`.
    pub(super) fn is_stored(&self, offset: u64, written: &[u8]) -> Result<bool, DecodeError> {
        let stored = self
            .image
            .read("structure", offset, u64_from(written.len()))?;
        Ok(&stored[..] == written)
    }

    fn mismatch(
        &mut self,
        (structure, offset): (&'static str, u64),
        field: &'static str,
        found: u64,
        expected: u64,
    ) {
        let what = Inconsistency::Mismatch {
            structure,
            field,
            found,
            expected,
        };
        self.report(offset, what);
    }

    /// What can be said once the whole tree was seen.
    fn after_tree(&mut self) {
        if self.complete {
            let found = self.image.superblock().inos;
            // The packed inode, which no name leads to, is counted.
            let packed = u64::from(self.image.superblock().packed_nid != 0);
            let expected = u64_from(self.inodes.len());
            if found != expected && found != expected.saturating_add(packed) {
                self.mismatch(SUPERBLOCK, "inos", found, expected);
            }
            self.check_links();
        }
        let space = std::mem::take(&mut self.space);
        space.check(&mut |offset, what| self.report(offset, what));
    }

    /// Compares link counts, and finds the paths of those that are wrong.
    fn check_links(&mut self) {
        let wrong = |seen: &Seen| !seen.is_directory && seen.names != seen.links;
        if !self.inodes.values().any(wrong) {
            return;
        }
        let image = self.image;
        let mut walk = Walk::new(image, image.limits());
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
