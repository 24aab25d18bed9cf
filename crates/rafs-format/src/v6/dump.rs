//! Every structure of a bootstrap, for people.

use std::collections::HashSet;
use std::fmt::{self, Write};

use image_model::walk::Walk;
use image_model::{FileKind, Ino};

use super::blob_entry::BlobEntry;
use super::bootstrap::Bootstrap;
use super::budget::Budget;
use super::chunk_address::ChunkAddress;
use super::device::{self, DeviceSlot};
use super::inode::Inode;
use super::{ext_superblock, superblock};
use crate::chunk_record::ChunkRecord;
use crate::error::DecodeError;
use crate::flags::{BlobFeatures, Cipher};
use crate::view;

/// Bytes of a value that are shown.
const SHOWN: usize = 64;

impl Bootstrap {
    /// Prints every structure with its offset, one a line: headers and tables, then the tree in the
    /// order of paths. What cannot be read is a line that begins with `!` and says why. Values are
    /// escaped, and shown up to their 64th byte. The tree ends where its structures take more bytes
    /// than the bootstrap has.
    ///
    /// # Errors
    /// What `out` answers.
    pub fn dump(&self, out: &mut impl Write) -> fmt::Result {
        self.dump_headers(out)?;
        self.dump_tree(out)?;
        for (position, record) in self.chunk_records().enumerate() {
            self.dump_record(position, &record, out)?;
        }
        Ok(())
    }

    fn dump_headers(&self, out: &mut impl Write) -> fmt::Result {
        let (sb, ext) = (&self.superblock, &self.ext);
        writeln!(
            out,
            "{:#010x} superblock: compat={:#x} block_bits={} root_nid={} inos={} build_time={}.{:09} \
             blocks={} meta_blkaddr={} uuid={} volume_name={} devices={}",
            superblock::OFFSET,
            sb.feature_compat,
            sb.block_size.bits(),
            sb.root_nid,
            sb.inos,
            sb.build_time.seconds,
            sb.build_time.nanoseconds,
            sb.blocks,
            sb.meta_blkaddr,
            Hex(&sb.uuid),
            Shown(view::text(&sb.volume_name)),
            sb.extra_devices,
        )?;
        writeln!(
            out,
            "{:#010x} extended superblock: flags={:#x} blob_table={:#x}+{} chunk_size={} \
             chunk_table={:#x}+{} prefetch_table={:#x}+{}",
            ext_superblock::OFFSET,
            ext.flags.bits(),
            ext.blob_table_offset,
            ext.blob_table_size,
            ext.chunk_size,
            ext.chunk_table_offset,
            ext.chunk_table_size,
            ext.prefetch_table_offset,
            ext.prefetch_table_size,
        )?;
        for (index, slot) in self.devices.iter().enumerate() {
            let offset = view::element_offset(device::OFFSET, index, DeviceSlot::LEN);
            let (tag, mapped) = (Shown(slot.tag()), slot.mapped_blkaddr);
            let blocks = slot.blocks;
            writeln!(
                out,
                "{offset:#010x} device {index}: tag={tag} blocks={blocks} mapped_blkaddr={mapped}"
            )?;
        }
        for (index, entry) in self.entries.iter().enumerate() {
            let offset = view::element_offset(ext.blob_table_offset, index, BlobEntry::LEN);
            dump_entry(index, offset, entry, out)?;
        }
        for (index, ino) in self.prefetch().enumerate() {
            let offset = view::element_offset(ext.prefetch_table_offset, index, 4);
            writeln!(out, "{offset:#010x} prefetch {index}: nid={ino}")?;
        }
        Ok(())
    }

    fn dump_record(
        &self,
        position: usize,
        record: &ChunkRecord,
        out: &mut impl Write,
    ) -> fmt::Result {
        writeln!(
            out,
            "{:#010x} chunk {position}: digest={} blob={} index={} flags={:#x} compressed={}+{} \
             uncompressed={}+{} file_offset={} crc32={:#010x}",
            self.chunk_record_offset(position),
            Hex(&record.digest),
            record.blob_index,
            record.index,
            record.flags.bits(),
            record.compressed_offset,
            record.compressed_size,
            record.uncompressed_offset,
            record.uncompressed_size,
            record.file_offset,
            record.crc32,
        )
    }

    fn dump_tree(&self, out: &mut impl Write) -> fmt::Result {
        let mut seen = HashSet::new();
        let mut budget = Budget::default();
        let mut walk = Walk::new(self, &self.limits);
        while let Some(entry) = walk.next_entry() {
            let (path, ino) = match entry {
                Ok(entry) => (entry.path, entry.ino),
                Err(error) => {
                    dump_error(&error, out)?;
                    continue;
                }
            };
            if !seen.insert(ino) {
                let offset = self.superblock.inode_offset(ino.0);
                writeln!(out, "{offset:#010x} inode {ino} again: {path}")?;
                continue;
            }
            let inode = match self.inode(ino) {
                Ok(inode) => inode,
                Err(error) => {
                    dump_error(&error, out)?;
                    continue;
                }
            };
            // Other errors show up where the structures are printed.
            if let Err(error @ DecodeError::Crowded { .. }) = budget.charge(self, &inode) {
                return dump_error(&error, out);
            }
            self.dump_inode(&inode, path, out)?;
        }
        Ok(())
    }

    fn dump_inode(
        &self,
        inode: &Inode,
        path: &image_model::ImagePath,
        out: &mut impl Write,
    ) -> fmt::Result {
        writeln!(
            out,
            "{:#010x} inode {}: {path} form={} layout={:?} mode={:06o} size={} word={:#x} number={} \
             owner={}:{} mtime={}.{:09} links={} xattrs={}",
            inode.offset,
            Ino(inode.nid),
            if inode.extended {
                "extended"
            } else {
                "compact"
            },
            inode.layout,
            inode.kind.mode_bits() | inode.mode,
            inode.size,
            inode.word,
            inode.number,
            inode.uid,
            inode.gid,
            inode.mtime.seconds,
            inode.mtime.nanoseconds,
            inode.links,
            inode.xattr_len,
        )?;
        self.dump_xattrs(inode, out)?;
        match inode.kind {
            FileKind::File => self.dump_addresses(inode, out),
            FileKind::Directory => self.dump_directory(inode, out),
            FileKind::Symlink => match self.read_target(inode) {
                Ok(target) => {
                    let offset = inode.end();
                    writeln!(out, "{offset:#010x}   target {}", Shown(&target))
                }
                Err(error) => dump_error(&error, out),
            },
            _ => Ok(()),
        }
    }

    fn dump_xattrs(&self, inode: &Inode, out: &mut impl Write) -> fmt::Result {
        let offset = inode.offset.saturating_add(inode.header_len());
        match self.read_xattrs(inode) {
            Ok(xattrs) => xattrs.iter().try_for_each(|xattr| {
                let (name, value) = (Shown(&xattr.name), Shown(&xattr.value));
                writeln!(out, "{offset:#010x}   xattr {name} = {value}")
            }),
            Err(error) => dump_error(&error, out),
        }
    }

    fn dump_addresses(&self, inode: &Inode, out: &mut impl Write) -> fmt::Result {
        let addresses = match self.chunk_addresses(inode) {
            Ok(addresses) => addresses,
            Err(error) => return dump_error(&error, out),
        };
        for (number, address) in addresses.iter().enumerate() {
            let offset = view::element_offset(inode.chunk_addresses(), number, ChunkAddress::LEN);
            let ChunkAddress {
                device,
                index,
                startblk,
            } = ChunkAddress::from_bytes(address);
            writeln!(
                out,
                "{offset:#010x}   chunk address {number}: device={device} index={index} \
                 startblk={startblk}"
            )?;
        }
        Ok(())
    }

    fn dump_directory(&self, inode: &Inode, out: &mut impl Write) -> fmt::Result {
        let directory = match self.directory(inode) {
            Ok(directory) => directory,
            Err(error) => return dump_error(&error, out),
        };
        for block in directory.blocks() {
            let block = match block {
                Ok(block) => block,
                Err((_, error)) => {
                    dump_error(&error, out)?;
                    continue;
                }
            };
            for entry in (0..block.len()).map(|index| block.entry(index)) {
                match entry {
                    Ok(entry) => writeln!(
                        out,
                        "{:#010x}   entry {}: nid={} type={}",
                        entry.offset,
                        Shown(entry.name),
                        entry.nid,
                        entry.kind
                    )?,
                    Err(error) => dump_error(&error, out)?,
                }
            }
        }
        Ok(())
    }
}

fn dump_error(error: &dyn std::error::Error, out: &mut impl Write) -> fmt::Result {
    writeln!(out, "! {}", Chain(error))
}

fn dump_entry(index: usize, offset: u64, entry: &BlobEntry, out: &mut impl Write) -> fmt::Result {
    let encrypted =
        entry.cipher != Cipher::None || entry.features.contains(BlobFeatures::ENCRYPTED);
    writeln!(
        out,
        "{offset:#010x} blob {index}: id={} chunk_size={} chunks={} compressor={:?} digester={:?} \
         features={:#x} compressed_size={} uncompressed_size={} toc_size={} toc_digest={} \
         ci={}+{} ci_uncompressed_size={} ci_compressor={:?} meta_digest={} meta_size={} \
         cipher={:?}",
        entry.id,
        entry.chunk_size,
        entry.chunk_count,
        entry.compressor,
        entry.digester,
        entry.features.bits(),
        entry.compressed_size,
        entry.uncompressed_size,
        entry.toc_size,
        Hex(&entry.toc_digest),
        entry.ci_offset,
        entry.ci_compressed_size,
        entry.ci_uncompressed_size,
        entry.ci_compressor,
        // The key of an encrypted blob is kept there, and not shown.
        if encrypted {
            Hex(&[])
        } else {
            Hex(&entry.meta_digest)
        },
        entry.meta_size,
        entry.cipher,
    )
}

/// Bytes in hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The first bytes of a value, escaped.
struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(SHOWN)];
        write!(f, "\"{}\"", shown.escape_ascii())?;
        if shown.len() < self.0.len() {
            write!(f, "... ({} bytes)", self.0.len())?;
        }
        Ok(())
    }
}

/// An error with its causes.
struct Chain<'a>(&'a dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut next = Some(self.0);
        let mut separator = "";
        while let Some(error) = next {
            write!(f, "{separator}{error}")?;
            separator = ": ";
            next = error.source();
        }
        Ok(())
    }
}
