//! Where the content of files is.

use std::ops::{ControlFlow, Range};

use image_model::width::{u64_from, usize_from};
use image_model::{BlobIndex, Extent, ExtentSource, FileKind};

use super::ErofsImage;
use crate::chunk_index::ChunkIndex;
use crate::error::{At, DecodeError, StructureError};
use crate::inode::{DataLayout, Inode};

/// Chunk addresses that are read at once.
const BATCH: u64 = 512;

/// The chunk addresses of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChunkMap {
    /// Bytes of each chunk but the last.
    pub(crate) chunk_size: u64,
    pub(crate) count: u64,
    /// First byte of the addresses in the image.
    pub(crate) offset: u64,
    pub(crate) address_len: u64,
}

impl ErofsImage {
    /// The chunk addresses of the file `inode`, all of which lie in the image.
    pub(crate) fn chunk_map(&self, inode: &Inode) -> Result<ChunkMap, StructureError> {
        let chunk_size = 1u64.checked_shl(inode.chunk_bits(&self.superblock));
        let chunk_size = chunk_size.unwrap_or(u64::MAX);
        let address_len = inode.chunk_address_len();
        let map = ChunkMap {
            chunk_size,
            count: inode.size.div_ceil(chunk_size),
            offset: crate::view::align(inode.end(), address_len),
            address_len,
        };
        let len = map.count.saturating_mul(address_len);
        self.require("chunk addresses", map.offset, len)?;
        Ok(map)
    }

    /// Shows the chunk addresses of `numbers`, in order, until `visit` breaks or fails.
    pub(crate) fn each_address<E: From<DecodeError>>(
        &self,
        map: &ChunkMap,
        numbers: Range<u64>,
        visit: &mut dyn FnMut(u64, ChunkIndex) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let end = numbers.end.min(map.count);
        let mut number = numbers.start;
        while number < end {
            let batch = BATCH.min(end.saturating_sub(number));
            let offset = map
                .offset
                .saturating_add(number.saturating_mul(map.address_len));
            let len = batch.saturating_mul(map.address_len);
            let bytes = self.read("chunk addresses", offset, len)?;
            for index in 0..batch {
                let at = usize_from(u32::try_from(index).unwrap_or(0));
                let address = match map.address_len {
                    4 => ChunkIndex {
                        startblk_hi: 0,
                        device_id: 0,
                        startblk: u32::from_le_bytes(bytes.as_chunks().0[at]),
                    },
                    _ => ChunkIndex::from_bytes(&bytes.as_chunks().0[at]),
                };
                if visit(number.saturating_add(index), address)?.is_break() {
                    return Ok(());
                }
            }
            number = number.saturating_add(batch);
        }
        Ok(())
    }

    /// Shows the extents of `inode` that touch `range`.
    pub(crate) fn visit_extents(
        &self,
        inode: &Inode,
        range: Range<u64>,
        visit: &mut dyn FnMut(Extent) -> ControlFlow<()>,
    ) -> Result<(), DecodeError> {
        inode.require_kind(FileKind::File)?;
        let range = range.start..range.end.min(inode.size);
        if range.is_empty() {
            return Ok(());
        }
        match inode.layout {
            DataLayout::Chunked => self.visit_chunks(inode, range, visit),
            DataLayout::Plain | DataLayout::Inline => self.visit_flat(inode, range, visit),
        }
    }

    fn visit_flat(
        &self,
        inode: &Inode,
        range: Range<u64>,
        visit: &mut dyn FnMut(Extent) -> ControlFlow<()>,
    ) -> Result<(), DecodeError> {
        let body = inode.size.saturating_sub(self.tail_len(inode)?);
        if range.start < body {
            let address = self.superblock.block_size.bytes_in(inode.word);
            let extent = self.stored(inode, (0, body), 0, address)?;
            if visit(extent).is_break() {
                return Ok(());
            }
        }
        if range.end > body {
            let len = inode.size.saturating_sub(body);
            self.require("inline data", inode.end(), len)?;
            let source = ExtentSource::Plain {
                blob: BlobIndex(0),
                offset: inode.end(),
            };
            let _ = visit(Extent {
                file_offset: body,
                len,
                source,
            });
        }
        Ok(())
    }

    fn visit_chunks(
        &self,
        inode: &Inode,
        range: Range<u64>,
        visit: &mut dyn FnMut(Extent) -> ControlFlow<()>,
    ) -> Result<(), DecodeError> {
        let map = self.chunk_map(inode)?;
        let first = range.start.checked_div(map.chunk_size).unwrap_or(0);
        let numbers = first..range.end.div_ceil(map.chunk_size);
        self.each_address(&map, numbers, &mut |number, address| {
            Ok(visit(self.chunk_extent(inode, &map, number, address)?))
        })
    }

    /// Chunk `number` of `inode`, which is at `address`.
    pub(crate) fn chunk_extent(
        &self,
        inode: &Inode,
        map: &ChunkMap,
        number: u64,
        address: ChunkIndex,
    ) -> Result<Extent, DecodeError> {
        let file_offset = number.saturating_mul(map.chunk_size);
        let len = map.chunk_size.min(inode.size.saturating_sub(file_offset));
        if address.startblk == ChunkIndex::HOLE {
            return Ok(Extent {
                file_offset,
                len,
                source: ExtentSource::Zeros,
            });
        }
        let device = address.device_id & self.superblock.device_id_mask();
        let offset = map
            .offset
            .saturating_add(number.saturating_mul(map.address_len));
        let at = At::new("chunk address", offset);
        let known = usize::from(device) <= self.devices.len();
        at.require(known, "device_id", device, "a slot of the device table")?;
        let start = self.superblock.block_size.bytes_in(address.startblk);
        self.stored(inode, (file_offset, len), device.into(), start)
    }

    /// The extent of `len` bytes at `file_offset` that are stored at byte `address` of `device`.
    fn stored(
        &self,
        inode: &Inode,
        (file_offset, len): (u64, u64),
        device: u32,
        address: u64,
    ) -> Result<Extent, DecodeError> {
        let (blob, offset, available) = self.locate(device, address);
        let end = offset.checked_add(len);
        if available.is_some_and(|available| end.is_none_or(|end| end > available)) {
            return Err(DecodeError::OutsideDevice {
                offset: inode.offset,
                file_offset,
                address: offset,
                device: blob.0,
                available: available.unwrap_or(u64::MAX),
            });
        }
        let source = ExtentSource::Plain { blob, offset };
        Ok(Extent {
            file_offset,
            len,
            source,
        })
    }

    /// The blob that holds byte `address` of `device`, where it is there, and how long that blob is, if
    /// that is known. Devices that the image maps into its own address space may lie in it, or be found by
    /// an address in it.
    fn locate(&self, device: u32, address: u64) -> (BlobIndex, u64, Option<u64>) {
        let block_size = self.superblock.block_size;
        let slot_of = |device: u32| {
            let index = usize_from(device).checked_sub(1)?;
            self.devices.get(index)
        };
        let own = |address| (BlobIndex(0), address, Some(self.len));
        if let Some(slot) = slot_of(device) {
            if self.holds(slot) {
                let start = block_size.bytes_in(slot.mapped_blkaddr);
                return own(start.saturating_add(address));
            }
            let len = block_size.bytes_in(slot.blocks);
            return (BlobIndex(device), address, (len != 0).then_some(len));
        }
        let before = self.mapped.partition_point(|place| place.start <= address);
        let place = before.checked_sub(1).and_then(|last| self.mapped.get(last));
        match place.filter(|place| address < place.end) {
            Some(place) => (
                place.blob,
                address.saturating_sub(place.start),
                Some(place.end.saturating_sub(place.start)),
            ),
            None => own(address),
        }
    }

    /// Bytes of metadata that belong to `inode`, itself aside.
    pub(crate) fn metadata_len(&self, inode: &Inode) -> Result<u64, StructureError> {
        Ok(match inode.kind {
            FileKind::Directory | FileKind::Symlink => {
                let tail = self.tail_len(inode)?;
                let body = inode.size.saturating_sub(tail);
                let start = self.superblock.block_size.bytes_in(inode.word);
                // Without blocks, the start block means nothing.
                if body != 0 {
                    self.require("data blocks", start, body)?;
                }
                inode.size
            }
            FileKind::File if inode.layout == DataLayout::Chunked => {
                let map = self.chunk_map(inode)?;
                map.count.saturating_mul(map.address_len)
            }
            FileKind::File => self.tail_len(inode)?,
            _ => 0,
        })
    }
}

const _: () = assert!(u64_from(ChunkIndex::LEN) == 8);
