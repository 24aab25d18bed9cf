//! Every structure of an image of version 7.

use std::fmt;

use erofs_format::dump::{Dumped, FieldValue, Teller};
use image_model::width::u64_from;
use image_model::{BlobIndex, Codec, Image as _};

use super::footer::Footer;
use super::groups::Groups;
use super::image::{V7Blob, V7Image};
use super::table_header::TableKind;

impl V7Image {
    /// Prints every [structure](Self::structures) with its offset, one per line. What cannot be read is a line that
    /// begins with `!` and says why. Text is escaped, and shown up to its 64th byte.
    ///
    /// # Errors
    /// Errors of `out`.
    pub fn dump(&self, out: &mut impl fmt::Write) -> fmt::Result {
        self.structures(&mut |dumped| writeln!(out, "{dumped}"))
    }

    /// Tells every structure: of each blob that is known, with offsets in that, then
    /// [those](erofs_format::ErofsImage::structures) of the bootstrap, with offsets in it.
    ///
    /// # Errors
    /// Any error of `tell` ends it.
    pub fn structures<E>(
        &self,
        tell: &mut dyn FnMut(Dumped<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for (index, listed) in (0u32..).zip(self.blobs()) {
            let Some(blob) = self.blob(BlobIndex(index)) else {
                continue;
            };
            let mut teller = Teller { tell: &mut *tell };
            let id = FieldValue::Text(listed.id.as_str().as_bytes());
            teller.structure(0, ("blob", Some(index.into())), &[("id", id)])?;
            footer(&blob.footer, &mut teller)?;
            groups(blob, &mut teller)?;
        }
        self.erofs().structures(tell)
    }
}

fn footer<E>(footer: &Footer, teller: &mut Teller<'_, E>) -> Result<(), E> {
    let len = |range: &std::ops::Range<u64>| range.end.saturating_sub(range.start);
    teller.structure(
        footer.offset,
        ("footer", None),
        &[
            (
                "feature_compat",
                FieldValue::Word(footer.feature_compat.into()),
            ),
            (
                "feature_incompat",
                FieldValue::Word(footer.feature_incompat.into()),
            ),
            (
                "bootstrap_crc32",
                FieldValue::Word(footer.bootstrap_crc32.into()),
            ),
            ("data_offset", footer.data.start.into()),
            ("data_size", len(&footer.data).into()),
            ("bootstrap_offset", footer.bootstrap.start.into()),
            ("bootstrap_size", len(&footer.bootstrap).into()),
            (
                "bootstrap_compressed_size",
                footer.bootstrap_frame_len.unwrap_or(0).into(),
            ),
            ("metadata_offset", footer.metadata.start.into()),
            ("metadata_size", len(&footer.metadata).into()),
        ],
    )
}

fn groups<E>(blob: &V7Blob, teller: &mut Teller<'_, E>) -> Result<(), E> {
    let Some(groups) = &blob.groups else {
        return Ok(());
    };
    let start = blob.footer.metadata.start;
    let header = groups.header();
    teller.structure(
        start,
        ("metadata header", None),
        &[
            (
                "feature_compat",
                FieldValue::Word(header.feature_compat.into()),
            ),
            (
                "feature_incompat",
                FieldValue::Word(header.feature_incompat.into()),
            ),
            ("table_count", header.table_count.into()),
        ],
    )?;
    for (index, table) in (0u64..).zip(groups.tables()) {
        let name = table.known().map_or("unknown", TableKind::name);
        teller.structure(
            start.saturating_add(table.offset),
            ("table", Some(index)),
            &[
                ("type", table.kind.into()),
                ("name", FieldValue::Name(name)),
                ("header_size", table.header_size.into()),
                (
                    "feature_compat",
                    FieldValue::Word(table.feature_compat.into()),
                ),
                ("entry_size", table.entry_size.into()),
                ("entry_count", table.entry_count.into()),
            ],
        )?;
    }
    entries(groups, start, teller)
}

/// The groups, each with its digest, and the lengths of its chunks.
fn entries<E>(groups: &Groups, start: u64, teller: &mut Teller<'_, E>) -> Result<(), E> {
    for index in 0..groups.group_count() {
        let (Some(group), Some(place)) = (groups.group(index), groups.group_place(index)) else {
            continue;
        };
        let mut fields = vec![
            ("stored_offset", group.stored.start.into()),
            (
                "stored_size",
                group.stored.end.saturating_sub(group.stored.start).into(),
            ),
            ("size", group.len.into()),
            ("codec", FieldValue::Name(codec_name(group.codec))),
            ("block", group.blocks.start.into()),
            ("blocks", u64_from(group.blocks.len()).into()),
            ("chunk", group.chunks.start.into()),
            ("chunks", u64_from(group.chunks.len()).into()),
            ("crc32", FieldValue::Word(group.crc32c.into())),
        ];
        if let Some(digest) = &group.digest {
            fields.push(("digest", FieldValue::Bytes(digest.as_bytes())));
        }
        if let Some(redirect) = &group.redirect {
            fields.push(("source_blob", redirect.blob.into()));
            fields.push(("source_group", redirect.group.into()));
        }
        let offset = start.saturating_add(place);
        teller.structure(offset, ("group", Some(index.into())), &fields)?;
        for chunk in group.chunks.clone() {
            let (len, place) = groups.chunk_entry(chunk);
            let offset = start.saturating_add(place);
            teller.structure(
                offset,
                ("chunk", Some(chunk.into())),
                &[("size", len.into())],
            )?;
        }
    }
    Ok(())
}

const fn codec_name(codec: Codec) -> &'static str {
    match codec {
        Codec::Zstd => "zstd",
        Codec::Lz4Block => "lz4_block",
        _ => "none",
    }
}
