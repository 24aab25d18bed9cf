//! Every structure of a bootstrap, for people and programs that look into one.

use std::collections::HashSet;
use std::fmt;

use erofs_format::budget::Budget;
use erofs_format::inode::Inode;
use erofs_format::{DeviceSlot, Superblock};
use image_model::walk::Walk;
use image_model::{FileKind, ImagePath, Ino};

use super::blob_entry::BlobEntry;
use super::bootstrap::Bootstrap;
use super::chunk_address::ChunkAddress;
use super::device;
use super::ext_superblock;
use crate::dump::{self, Dumped, FieldValue, Teller};
use crate::error::DecodeError;
use crate::flags::{BlobFeatures, Cipher};
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

    /// Tells every structure: headers and tables, then the tree in the order of paths. The tree ends where
    /// its structures take more bytes than the bootstrap has.
    ///
    /// ```no_run
    /// use lazyoci_rafs_format::v6::{Bootstrap, Dumped};
    /// # use image_model::Limits;
    /// let bytes = std::fs::read("image.boot").map_err(|error| error.to_string())?;
    /// let bootstrap = Bootstrap::open(bytes.into(), &Limits::default());
    /// let bootstrap = bootstrap.map_err(|error| error.to_string())?;
    /// let mut names = 0;
    /// bootstrap.structures(&mut |dumped| match dumped {
    ///     Dumped::Structure(structure) => {
    ///         names += u64::from(structure.name == "dirent");
    ///         Ok(())
    ///     }
    ///     Dumped::Unreadable(error) => Err(error.to_string()),
    ///     _ => Ok(()),
    /// })?;
    /// # Ok::<(), String>(())
    /// ```
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
        dump.headers()?;
        dump.tree()?;
        for (position, record) in self.chunk_records().enumerate() {
            let offset = self.chunk_record_offset(position);
            dump::record(&mut dump.teller, offset, position, &record)?;
        }
        Ok(())
    }
}

/// A bootstrap, and who hears of its structures.
struct Dump<'a, E> {
    bootstrap: &'a Bootstrap,
    teller: Teller<'a, E>,
}

impl<E> Dump<'_, E> {
    fn headers(&mut self) -> Result<(), E> {
        let (sb, ext) = (&self.bootstrap.superblock, &self.bootstrap.ext);
        self.teller.structure(
            Superblock::OFFSET,
            ("superblock", None),
            &[
                ("feature_compat", FieldValue::Word(sb.feature_compat.into())),
                ("blkszbits", sb.block_size.bits().into()),
                ("root_nid", sb.root_nid.into()),
                ("inos", sb.inos.into()),
                ("build_time", FieldValue::Signed(sb.build_time.seconds)),
                ("build_time_nsec", sb.build_time.nanoseconds.into()),
                ("blocks", sb.blocks.into()),
                ("meta_blkaddr", sb.meta_blkaddr.into()),
                ("uuid", FieldValue::Bytes(&sb.uuid)),
                ("volume_name", FieldValue::Text(view::text(&sb.volume_name))),
                ("extra_devices", sb.extra_devices.into()),
            ],
        )?;
        self.teller.structure(
            ext_superblock::OFFSET,
            ("extended superblock", None),
            &[
                ("flags", FieldValue::Word(ext.flags.bits())),
                ("blob_table_offset", ext.blob_table_offset.into()),
                ("blob_table_size", ext.blob_table_size.into()),
                ("chunk_size", ext.chunk_size.into()),
                ("chunk_table_offset", ext.chunk_table_offset.into()),
                ("chunk_table_size", ext.chunk_table_size.into()),
                ("prefetch_table_offset", ext.prefetch_table_offset.into()),
                ("prefetch_table_size", ext.prefetch_table_size.into()),
            ],
        )?;
        for (index, slot) in self.bootstrap.devices.iter().enumerate() {
            self.teller.element(
                (device::OFFSET, DeviceSlot::LEN),
                ("device", index),
                &[
                    ("tag", FieldValue::Text(slot.tag())),
                    ("blocks", slot.blocks.into()),
                    ("mapped_blkaddr", slot.mapped_blkaddr.into()),
                ],
            )?;
        }
        for (index, entry) in self.bootstrap.entries.iter().enumerate() {
            let table = (ext.blob_table_offset, BlobEntry::LEN);
            self.blob(table, index, entry)?;
        }
        for (index, ino) in self.bootstrap.prefetch().enumerate() {
            let table = (ext.prefetch_table_offset, size_of::<u32>());
            self.teller
                .element(table, ("prefetch", index), &[("nid", ino.0.into())])?;
        }
        Ok(())
    }

    fn blob(&mut self, table: (u64, usize), index: usize, entry: &BlobEntry) -> Result<(), E> {
        let encrypted =
            entry.cipher != Cipher::None || entry.features.contains(BlobFeatures::ENCRYPTED);
        // This holds the key of an encrypted blob, which is not shown.
        let meta_digest: &[u8] = match encrypted {
            true => &[],
            false => &entry.meta_digest,
        };
        self.teller.element(
            table,
            ("blob", index),
            &[
                ("id", FieldValue::Text(entry.id.as_str().as_bytes())),
                ("chunk_size", entry.chunk_size.into()),
                ("chunk_count", entry.chunk_count.into()),
                ("compressor", FieldValue::Name(entry.compressor.name())),
                ("digester", FieldValue::Name(entry.digester.name())),
                ("features", FieldValue::Word(entry.features.bits().into())),
                ("compressed_size", entry.compressed_size.into()),
                ("uncompressed_size", entry.uncompressed_size.into()),
                ("toc_size", entry.toc_size.into()),
                ("toc_digest", FieldValue::Bytes(&entry.toc_digest)),
                ("ci_offset", entry.ci_offset.into()),
                ("ci_compressed_size", entry.ci_compressed_size.into()),
                ("ci_uncompressed_size", entry.ci_uncompressed_size.into()),
                (
                    "ci_compressor",
                    FieldValue::Name(entry.ci_compressor.name()),
                ),
                ("meta_digest", FieldValue::Bytes(meta_digest)),
                ("meta_size", entry.meta_size.into()),
                ("cipher", FieldValue::Name(entry.cipher.name())),
            ],
        )
    }

    fn tree(&mut self) -> Result<(), E> {
        let bootstrap = self.bootstrap;
        let mut seen = HashSet::new();
        let mut budget = Budget::default();
        let mut walk = Walk::new(bootstrap, &bootstrap.limits);
        while let Some(entry) = walk.next_entry() {
            let (path, ino) = match entry {
                Ok(entry) => (entry.path, entry.ino),
                Err(error) => {
                    self.teller.unreadable(&error)?;
                    continue;
                }
            };
            if !seen.insert(ino) {
                let offset = bootstrap.superblock.inode_offset(ino.0);
                let path = path.as_bytes();
                self.teller.structure(
                    offset,
                    ("hard link", Some(ino.0)),
                    &[("path", FieldValue::Text(path))],
                )?;
                continue;
            }
            let inode = match bootstrap.inode(ino) {
                Ok(inode) => inode,
                Err(error) => {
                    self.teller.unreadable(&error)?;
                    continue;
                }
            };
            // Other errors appear with the structures themselves.
            if let Err(error @ DecodeError::Crowded { .. }) = bootstrap.charge(&inode, &mut budget)
            {
                return self.teller.unreadable(&error);
            }
            self.inode(&inode, path)?;
        }
        Ok(())
    }

    fn inode(&mut self, inode: &Inode, path: &ImagePath) -> Result<(), E> {
        let form = match inode.extended {
            true => "extended",
            false => "compact",
        };
        self.teller.structure(
            inode.offset,
            ("inode", Some(Ino(inode.nid).0)),
            &[
                ("path", FieldValue::Text(path.as_bytes())),
                ("form", FieldValue::Name(form)),
                ("layout", FieldValue::Name(inode.layout.name())),
                (
                    "mode",
                    FieldValue::Mode(inode.kind.mode_bits() | inode.mode),
                ),
                ("size", inode.size.into()),
                ("word", FieldValue::Word(inode.word.into())),
                ("number", inode.number.into()),
                ("uid", inode.uid.into()),
                ("gid", inode.gid.into()),
                ("mtime", FieldValue::Signed(inode.mtime.seconds)),
                ("mtime_nsec", inode.mtime.nanoseconds.into()),
                ("links", inode.links.into()),
                ("xattr_bytes", inode.xattr_len.into()),
            ],
        )?;
        self.xattrs(inode)?;
        match inode.kind {
            FileKind::File => self.addresses(inode),
            FileKind::Directory => self.directory(inode),
            FileKind::Symlink => match self.bootstrap.read_target(inode) {
                Ok(target) => self.teller.structure(
                    inode.end(),
                    ("symlink target", None),
                    &[("target", FieldValue::Text(&target))],
                ),
                Err(error) => self.teller.unreadable(&error),
            },
            _ => Ok(()),
        }
    }

    fn xattrs(&mut self, inode: &Inode) -> Result<(), E> {
        let offset = inode.offset.saturating_add(inode.header_len());
        match self.bootstrap.read_xattrs(inode) {
            Ok(xattrs) => xattrs.iter().try_for_each(|xattr| {
                self.teller.structure(
                    offset,
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

    fn addresses(&mut self, inode: &Inode) -> Result<(), E> {
        let addresses = match self.bootstrap.chunk_addresses(inode) {
            Ok(addresses) => addresses,
            Err(error) => return self.teller.unreadable(&error),
        };
        for (number, address) in addresses.iter().enumerate() {
            let ChunkAddress {
                device,
                index,
                startblk,
            } = ChunkAddress::from_bytes(address);
            self.teller.element(
                (inode.chunk_addresses(), ChunkAddress::LEN),
                ("chunk address", number),
                &[
                    ("device", device.into()),
                    ("index", index.into()),
                    ("startblk", startblk.into()),
                ],
            )?;
        }
        Ok(())
    }

    fn directory(&mut self, inode: &Inode) -> Result<(), E> {
        let directory = match self.bootstrap.directory(inode) {
            Ok(directory) => directory,
            Err(error) => return self.teller.unreadable(&error),
        };
        for block in directory.blocks() {
            let block = match block {
                Ok(block) => block,
                Err((_, error)) => {
                    self.teller.unreadable(&error)?;
                    continue;
                }
            };
            for entry in (0..block.len()).map(|index| block.entry(index)) {
                match entry {
                    Ok(entry) => self.teller.structure(
                        entry.offset,
                        ("dirent", None),
                        &[
                            ("name", FieldValue::Text(entry.name)),
                            ("nid", entry.nid.into()),
                            ("file_type", FieldValue::Kind(entry.kind)),
                        ],
                    )?,
                    Err(error) => self.teller.unreadable(&error)?,
                }
            }
        }
        Ok(())
    }
}
