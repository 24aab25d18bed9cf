//! Superblock and tables.

use image_model::width::u64_from;

use super::Checker;
use crate::check::Inconsistency;
use crate::error::At;
use crate::flags::{BlobFeatures, SuperFlags};
use crate::native::missing_support;
use crate::v5::{ExtBlobEntry, blob_table, superblock};
use crate::view;

const SUPERBLOCK: (&str, u64) = ("superblock", 0);
const BLOB_ENTRY: &str = "blob table entry";

impl Checker<'_> {
    pub(super) fn tables(&mut self) {
        let superblock = self.bootstrap.superblock;
        // The bytes after its fields are unused.
        self.space.take("superblock", 0, superblock::USED_LEN);
        for (what, range) in [
            ("inode table", superblock.inode_table()),
            ("prefetch table", superblock.prefetch_table()),
            ("blob table", superblock.blob_table()),
            ("extended blob table", superblock.extended_blob_table()),
        ] {
            let len = range.end.saturating_sub(range.start);
            self.space.take(what, range.start, len);
        }
        let prefetch = superblock.prefetch_table_offset;
        if superblock.prefetch_table_entries == 0 && prefetch != 0 {
            let expected = superblock.blob_table_offset;
            self.expect(SUPERBLOCK, "prefetch_table_offset", prefetch, expected);
        }
        self.blob_table();
        self.extended_blob_table();
    }

    fn blob_table(&mut self) {
        let bootstrap = self.bootstrap;
        let range = bootstrap.superblock.blob_table();
        let written = blob_table::write(bootstrap.blob_table());
        if bootstrap.table_bytes(range.clone()) != written {
            let structure = "blob table";
            self.report(range.start, Inconsistency::Reserved { structure });
        }
        for ((offset, _), entry) in bootstrap.table.iter().zip(&bootstrap.entries) {
            if let Some(feature) = missing_support(entry) {
                self.report(*offset, At::new(BLOB_ENTRY, *offset).unsupported(feature));
            }
        }
    }

    fn extended_blob_table(&mut self) {
        let bootstrap = self.bootstrap;
        let count = u64_from(bootstrap.table.len());
        let entries = bootstrap.superblock.extended_blob_table_entries;
        // The first builders had no such table.
        if entries != 0 {
            let field = "extended_blob_table_entries";
            self.expect(SUPERBLOCK, field, entries.into(), count);
        }
        let table = bootstrap.superblock.extended_blob_table();
        for (index, entry) in bootstrap.extended_blob_table().enumerate() {
            let structure = "extended blob table entry";
            let offset = view::element_offset(table.start, index, ExtBlobEntry::LEN);
            let stored = view::slice(
                &bootstrap.bytes,
                structure,
                offset,
                u64_from(ExtBlobEntry::LEN),
            );
            if stored.is_ok_and(|stored| stored != entry.to_bytes()) {
                self.report(offset, Inconsistency::Reserved { structure });
            }
            let at = At::new(structure, offset);
            if let Err(error) = at.flags(BlobFeatures::from_raw(entry.features)) {
                self.report(offset, error);
            }
        }
    }

    pub(super) fn expect(
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

    /// Compares counts, flags, links and the prefetch table with the whole tree.
    pub(super) fn counts(&mut self) {
        let superblock = self.bootstrap.superblock;
        let entries = superblock.inode_table_entries.into();
        let (names, inodes) = (self.seen.names, self.seen.inodes);
        self.expect(SUPERBLOCK, "inode_table_entries", entries, names);
        // nydus 2.2 does not count the root.
        if superblock.inodes_count.saturating_add(1) != inodes {
            let found = superblock.inodes_count;
            self.expect(SUPERBLOCK, "inodes_count", found, inodes);
        }
        let flags = superblock.flags;
        // Merged images may have the flag without needing it.
        if self.seen.has_xattr && !flags.contains(SuperFlags::HAS_XATTR) {
            let found = flags.bits();
            let expected = (flags | SuperFlags::HAS_XATTR).bits();
            self.expect(SUPERBLOCK, "flags", found, expected);
        }
        for ino in self.bootstrap.prefetch() {
            if ino.0 > names {
                let offset = superblock.prefetch_table_offset;
                self.report(offset, Inconsistency::Prefetch { nid: ino.0 });
            }
        }
    }
}
