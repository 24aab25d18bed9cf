//! Tables of a planned bootstrap, and what must hold for their entries.

use erofs_format::DeviceSlot;
use image_model::ChunkedImage;

use crate::flags::{BlobFeatures, Cipher, Compat, SuperFlags};
use crate::layout::{EncodeError, LayoutOptions};
use crate::native::is_tarfs;
use crate::v6::blob_entry::BlobEntry;
use crate::v6::bootstrap::MAX_BLOBS;
use crate::v6::device;
use crate::v6::ext_superblock::ExtSuperblock;
use crate::view;
use erofs_format::BlockSize;

/// Checks blob table entries as readers will.
pub(super) fn check_entries(
    image: &ChunkedImage,
    entries: &[BlobEntry],
    options: &LayoutOptions,
) -> Result<(), EncodeError> {
    let (count, blobs) = (entries.len(), image.blobs.len());
    if count > usize::from(MAX_BLOBS) {
        return Err(EncodeError::TooManyBlobs { count });
    }
    if count != blobs {
        let entries = count;
        return Err(EncodeError::BlobCount { entries, blobs });
    }
    for (index, entry) in (0u32..).zip(entries) {
        let len = entry.id.as_str().len();
        if len > 64 {
            return Err(EncodeError::BlobIdLength { index, len });
        }
        let earlier = (0u32..index).zip(entries);
        if let Some((first, _)) = earlier.clone().find(|(_, earlier)| earlier.id == entry.id) {
            return Err(EncodeError::DuplicateBlob { first, index });
        }
        let bytes = entry.to_bytes(index);
        BlobEntry::from_bytes(&bytes, index, 0, options.chunk_size)
            .map_err(|source| EncodeError::BlobEntry { index, source })?;
        let has = |feature| entry.features.contains(feature);
        if is_tarfs(entry) != options.tarfs {
            return Err(EncodeError::Tarfs { index });
        }
        let readable = entry.is_encrypted() && !options.tarfs;
        if (has(BlobFeatures::ENCRYPTED) || entry.cipher != Cipher::None) && !readable {
            let feature = "an encrypted blob";
            return Err(EncodeError::Unsupported { index, feature });
        }
    }
    Ok(())
}

/// The extended superblock but for the chunk table and what inodes have.
pub(super) fn plan(entries: &[BlobEntry], options: &LayoutOptions) -> ExtSuperblock {
    let mut flags = options.compressor.super_flag() | options.digester.super_flag();
    let encrypted = entries.iter().any(BlobEntry::is_encrypted);
    match options.compat {
        Compat::V2_4 if encrypted => flags = flags | SuperFlags::ENCRYPTION_AES_128_XTS,
        Compat::V2_4 => flags = flags | SuperFlags::ENCRYPTION_NONE,
        Compat::V2_2 => {}
    }
    if options.explicit_ids {
        flags = flags | SuperFlags::EXPLICIT_UID_GID;
    }
    if options.tarfs {
        flags = flags | SuperFlags::TARFS_MODE;
    }
    let inlined = BlobFeatures::INLINED_CHUNK_DIGEST;
    if entries.iter().all(|entry| entry.features.contains(inlined)) {
        flags = flags | SuperFlags::INLINED_CHUNK_DIGEST;
    }
    let devices_end = view::element_offset(device::OFFSET, entries.len(), DeviceSlot::LEN);
    let field = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    let mut ext = ExtSuperblock {
        flags,
        blob_table_offset: view::align(devices_end, 4096),
        blob_table_size: field(entries.len().saturating_mul(BlobEntry::LEN)),
        chunk_size: options.chunk_size,
        chunk_table_offset: 0,
        chunk_table_size: 0,
        prefetch_table_offset: 0,
        prefetch_table_size: 0,
    };
    if !entries.is_empty() && !options.prefetch.is_empty() {
        ext.prefetch_table_offset = ext.blob_table().end;
        ext.prefetch_table_size = field(options.prefetch.len().saturating_mul(4));
    }
    ext
}

pub(super) fn plan_devices(
    entries: &[BlobEntry],
    compat: Compat,
    block_size: BlockSize,
    bootstrap_len: u64,
) -> Result<Vec<DeviceSlot>, EncodeError> {
    let mut position = bootstrap_len;
    let mut sum = 0u32;
    let plan = |(index, entry): (u32, &BlobEntry)| {
        let wrong = EncodeError::DeviceSize {
            index,
            uncompressed_size: entry.uncompressed_size,
        };
        let blocks = block_size.whole_in(entry.uncompressed_size);
        let mapped = block_size.whole_in(view::align(position, device::ALIGNMENT));
        let end = mapped.saturating_add(blocks);
        position = end.saturating_mul(block_size.bytes());
        match (u32::try_from(blocks), u32::try_from(mapped)) {
            (Ok(blocks @ 1..), Ok(mapped)) => {
                sum = sum.checked_add(blocks).ok_or(wrong)?;
                let mapped = match compat {
                    Compat::V2_2 => 0,
                    Compat::V2_4 => mapped,
                };
                Ok(DeviceSlot::new(entry.id.as_str(), blocks, mapped))
            }
            _ => Err(wrong),
        }
    };
    (0u32..).zip(entries).map(plan).collect()
}
