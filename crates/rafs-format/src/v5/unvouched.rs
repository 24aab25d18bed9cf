//! Bytes of a blob that may change although every digest in the bootstrap still holds.

use std::ops::Range;

use image_model::BlobIndex;

use super::bootstrap::Bootstrap;
use crate::chunk_record::{ChunkFlags, ChunkRecord};

impl Bootstrap {
    /// Tells `range`, in their order, which of the bytes `data` of blob number `blob`, those in which
    /// its chunks lie, nothing in the bootstrap vouches for:
    ///
    /// * compressed chunks: a digest vouches for what they decode to, and other bytes can decode to the
    ///   same (bits of a frame's header that decoders ignore, a match that refers to equal bytes
    ///   elsewhere);
    /// * what no file has: chunks of other images, and bytes between chunks. The blob itself does not
    ///   tell them apart.
    ///
    /// A digest of the whole blob, such as its name, vouches for all of them. It takes 16 bytes for each
    /// chunk of a file while it runs.
    pub fn unvouched(&self, blob: BlobIndex, data: Range<u64>, range: &mut dyn FnMut(Range<u64>)) {
        let is_plain = |record: &ChunkRecord| {
            let flags = record.flags;
            record.blob_index == blob.0 && !flags.contains(ChunkFlags::COMPRESSED)
        };
        let records = self.file_records().map(|(_, record)| record);
        let mut plain: Vec<_> = records
            .filter(is_plain)
            .map(|record| (record.compressed_offset, record.compressed_size))
            .collect();
        plain.sort_unstable();
        let mut at = data.start;
        for (start, len) in plain {
            let before = at..start.min(data.end);
            if !before.is_empty() {
                range(before);
            }
            at = at.max(start.saturating_add(len.into()));
        }
        if at < data.end {
            range(at..data.end);
        }
    }
}
