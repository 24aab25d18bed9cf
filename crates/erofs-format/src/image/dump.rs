//! Every structure of an image, for people and programs that look into one.

use std::collections::HashSet;
use std::fmt;
use std::ops::ControlFlow;

use image_model::walk::Walk;
use image_model::{FileKind, ImagePath, Ino};

use super::ErofsImage;
use crate::budget::Budget;
use crate::device_slot::DeviceSlot;
use crate::dump::{Dumped, FieldValue, Teller};
use crate::error::DecodeError;
use crate::inode::{DataLayout, Inode};
use crate::superblock::Superblock;
use crate::view;

impl ErofsImage {
    /// Prints every [structure](Self::structures) with its offset, one per line. What cannot be read is a
    /// line that begins with `!` and says why. Text is escaped, and shown up to its 64th byte.
    ///
    /// # Errors
    /// Errors of `out`.
    pub fn dump(&self, out: &mut impl fmt::Write) -> fmt::Result {
        self.structures(&mut |dumped| writeln!(out, "{dumped}"))
    }

    /// Tells every structure: headers and tables, then the tree in the order of paths. The tree ends where
    /// its structures take more bytes than the image has.
    ///
    /// # Errors
    /// Any error of `tell` ends it.
    pub fn structures<E>(
        &self,
        tell: &mut dyn FnMut(Dumped<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut dump = Dump {
            image: self,
            teller: Teller { tell },
        };
        dump.headers()?;
        dump.tree()
    }
}

/// An image, and who hears of its structures.
struct Dump<'a, E> {
    image: &'a ErofsImage,
    teller: Teller<'a, E>,
}

impl<E> Dump<'_, E> {
    fn headers(&mut self) -> Result<(), E> {
        let sb = &self.image.superblock;
        self.teller.structure(
            Superblock::OFFSET,
            ("superblock", None),
            &[
                ("checksum", FieldValue::Word(sb.checksum.into())),
                ("feature_compat", FieldValue::Word(sb.feature_compat.into())),
                ("blkszbits", sb.block_size.bits().into()),
                ("sb_extslots", sb.sb_extslots.into()),
                ("root_nid", sb.root_nid.into()),
                ("inos", sb.inos.into()),
                ("build_time", FieldValue::Signed(sb.build_time.seconds)),
                ("build_time_nsec", sb.build_time.nanoseconds.into()),
                ("blocks", sb.blocks.into()),
                ("meta_blkaddr", sb.meta_blkaddr.into()),
                ("xattr_blkaddr", sb.xattr_blkaddr.into()),
                ("uuid", FieldValue::Bytes(&sb.uuid)),
                ("volume_name", FieldValue::Text(view::text(&sb.volume_name))),
                (
                    "feature_incompat",
                    FieldValue::Word(sb.feature_incompat.into()),
                ),
                ("extra_devices", sb.extra_devices.into()),
                ("devt_slotoff", sb.devt_slotoff.into()),
                ("xattr_prefix_count", sb.xattr_prefix_count.into()),
                ("xattr_prefix_start", sb.xattr_prefix_start.into()),
                ("packed_nid", sb.packed_nid.into()),
            ],
        )?;
        for (index, slot) in self.image.devices.iter().enumerate() {
            self.teller.element(
                (sb.device_table(), DeviceSlot::LEN),
                ("device", index),
                &[
                    ("tag", FieldValue::Text(slot.tag())),
                    ("blocks", slot.blocks.into()),
                    ("mapped_blkaddr", slot.mapped_blkaddr.into()),
                ],
            )?;
        }
        for (index, (offset, prefix)) in (0u64..).zip(self.image.prefixes.iter()) {
            self.teller.structure(
                offset,
                ("long prefix", Some(index)),
                &[("prefix", FieldValue::Text(prefix))],
            )?;
        }
        Ok(())
    }

    fn tree(&mut self) -> Result<(), E> {
        let image = self.image;
        let mut seen = HashSet::new();
        let mut budget = Budget::default();
        let mut walk = Walk::new(image, &image.limits);
        while let Some(entry) = walk.next_entry() {
            let (path, ino) = match entry {
                Ok(entry) => (entry.path, entry.ino),
                Err(error) => {
                    self.teller.unreadable(&error)?;
                    continue;
                }
            };
            if !seen.insert(ino) {
                let offset = image.superblock.inode_offset(ino.0);
                let path = FieldValue::Text(path.as_bytes());
                self.teller
                    .structure(offset, ("hard link", Some(ino.0)), &[("path", path)])?;
                continue;
            }
            let inode = match image.inode(ino) {
                Ok(inode) => inode,
                Err(error) => {
                    self.teller.unreadable(&error)?;
                    continue;
                }
            };
            let own = inode.end().saturating_sub(inode.offset);
            // The reason appears with the structures themselves.
            let len = image.metadata_len(&inode).unwrap_or(0);
            let charged = budget.charge(inode.offset, own.saturating_add(len), image.len);
            if let Err(error) = charged {
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
        let mode = inode.kind.mode_bits() | inode.mode;
        self.teller.structure(
            inode.offset,
            ("inode", Some(Ino(inode.nid).0)),
            &[
                ("path", FieldValue::Text(path.as_bytes())),
                ("form", FieldValue::Name(form)),
                ("layout", FieldValue::Name(inode.layout.name())),
                ("mode", FieldValue::Mode(mode)),
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
            FileKind::Symlink => match self.image.read_target(inode) {
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
        match self.image.read_xattrs(inode) {
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
        enum Stopped<E> {
            Tell(E),
            Image(DecodeError),
        }
        impl<E> From<DecodeError> for Stopped<E> {
            fn from(error: DecodeError) -> Self {
                Self::Image(error)
            }
        }
        if inode.layout != DataLayout::Chunked {
            return Ok(());
        }
        let map = match self.image.chunk_map(inode) {
            Ok(map) => map,
            Err(error) => return self.teller.unreadable(&error),
        };
        let teller = &mut self.teller;
        let told = self
            .image
            .each_address(&map, 0..map.count, &mut |number, address| {
                let offset = map
                    .offset
                    .saturating_add(number.saturating_mul(map.address_len));
                let told = teller.structure(
                    offset,
                    ("chunk address", Some(number)),
                    &[
                        ("device", address.device_id.into()),
                        ("startblk", FieldValue::Word(address.startblk.into())),
                    ],
                );
                told.map_err(Stopped::Tell)?;
                Ok(ControlFlow::Continue(()))
            });
        match told {
            Ok(()) => Ok(()),
            Err(Stopped::Tell(error)) => Err(error),
            Err(Stopped::Image(error)) => self.teller.unreadable(&error),
        }
    }

    fn directory(&mut self, inode: &Inode) -> Result<(), E> {
        for number in 0..self.image.block_count(inode) {
            let block = match self.image.block(inode, number) {
                Ok(block) => block,
                Err(error) => {
                    self.teller.unreadable(&error)?;
                    continue;
                }
            };
            let entries = match block.entries() {
                Ok(entries) => entries,
                Err(error) => {
                    self.teller.unreadable(&error)?;
                    continue;
                }
            };
            for entry in (0..entries.len()).map(|index| entries.entry(index)) {
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
