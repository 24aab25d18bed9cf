//! Every structure of a bootstrap, for people and programs that look into one.

use std::collections::HashSet;
use std::fmt;

use erofs_format::budget::Budget;
use image_model::walk::Walk;
use image_model::width::u64_from;
use image_model::{FileKind, ImagePath, Ino};

use super::bootstrap::Bootstrap;
use super::ext_blob_entry::ExtBlobEntry;
use super::inode::{self, Inode};
use super::{inode_table, prefetch_table};
use crate::chunk_record::ChunkRecord;
use crate::dump::{self, Dumped, FieldValue, Teller};
use crate::view;

impl Bootstrap {
    /// Prints every [structure](Self::structures) with its offset, one per line. What cannot be read is a
    /// line that begins with `!` and says why. Text is escaped, and shown up to its 64th byte.
    ///
    /// # Errors
    /// Errors of `out`.
    pub fn dump(&self, out: &mut impl fmt::Write) -> fmt::Result {
        self.structures(&mut |dumped| writeln!(out, "{dumped}"))
    }

    /// Tells every structure: superblock and tables, with the entries of the inode table in the order of
    /// paths; then the inodes in the order of the inode table. The inodes end where they take more bytes
    /// than the bootstrap has.
    ///
    /// # Errors
    /// Any error of `tell` ends it.
    pub fn structures<E>(
        &self,
        tell: &mut dyn FnMut(Dumped<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut dump = Dump {
            bootstrap: self,
            teller: Teller { tell },
        };
        dump.tables()?;
        dump.paths()?;
        dump.inodes()
    }
}

/// A bootstrap, and who hears of its structures.
struct Dump<'a, E> {
    bootstrap: &'a Bootstrap,
    teller: Teller<'a, E>,
}

impl<E> Dump<'_, E> {
    fn tables(&mut self) -> Result<(), E> {
        let bootstrap = self.bootstrap;
        let sb = &bootstrap.superblock;
        self.teller.structure(
            0,
            ("superblock", None),
            &[
                ("block_size", sb.chunk_size.into()),
                ("flags", FieldValue::Word(sb.flags.bits())),
                ("inodes_count", sb.inodes_count.into()),
                ("inode_table_offset", sb.inode_table_offset.into()),
                ("prefetch_table_offset", sb.prefetch_table_offset.into()),
                ("blob_table_offset", sb.blob_table_offset.into()),
                ("inode_table_entries", sb.inode_table_entries.into()),
                ("prefetch_table_entries", sb.prefetch_table_entries.into()),
                ("blob_table_size", sb.blob_table_size.into()),
                (
                    "extended_blob_table_entries",
                    sb.extended_blob_table_entries.into(),
                ),
                (
                    "extended_blob_table_offset",
                    sb.extended_blob_table_offset.into(),
                ),
            ],
        )?;
        for (index, ino) in bootstrap.prefetch().enumerate() {
            let table = (sb.prefetch_table_offset, prefetch_table::ENTRY_LEN);
            let fields = [("number", FieldValue::Number(ino.0))];
            self.teller.element(table, ("prefetch", index), &fields)?;
        }
        for (index, (offset, entry)) in bootstrap.table.iter().enumerate() {
            self.teller.structure(
                *offset,
                ("blob", Some(u64_from(index))),
                &[
                    ("readahead_offset", entry.readahead_offset.into()),
                    ("readahead_size", entry.readahead_size.into()),
                    ("id", FieldValue::Text(entry.id.as_str().as_bytes())),
                ],
            )?;
        }
        for (index, entry) in bootstrap.extended_blob_table().enumerate() {
            self.teller.element(
                (sb.extended_blob_table_offset, ExtBlobEntry::LEN),
                ("extended blob", index),
                &[
                    ("chunk_count", entry.chunk_count.into()),
                    ("features", FieldValue::Word(entry.features.into())),
                    ("uncompressed_size", entry.uncompressed_size.into()),
                    ("compressed_size", entry.compressed_size.into()),
                ],
            )?;
        }
        Ok(())
    }

    /// Where each number's inode is, and its path; errors of the tree.
    fn paths(&mut self) -> Result<(), E> {
        let bootstrap = self.bootstrap;
        let mut seen = HashSet::new();
        let mut walk = Walk::new(bootstrap, &bootstrap.limits);
        while let Some(entry) = walk.next_entry() {
            match entry {
                Ok(entry) if seen.insert(entry.ino) => {
                    self.path(entry.ino, "inode table entry", entry.path)?;
                }
                Ok(entry) => self.path(entry.ino, "hard link", entry.path)?,
                Err(error) => self.teller.unreadable(&error)?,
            }
        }
        Ok(())
    }

    fn path(&mut self, ino: Ino, what: &'static str, path: &ImagePath) -> Result<(), E> {
        let number = u32::try_from(ino.0).unwrap_or(u32::MAX);
        let table = self.bootstrap.superblock.inode_table_offset;
        self.teller.structure(
            inode_table::entry_offset(table, number),
            (what, Some(ino.0)),
            &[("path", FieldValue::Text(path.as_bytes()))],
        )
    }

    fn inodes(&mut self) -> Result<(), E> {
        let bootstrap = self.bootstrap;
        let mut budget = Budget::default();
        let available = u64_from(bootstrap.bytes.len());
        for number in inode::ROOT..=bootstrap.superblock.inode_table_entries {
            let inode = match bootstrap.numbered(number) {
                Ok(inode) => inode,
                Err(error) => {
                    self.teller.unreadable(&error)?;
                    continue;
                }
            };
            if let Err(error) = budget.charge(inode.offset, inode.len(), available) {
                return self.teller.unreadable(&error);
            }
            self.inode(&inode)?;
        }
        Ok(())
    }

    fn inode(&mut self, inode: &Inode) -> Result<(), E> {
        let bootstrap = self.bootstrap;
        let name = inode.raw_name(&bootstrap.bytes).unwrap_or_default();
        self.teller.structure(
            inode.offset,
            ("inode", Some(inode.number.into())),
            &[
                ("digest", FieldValue::Bytes(&inode.digest)),
                ("parent", inode.parent.into()),
                ("ino", inode.ino.into()),
                ("uid", inode.uid.into()),
                ("gid", inode.gid.into()),
                ("project", inode.project.into()),
                (
                    "mode",
                    FieldValue::Mode(inode.kind.mode_bits() | inode.mode),
                ),
                ("size", inode.size.into()),
                ("blocks", inode.blocks.into()),
                ("flags", FieldValue::Word(inode.flags.bits())),
                ("links", inode.links.into()),
                ("child_index", inode.child_index.into()),
                ("child_count", inode.child_count.into()),
                ("rdev", FieldValue::Word(inode.rdev.into())),
                ("mtime_nsec", inode.mtime.nanoseconds.into()),
                ("mtime", FieldValue::Signed(inode.mtime.seconds)),
                ("name", FieldValue::Text(name)),
            ],
        )?;
        if inode.kind == FileKind::Symlink {
            match bootstrap.raw_target(inode) {
                Ok(target) => self.teller.structure(
                    inode.target().start,
                    ("symlink target", None),
                    &[("target", FieldValue::Text(target))],
                )?,
                Err(error) => self.teller.unreadable(&error)?,
            }
        }
        self.xattrs(inode)?;
        self.records(inode)
    }

    fn xattrs(&mut self, inode: &Inode) -> Result<(), E> {
        match self.bootstrap.read_xattrs(inode) {
            Ok(xattrs) => xattrs.iter().try_for_each(|xattr| {
                self.teller.structure(
                    inode.xattr_offset(),
                    ("xattr", None),
                    &[
                        ("name", FieldValue::Text(&xattr.name)),
                        ("value", FieldValue::Text(&xattr.value)),
                    ],
                )
            }),
            Err(error) => self.teller.unreadable(&error),
        }
    }

    fn records(&mut self, inode: &Inode) -> Result<(), E> {
        let records = match self.bootstrap.records(inode) {
            Ok(records) => records,
            Err(error) => return self.teller.unreadable(&error),
        };
        for (position, record) in records.iter().enumerate() {
            let offset = view::element_offset(inode.chunks_offset(), position, ChunkRecord::LEN);
            let record = ChunkRecord::from_bytes(record);
            dump::record(&mut self.teller, offset, position, &record)?;
        }
        Ok(())
    }
}
