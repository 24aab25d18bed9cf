//! The EROFS device table: where the kernel finds data blobs.

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::{At, DecodeError};
use crate::view;

/// First byte of the device table.
pub(crate) const OFFSET: u64 = 1408;

/// Addresses of devices are multiples of 512 KiB.
pub(crate) const ALIGNMENT: u64 = 0x8_0000;

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct RawDeviceSlot {
    tag: [u8; 64],
    blocks: U32,
    mapped_blkaddr: U32,
    reserved: [u8; 56],
}

const _: () = assert!(size_of::<RawDeviceSlot>() == DeviceSlot::LEN);

/// A slot of the device table, 128 bytes, one for each data blob in the order of the blob table.
///
/// | offset | size | field | unit and rule |
/// |---|---|---|---|
/// | 0 | 64 | tag | the blob's id, zero padded; not compared by nydus |
/// | 64 | 4 | blocks | blocks of the blob's uncompressed address space, rounded down; not 0 |
/// | 68 | 4 | mapped_blkaddr | first block in the flattened address space; 0 by nydus 2.2 |
/// | 72 | 56 | reserved | 0, not read |
///
/// Source: Linux `fs/erofs/erofs_fs.h` (`erofs_deviceslot`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceSlot {
    /// Name of the blob.
    tag: [u8; 64],
    /// Blocks of the blob's uncompressed address space.
    pub blocks: u32,
    /// First block when bootstrap and blobs are one device; 0 where that was not planned for.
    pub mapped_blkaddr: u32,
}

impl DeviceSlot {
    /// Bytes of a slot.
    pub const LEN: usize = 128;

    /// A slot for the blob called `id`, which is cut at 64 bytes.
    #[must_use]
    pub fn new(id: &str, blocks: u32, mapped_blkaddr: u32) -> Self {
        let mut tag = [0; 64];
        for (to, from) in tag.iter_mut().zip(id.bytes()) {
            *to = from;
        }
        Self {
            tag,
            blocks,
            mapped_blkaddr,
        }
    }

    /// Name of the blob, as stored.
    #[must_use]
    pub fn tag(&self) -> &[u8] {
        view::text(&self.tag)
    }

    pub(crate) fn from_raw(raw: &RawDeviceSlot, offset: u64) -> Result<Self, DecodeError> {
        let at = At::new("device slot", offset);
        at.require(raw.blocks != 0, "blocks", raw.blocks, "not 0")?;
        Ok(Self {
            tag: raw.tag,
            blocks: raw.blocks.get(),
            mapped_blkaddr: raw.mapped_blkaddr.get(),
        })
    }

    pub(crate) fn to_raw(self) -> RawDeviceSlot {
        let mut raw = RawDeviceSlot::new_zeroed();
        raw.tag = self.tag;
        raw.blocks = self.blocks.into();
        raw.mapped_blkaddr = self.mapped_blkaddr.into();
        raw
    }
}
