//! The device table: where the kernel finds content that is not in the image.

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::StructureError;
use crate::view;

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawDeviceSlot {
    tag: [u8; 64],
    blocks: U32,
    mapped_blkaddr: U32,
    reserved: [u8; 56],
}

const _: () = assert!(size_of::<RawDeviceSlot>() == DeviceSlot::LEN);

/// A slot of the device table, 128 bytes.
///
/// | offset | size | field | unit and rule |
/// |---|---|---|---|
/// | 0 | 64 | tag | name of the device, zero padded; RAFS: the blob's id; mkfs.erofs: empty, or for a tar a UUID |
/// | 64 | 4 | blocks | blocks of the device; RAFS: of the blob's uncompressed address space, rounded down |
/// | 68 | 4 | mapped_blkaddr | first block when image and devices are one address space; 0: not in it |
/// | 72 | 56 | reserved | 0, not read |
///
/// Source: Linux `fs/erofs/erofs_fs.h` (`erofs_deviceslot`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceSlot {
    /// Name of the device.
    tag: [u8; 64],
    /// Blocks of the device.
    pub blocks: u32,
    /// First block when image and devices are one; 0 where that was not planned for.
    pub mapped_blkaddr: u32,
}

impl DeviceSlot {
    /// Size of a slot in bytes.
    pub const LEN: usize = 128;

    /// A slot for the device called `id`, which is cut at 64 bytes.
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

    /// Name of the device, as stored.
    #[must_use]
    pub fn tag(&self) -> &[u8] {
        view::text(&self.tag)
    }

    /// Reads the slot at `offset` of `image`.
    ///
    /// # Errors
    /// [`StructureError::Truncated`] if it leaves the image.
    pub fn read(image: &[u8], offset: u64) -> Result<Self, StructureError> {
        let raw: &RawDeviceSlot = view::record(image, "device slot", offset)?;
        Ok(Self {
            tag: raw.tag,
            blocks: raw.blocks.get(),
            mapped_blkaddr: raw.mapped_blkaddr.get(),
        })
    }

    /// The slot as stored.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        zerocopy::transmute!(RawDeviceSlot {
            tag: self.tag,
            blocks: self.blocks.into(),
            mapped_blkaddr: self.mapped_blkaddr.into(),
            reserved: [0; 56],
        })
    }
}
