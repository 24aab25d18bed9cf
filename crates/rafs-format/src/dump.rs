//! What a dump of a bootstrap of either version tells.

use image_model::width::u64_from;

use crate::chunk_record::ChunkRecord;

pub(crate) use image_model::dump::Teller;
#[cfg(feature = "serde")]
pub use image_model::dump::{DUMP_VERSION, Document, Stopped, Tell};
pub use image_model::dump::{Dumped, FieldValue, Structure};

/// Tells of the record of a chunk, which is number `position` of its list.
pub(crate) fn record<E>(
    teller: &mut Teller<'_, E>,
    offset: u64,
    position: usize,
    record: &ChunkRecord,
) -> Result<(), E> {
    teller.structure(
        offset,
        ("chunk", Some(u64_from(position))),
        &[
            ("digest", FieldValue::Bytes(&record.digest)),
            ("blob_index", record.blob_index.into()),
            ("flags", FieldValue::Word(record.flags.bits().into())),
            ("compressed_size", record.compressed_size.into()),
            ("uncompressed_size", record.uncompressed_size.into()),
            ("compressed_offset", record.compressed_offset.into()),
            ("uncompressed_offset", record.uncompressed_offset.into()),
            ("file_offset", record.file_offset.into()),
            ("index", record.index.into()),
            ("crc32", FieldValue::Word(record.crc32.into())),
        ],
    )
}
