//! What a dump of a bootstrap of either version tells.

mod structure;

use std::error::Error;

use image_model::width::u64_from;

use crate::chunk_record::ChunkRecord;
use crate::view;

pub use structure::{Dumped, FieldValue, Structure};

/// A field and its value.
pub(crate) type Field<'a> = (&'static str, FieldValue<'a>);

/// Who hears of the structures.
pub(crate) struct Teller<'a, E> {
    pub(crate) tell: &'a mut dyn FnMut(Dumped<'_>) -> Result<(), E>,
}

impl<E> Teller<'_, E> {
    pub(crate) fn structure(
        &mut self,
        offset: u64,
        (name, index): (&'static str, Option<u64>),
        fields: &[Field<'_>],
    ) -> Result<(), E> {
        (self.tell)(Dumped::Structure(Structure {
            offset,
            name,
            index,
            fields,
        }))
    }

    /// An element of a table of which `offset` is the start and `len` the length of an element.
    pub(crate) fn element(
        &mut self,
        (offset, len): (u64, usize),
        (name, index): (&'static str, usize),
        fields: &[Field<'_>],
    ) -> Result<(), E> {
        let offset = view::element_offset(offset, index, len);
        self.structure(offset, (name, Some(u64_from(index))), fields)
    }

    /// The record of a chunk, which is number `position` of its list.
    pub(crate) fn record(
        &mut self,
        offset: u64,
        position: usize,
        record: &ChunkRecord,
    ) -> Result<(), E> {
        self.structure(
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

    pub(crate) fn unreadable(&mut self, error: &(dyn Error + 'static)) -> Result<(), E> {
        (self.tell)(Dumped::Unreadable(error))
    }
}
