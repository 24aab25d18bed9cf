//! Superblocks, device table, blob table.

use erofs_format::{DeviceSlot, Superblock};
use image_model::width::u64_from;
use zerocopy::IntoBytes;

use super::{Checker, TreeSeen};
use crate::check::Inconsistency;
use crate::error::At;
use crate::flags::{BlobFeatures, SuperFlags};
use crate::native::{is_tarfs, unknown_mode};
use crate::v6::blob_entry::BlobEntry;
use crate::v6::device;
use crate::v6::{ext_superblock, superblock};
use crate::view;

/// Who wrote the lengths and counts that are taken as they are.
const OLD_RELEASES: &str = "nydus-image 2.0 and 2.1";

/// What they wrote as the count of blocks, whatever that is.
const OLD_BLOCKS: u32 = 4096;

const SUPERBLOCK: (&str, u64) = ("superblock", Superblock::OFFSET);

impl Checker<'_> {
    pub(super) fn tables(&mut self) {
        self.superblocks();
        self.devices();
        for index in 0..self.bootstrap.entries.len() {
            self.blob_entry(index);
        }
        let ext = &self.bootstrap.ext;
        for (what, range) in [
            ("blob table", ext.blob_table()),
            ("prefetch table", ext.prefetch_table()),
            ("chunk table", ext.chunk_table()),
        ] {
            let len = range.end.saturating_sub(range.start);
            self.space.take(what, range.start, len);
        }
    }

    fn superblocks(&mut self) {
        let bootstrap = self.bootstrap;
        let (superblock, ext) = (&bootstrap.superblock, &bootstrap.ext);
        self.reserved(SUPERBLOCK, &superblock::used_part(superblock));
        let offset = ext_superblock::OFFSET;
        self.reserved(("extended superblock", offset), ext.to_raw().as_bytes());
        self.space
            .take("superblock", Superblock::OFFSET, superblock::LEN);
        self.space
            .take("extended superblock", offset, ext_superblock::LEN);

        let compat = superblock.feature_compat;
        self.expect(SUPERBLOCK, "feature_compat", compat.into(), 0x4000_0000);
        let blocks = bootstrap.devices.iter().map(|slot| u64::from(slot.blocks));
        let (found, expected) = (superblock.blocks, blocks.sum());
        if found == OLD_BLOCKS && expected != u64::from(OLD_BLOCKS) {
            self.release(OLD_RELEASES, "4096 as the superblock's count of blocks");
        } else {
            self.expect(SUPERBLOCK, "blocks", found.into(), expected);
        }

        let inlined = BlobFeatures::INLINED_CHUNK_DIGEST;
        let all = bootstrap
            .entries
            .iter()
            .all(|e| e.features.contains(inlined));
        self.expect_flag(SuperFlags::INLINED_CHUNK_DIGEST, all);
    }

    fn expect_flag(&mut self, flag: SuperFlags, expected: bool) {
        let flags = self.bootstrap.ext.flags;
        if flags.contains(flag) != expected {
            let structure = ("extended superblock", ext_superblock::OFFSET);
            let found = flags.bits();
            self.expect(structure, "flags", found, found ^ flag.bits());
        }
    }

    /// Compares a structure with what is stored: they differ in reserved bytes only.
    fn reserved(&mut self, (structure, offset): (&'static str, u64), written: &[u8]) {
        if self.is_stored(structure, offset, written) == Some(false) {
            self.report(offset, Inconsistency::Reserved { structure });
        }
    }

    /// Compares an extended inode with what is stored.
    pub(super) fn reserved_of_inode(&mut self, offset: u64, written: &[u8]) -> bool {
        self.is_stored("inode", offset, written) != Some(false)
    }

    /// Whether the bytes at `offset` are `written`; `None` if they leave the bootstrap.
    fn is_stored(&self, structure: &'static str, offset: u64, written: &[u8]) -> Option<bool> {
        let len = u64_from(written.len());
        let stored = view::slice(&self.bootstrap.bytes, structure, offset, len);
        Some(stored.ok()? == written)
    }

    fn devices(&mut self) {
        let bootstrap = self.bootstrap;
        let block_size = bootstrap.superblock.block_size;
        let mut free = u64_from(bootstrap.bytes.len());
        for (index, slot) in bootstrap.devices.iter().enumerate() {
            let offset = view::element_offset(device::OFFSET, index, DeviceSlot::LEN);
            let structure = ("device slot", offset);
            self.space
                .take("device slot", offset, u64_from(DeviceSlot::LEN));
            self.reserved(structure, &slot.to_bytes());
            let entry = &bootstrap.entries[index];
            if slot.tag() != entry.id.as_str().as_bytes() {
                self.report(offset, Inconsistency::DeviceTag);
            }
            let blocks = block_size.whole_in(entry.uncompressed_size);
            self.expect(structure, "blocks", slot.blocks.into(), blocks);
            let mapped = block_size.bytes_in(slot.mapped_blkaddr);
            if slot.mapped_blkaddr != 0 && mapped < free {
                let found = slot.mapped_blkaddr.into();
                self.expect(
                    structure,
                    "mapped_blkaddr",
                    found,
                    free.div_ceil(block_size.bytes()),
                );
            }
            free = free.max(mapped.saturating_add(block_size.bytes_in(slot.blocks)));
        }
    }

    fn blob_entry(&mut self, index: usize) {
        let entry = &self.bootstrap.entries[index];
        let offset =
            view::element_offset(self.bootstrap.ext.blob_table_offset, index, BlobEntry::LEN);
        let at = At::new("blob table entry", offset);
        let position = u32::try_from(index).expect("at most 254 entries");
        self.reserved((at.structure, offset), &entry.to_bytes(position));
        if let Some(feature) = unknown_mode(entry) {
            self.report(offset, at.unsupported(feature));
        }
        if leaves_out_chunk_information(entry) {
            let what = "a blob length that does not count the chunk information";
            self.release(OLD_RELEASES, what);
        }
        for result in [
            check_sizes(entry, at),
            check_toc(entry, at),
            check_unused(entry, at),
        ] {
            if let Err(error) = result {
                self.report(offset, error);
            }
        }
    }

    /// Compares counts and flags with the tree.
    pub(super) fn check_counts(&mut self, seen: &TreeSeen) {
        let inos = self.bootstrap.superblock.inos;
        self.expect(SUPERBLOCK, "inos", inos, seen.names);
        // Merged images may have the flag without needing it.
        if seen.has_xattr {
            self.expect_flag(SuperFlags::HAS_XATTR, true);
        }
    }
}

type Checked = Result<(), crate::DecodeError>;

fn check_sizes(entry: &BlobEntry, at: At) -> Checked {
    let plain = entry.uncompressed_size;
    if is_tarfs(entry) {
        let rule = "uncompressed_size, as the blob is a plain tar";
        let stored = entry.compressed_size;
        return at.require(stored == plain, "compressed_size", stored, rule);
    }
    let rule = "a multiple of 4096";
    at.require(plain.is_multiple_of(4096), "uncompressed_size", plain, rule)?;
    if entry.features.contains(BlobFeatures::SEPARATE)
        || entry.ci_compressed_size == 0
        || leaves_out_chunk_information(entry)
    {
        return Ok(());
    }
    // The header of the chunk information follows it.
    let end = entry.ci_offset.checked_add(entry.ci_compressed_size);
    let end = end.and_then(|end| end.checked_add(4096));
    let inside = end.is_some_and(|end| end <= entry.compressed_size);
    let rule = "one that ends, with the header behind it, inside the blob";
    at.require(inside, "ci_offset", entry.ci_offset, rule)
}

/// Whether the blob's length is that of the data before its chunk information.
fn leaves_out_chunk_information(entry: &BlobEntry) -> bool {
    let tarfs = is_tarfs(entry);
    let separate = entry.features.contains(BlobFeatures::SEPARATE);
    !(tarfs || separate) && entry.ci_compressed_size > 0 && entry.ci_offset == entry.compressed_size
}

fn check_toc(entry: &BlobEntry, at: At) -> Checked {
    let size = entry.toc_size;
    let rule = "0, or 512 and 128 for each section";
    let fits = size == 0 || size > 512 && size.is_multiple_of(128);
    at.require(fits, "blob_toc_size", size, rule)?;
    let rule = "0 without a TOC";
    let used = first_used(&entry.toc_digest);
    at.require(size != 0 || used == 0, "blob_toc_digest", used, rule)
}

/// The first byte that is not 0.
fn first_used(bytes: &[u8]) -> u8 {
    bytes.iter().copied().find(|&byte| byte != 0).unwrap_or(0)
}

fn check_unused(entry: &BlobEntry, at: At) -> Checked {
    let has = |feature| entry.features.contains(feature);
    let encrypted = has(BlobFeatures::ENCRYPTED);
    let meta = encrypted || has(BlobFeatures::SEPARATE);
    let rule = "0 for a blob that is neither separate nor encrypted";
    let used = first_used(&entry.meta_digest);
    at.require(meta || used == 0, "blob_meta_digest", used, rule)?;
    at.require(
        meta || entry.meta_size == 0,
        "blob_meta_size",
        entry.meta_size,
        rule,
    )?;
    let rule = "0 for a blob that is not encrypted";
    at.require(
        encrypted || entry.cipher_iv == 0,
        "cipher_iv",
        entry.cipher_iv,
        rule,
    )
}
