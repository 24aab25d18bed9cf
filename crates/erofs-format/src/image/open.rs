//! Opening: superblock, device table, long prefixes.

use image_model::width::{u64_from, usize_from};
use image_model::{Blob, BlobId, BlobIndex, FileKind, Limits};

use super::{ErofsImage, Mapped};
use crate::device_slot::DeviceSlot;
use crate::error::{At, DecodeError, StructureError, limit};
use crate::source::MetadataBytes;
use crate::superblock::Superblock;
use crate::view;
use crate::xattr::{LongPrefixes, MAX_LONG_PREFIX_LEN};

/// Binary logarithms of the block sizes.
const BLOCK_SIZES: (&[u8], &str) = (&[9, 10, 11, 12, 13, 14, 15, 16], "9 to 16");

/// Features that are known, needed or not to read what is not compressed.
const KNOWN: u32 = Superblock::INCOMPAT_ZERO_PADDING
    | Superblock::INCOMPAT_CHUNKED_FILE
    | Superblock::INCOMPAT_DEVICE_TABLE
    | Superblock::INCOMPAT_FRAGMENTS
    | Superblock::INCOMPAT_XATTR_PREFIXES;

/// Features that are known by name only.
const UNSUPPORTED: [(u32, &str); 4] = [
    (Superblock::INCOMPAT_COMPRESSION, "compressed files"),
    (
        Superblock::INCOMPAT_ZTAILPACKING,
        "tails of compressed files",
    ),
    (Superblock::INCOMPAT_48BIT, "addresses of 48 bits"),
    (Superblock::INCOMPAT_METABOX, "compressed metadata"),
];

impl ErofsImage {
    /// Opens the image whose bytes `source` provides.
    ///
    /// # Errors
    /// [`DecodeError`] if superblock, device table or long prefixes are damaged, the root is not a directory,
    /// beyond `limits`, or if the image has features that are not supported: compressed files, addresses
    /// of 48 bits.
    pub fn open(
        source: impl MetadataBytes + 'static,
        limits: &Limits,
    ) -> Result<Self, DecodeError> {
        let superblock = Superblock::OFFSET.saturating_add(u64_from(Superblock::LEN));
        let len = source.len().map_err(|source| DecodeError::Read {
            offset: 0,
            len: superblock,
            source,
        })?;
        let mut image = Self {
            source: Box::new(source),
            len,
            limits: limits.clone(),
            superblock: Superblock::new(crate::BlockSize::B4096),
            devices: Vec::new(),
            mapped: Vec::new(),
            prefixes: LongPrefixes::default(),
            blobs: Vec::new(),
        };
        let head = image.read("superblock", 0, superblock)?;
        image.superblock = Superblock::read(&head, BLOCK_SIZES)?;
        check_features(&image.superblock)?;
        image.check_checksum()?;
        image.read_devices()?;
        image.map_devices()?;
        image.read_prefixes()?;
        image.name_blobs();
        let root = image.inode(image.root_ino())?;
        let rule = "that of a directory for the root";
        let holds = root.kind == FileKind::Directory;
        let mode = root.kind.mode_bits();
        At::new("inode", root.offset).require(holds, "i_mode", mode, rule)?;
        Ok(image)
    }

    fn check_checksum(&self) -> Result<(), DecodeError> {
        let superblock = &self.superblock;
        if superblock.feature_compat & Superblock::COMPAT_CHECKSUM == 0 {
            return Ok(());
        }
        let len = Superblock::checksummed(superblock.block_size);
        let end = Superblock::OFFSET.saturating_add(len);
        let block = self.read("superblock", 0, end)?;
        let found = superblock.checksum;
        match Superblock::checksum_of(&block, superblock.block_size) {
            Some(expected) if expected != found => Err(DecodeError::Checksum { found, expected }),
            _ => Ok(()),
        }
    }

    fn read_devices(&mut self) -> Result<(), DecodeError> {
        let superblock = &self.superblock;
        let count = superblock.extra_devices;
        if count == 0 || superblock.feature_incompat & Superblock::INCOMPAT_DEVICE_TABLE == 0 {
            return Ok(());
        }
        limit("devices", count.into(), self.limits.max_blobs.into())?;
        let start = superblock.device_table();
        let len = view::element_offset(0, count.into(), DeviceSlot::LEN);
        let table = self.read("device table", start, len)?;
        for index in 0..usize::from(count) {
            let offset = view::element_offset(0, index, DeviceSlot::LEN);
            self.devices.push(DeviceSlot::read(&table, offset)?);
        }
        Ok(())
    }

    /// Finds where the devices are that addresses of the image lead into.
    fn map_devices(&mut self) -> Result<(), StructureError> {
        let block_size = self.superblock.block_size;
        for (number, slot) in (1u32..).zip(&self.devices) {
            if slot.mapped_blkaddr != 0 && slot.blocks != 0 && !self.holds(slot) {
                let start = block_size.bytes_in(slot.mapped_blkaddr);
                self.mapped.push(Mapped {
                    start,
                    end: start.saturating_add(block_size.bytes_in(slot.blocks)),
                    blob: BlobIndex(number),
                });
            }
        }
        self.mapped.sort_by_key(|place| place.start);
        for pair in self.mapped.windows(2) {
            if let [first, second] = pair
                && second.start < first.end
            {
                let index = usize_from(second.blob.0.saturating_sub(1));
                let table = self.superblock.device_table();
                let offset = view::element_offset(table, index, DeviceSlot::LEN);
                let found = block_size.whole_in(second.start);
                let rule = "outside of the blocks that another device has";
                return Err(At::new("device slot", offset).wrong("mapped_blkaddr", found, rule));
            }
        }
        Ok(())
    }

    fn read_prefixes(&mut self) -> Result<(), DecodeError> {
        let superblock = &self.superblock;
        let feature = superblock.feature_incompat & Superblock::INCOMPAT_XATTR_PREFIXES;
        if feature == 0 {
            return Ok(());
        }
        let packed = superblock.feature_incompat & Superblock::INCOMPAT_FRAGMENTS != 0
            && superblock.packed_nid != 0
            && superblock.feature_compat & Superblock::COMPAT_PLAIN_XATTR_PREFIXES == 0;
        let mut prefixes = LongPrefixes::default();
        let mut position = u64::from(superblock.xattr_prefix_start) << 2;
        let packed = match packed {
            true => Some(self.inode(image_model::Ino(superblock.packed_nid))?),
            false => None,
        };
        let end = packed.as_ref().map_or(self.len, |inode| inode.size);
        for _ in 0..superblock.xattr_prefix_count {
            let len = MAX_LONG_PREFIX_LEN.min(end.saturating_sub(position));
            let (bytes, offset) = match &packed {
                Some(inode) => (
                    self.read_flat(inode, position, len)?,
                    self.flat_place(inode, position)?.0,
                ),
                None => (self.read("long prefix", position, len)?, position),
            };
            let taken = prefixes.push(&bytes, offset)?;
            position = position.saturating_add(taken);
        }
        self.prefixes = prefixes;
        Ok(())
    }

    fn name_blobs(&mut self) {
        let mut image = Blob::new(BlobId::new(b"image").expect("a valid id"));
        image.stored_len = Some(self.len);
        self.blobs.push(image);
        for (number, slot) in (1u32..).zip(&self.devices) {
            let name = BlobId::new(slot.tag());
            let name = name.or_else(|_| BlobId::new(format!("device-{number}").as_bytes()));
            let mut blob = Blob::new(name.expect("a number is visible"));
            let len = self.superblock.block_size.bytes_in(slot.blocks);
            blob.decoded_len = Some(len);
            self.blobs.push(blob);
        }
    }
}

fn check_features(superblock: &Superblock) -> Result<(), StructureError> {
    let at = At::new("superblock", Superblock::OFFSET);
    let found = superblock.feature_incompat;
    for (bit, name) in UNSUPPORTED {
        if found & bit != 0 {
            return Err(at.unsupported(name));
        }
    }
    if found & !KNOWN != 0 {
        return Err(at.unsupported("features that are not known"));
    }
    if superblock.dirblkbits != 0 {
        return Err(at.unsupported("directory blocks of several blocks"));
    }
    Ok(())
}
