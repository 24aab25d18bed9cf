//! The chunk information of a blob, for people and programs that look into one.

use std::fmt;

use image_model::BlobIndex;
use image_model::width::usize_from;

use super::batch_context::BatchContext;
use super::chunk_info::ChunkExtra;
use super::meta::{BlobMeta, entry_len};
use super::zran_context::ZranContext;
use crate::dump::{Dumped, FieldValue, Teller};

impl BlobMeta {
    /// Prints every [structure](Self::structures) with its offset, one per line. What cannot be read is a
    /// line that begins with `!` and says why.
    ///
    /// # Errors
    /// Errors of `out`.
    pub fn dump(&self, blob: BlobIndex, out: &mut impl fmt::Write) -> fmt::Result {
        self.structures(blob, &mut |dumped| writeln!(out, "{dumped}"))
    }

    /// Tells every structure: the chunk information of blob number `blob`, which this is, by its offset in the file, and
    /// then each entry and each context by its offset in the plain chunk information.
    ///
    /// # Errors
    /// Any error of `tell` ends it.
    pub fn structures<E>(
        &self,
        blob: BlobIndex,
        tell: &mut dyn FnMut(Dumped<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut teller = Teller { tell };
        let entry = self.blob();
        teller.structure(
            entry.ci_offset,
            ("chunk information", Some(blob.0.into())),
            &[
                ("blob", FieldValue::Text(entry.id.as_str().as_bytes())),
                ("entries", self.chunk_count().into()),
                ("contexts", self.context_count().into()),
            ],
        )?;
        for index in 0..self.chunk_count() {
            self.tell_chunk(index, &mut teller)?;
        }
        for index in 0..self.context_count() {
            self.tell_context(index, &mut teller)?;
        }
        Ok(())
    }

    fn tell_chunk<E>(&self, index: u32, teller: &mut Teller<'_, E>) -> Result<(), E> {
        let chunk = match self.chunk(index) {
            Ok(chunk) => chunk,
            Err(error) => return teller.unreadable(&error),
        };
        let (kind, context, data) = match chunk.extra {
            ChunkExtra::None => ("alone", 0, 0),
            ChunkExtra::Crc32c(crc32c) => ("crc32c", 0, crc32c),
            ChunkExtra::Zran { context, offset } => ("zran", context, offset),
            ChunkExtra::Batch { context, offset } => ("batch", context, offset),
        };
        let len = usize_from(u32::try_from(entry_len(self.blob())).unwrap_or(u32::MAX));
        teller.element(
            (0, len),
            ("chunk entry", usize_from(index)),
            &[
                ("address", chunk.address.into()),
                ("len", chunk.len.into()),
                ("offset", chunk.offset.into()),
                ("stored_len", chunk.stored_len.into()),
                ("compressed", u32::from(chunk.compressed).into()),
                ("encrypted", u32::from(chunk.encrypted).into()),
                ("kind", FieldValue::Name(kind)),
                ("context", context.into()),
                ("data", data.into()),
            ],
        )
    }

    fn tell_context<E>(&self, index: u32, teller: &mut Teller<'_, E>) -> Result<(), E> {
        let entries = u64::from(self.chunk_count()).saturating_mul(entry_len(self.blob()));
        debug_assert_eq!(ZranContext::LEN, BatchContext::LEN);
        let table = (entries, ZranContext::LEN);
        let position = usize_from(index);
        let found = self
            .context(index)
            .and_then(|zran| Ok((zran, self.batch(index)?)));
        match found {
            Err(error) => teller.unreadable(&error),
            Ok((Some(context), _)) => teller.element(
                table,
                ("zran context", position),
                &[
                    ("in_offset", context.in_offset.into()),
                    ("out_offset", context.out_offset.into()),
                    ("dict_offset", context.dict_offset.into()),
                    ("in_size", context.in_len.into()),
                    ("out_size", context.out_len.into()),
                    ("dict_size", context.dict_len.into()),
                    ("ctx_byte", FieldValue::Word(context.byte.into())),
                    ("ctx_bits", context.bits.into()),
                ],
            ),
            Ok((None, Some((batch, offset)))) => teller.element(
                table,
                ("batch context", position),
                &[
                    ("offset", offset.into()),
                    ("compressed_size", batch.stored_len.into()),
                    ("uncompressed_batch_size", batch.len.into()),
                ],
            ),
            Ok((None, None)) => Ok(()),
        }
    }
}
