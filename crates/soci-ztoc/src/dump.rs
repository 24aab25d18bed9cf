//! Every structure of a zTOC, for people and programs that look into one.

use std::fmt;

use bytes::Bytes;
use image_model::dump::{Dumped, FieldValue, Teller};
use image_model::width::u64_from;
use image_model::{Digest, Limits};

use crate::budget::Budget;
use crate::checkpoints::GzipZinfo;
use crate::error::ZtocError;
use crate::file::FileMetadata;
use crate::flatbuffer::Table;
use crate::tar_zinfo::TarZinfo;
use crate::ztoc::{GZIP, UNCOMPRESSED, Ztoc, decode_digest};

impl Ztoc {
    /// Prints every [structure](Self::structures) of the zTOC in `bytes` with its offset, one per line. What cannot be
    /// read is a line that begins with `!` and says why. Text is escaped, and shown up to its 64th byte.
    ///
    /// # Errors
    /// Errors of `out`.
    pub fn dump(bytes: &Bytes, limits: &Limits, out: &mut impl fmt::Write) -> fmt::Result {
        Self::structures(bytes, limits, &mut |dumped| writeln!(out, "{dumped}"))
    }

    /// Tells every structure of the zTOC in `bytes`, which may be damaged: the tables, the files as they are listed,
    /// each with its PAX records, the digests of spans, and the checkpoints. Fields have the names of the schema. Of a
    /// window it says with how many zeros that begins. If all can be read, but [`decode`](Self::decode) refuses it, it
    /// tells last why. The files or digests end where they take more memory than `limits` allow to decode.
    ///
    /// # Errors
    /// Any error of `tell` ends it.
    pub fn structures<E>(
        bytes: &Bytes,
        limits: &Limits,
        tell: &mut dyn FnMut(Dumped<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut dump = Dump {
            teller: Teller { tell },
            budget: Budget::new(limits),
            all_readable: true,
        };
        dump.root(bytes)?;
        match Self::decode(bytes, limits) {
            Err(error) if dump.all_readable => dump.teller.unreadable(&error),
            _ => Ok(()),
        }
    }
}

/// Who hears of the structures of a zTOC, and what may be told.
struct Dump<'a, E> {
    teller: Teller<'a, E>,
    budget: Budget,
    all_readable: bool,
}

impl<E> Dump<'_, E> {
    /// What was found; if it cannot be read, tells why.
    fn read<T>(&mut self, found: Result<T, impl Into<ZtocError>>) -> Result<Option<T>, E> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error) => {
                self.all_readable = false;
                self.teller.unreadable(&error.into())?;
                Ok(None)
            }
        }
    }

    /// The table in field `nth` of `table`.
    fn table<'t>(
        &mut self,
        table: &Table<'t>,
        nth: usize,
        name: &'static str,
    ) -> Result<Option<Table<'t>>, E> {
        let found = table.table(nth, name).map_err(ZtocError::from);
        self.read(found.and_then(|found| found.ok_or(ZtocError::Missing { table: name })))
    }

    fn root(&mut self, bytes: &Bytes) -> Result<(), E> {
        let Some(root) = self.read(Table::root(bytes, "Ztoc"))? else {
            return Ok(());
        };
        let fields = root.string(0).and_then(|version| {
            let (tool, compressed, tar) = (root.string(1)?, root.i64(2)?, root.i64(3)?);
            Ok((version, tool, compressed, tar))
        });
        if let Some((version, build_tool, compressed, tar)) = self.read(fields)? {
            self.teller.structure(
                root.offset(),
                ("ztoc", None),
                &[
                    ("version", FieldValue::Text(&version)),
                    ("build_tool_identifier", FieldValue::Text(&build_tool)),
                    ("compressed_archive_size", FieldValue::Signed(compressed)),
                    ("uncompressed_archive_size", FieldValue::Signed(tar)),
                ],
            )?;
        }
        if let Some(toc) = self.table(&root, 4, "TOC")? {
            self.files(&toc)?;
        }
        match self.table(&root, 5, "CompressionInfo")? {
            Some(info) => self.compression_info(&info),
            None => Ok(()),
        }
    }

    fn files(&mut self, toc: &Table<'_>) -> Result<(), E> {
        let Some(elements) = self.read(toc.elements(0))? else {
            return Ok(());
        };
        let fields = [("metadata", u64_from(elements.len()).into())];
        self.teller
            .structure(toc.offset(), ("toc", None), &fields)?;
        for (index, table) in (0..).zip(elements.tables("FileMetadata")) {
            let Some(table) = self.read(table)? else {
                // What follows is told, but each costs something.
                let taken = self.budget.take(size_of::<FileMetadata>());
                match self.read(taken)? {
                    Some(()) => continue,
                    None => return Ok(()),
                }
            };
            match FileMetadata::decode(&table, index, &mut self.budget) {
                Err(error @ ZtocError::Limit { .. }) => {
                    return self.read::<()>(Err(error)).map(|_| ());
                }
                file => {
                    if let Some(file) = self.read(file)? {
                        self.file(index, &table, &file)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, index: u64, table: &Table<'_>, file: &FileMetadata) -> Result<(), E> {
        self.teller.structure(
            table.offset(),
            ("file", Some(index)),
            &[
                ("name", FieldValue::Text(&file.name)),
                ("type", FieldValue::Name(file.kind.name())),
                ("uncompressed_offset", file.offset.into()),
                ("uncompressed_size", file.size.into()),
                ("linkname", FieldValue::Text(&file.link_target)),
                ("mode", FieldValue::Octal(file.mode.cast_unsigned())),
                ("uid", file.uid.into()),
                ("gid", file.gid.into()),
                ("uname", FieldValue::Text(&file.uname)),
                ("gname", FieldValue::Text(&file.gname)),
                ("mod_time", FieldValue::Text(&file.mod_time)),
                ("devmajor", FieldValue::Signed(file.devmajor)),
                ("devminor", FieldValue::Signed(file.devminor)),
                ("xattrs", u64_from(file.records.len()).into()),
            ],
        )?;
        let Some(elements) = self.read(table.elements(FileMetadata::RECORDS))? else {
            return Ok(());
        };
        let placed = elements.tables("Xattr").zip(&file.records);
        for (nth, (table, record)) in (0..).zip(placed) {
            if let Some(table) = self.read(table)? {
                let fields = [
                    ("key", FieldValue::Text(&record.key)),
                    ("value", FieldValue::Text(&record.value)),
                ];
                self.teller
                    .structure(table.offset(), ("xattr", Some(nth)), &fields)?;
            }
        }
        Ok(())
    }

    fn compression_info(&mut self, info: &Table<'_>) -> Result<(), E> {
        let fields = info.i8(0, GZIP).and_then(|algorithm| {
            let (last, digests) = (info.i32(1)?, info.elements(2)?);
            Ok((algorithm, last, digests, info.placed_bytes(3)?))
        });
        let Some((algorithm, last, digests, (place, zinfo))) = self.read(fields)? else {
            return Ok(());
        };
        let name = match algorithm {
            GZIP => "gzip",
            UNCOMPRESSED => "uncompressed",
            _ => "unknown",
        };
        self.teller.structure(
            info.offset(),
            ("compression info", None),
            &[
                ("compression_algorithm", FieldValue::Name(name)),
                ("max_span_id", FieldValue::Signed(last.into())),
                ("span_digests", u64_from(digests.len()).into()),
                ("checkpoints", u64_from(zinfo.len()).into()),
            ],
        )?;
        for (index, placed) in (0..).zip(digests.placed_strings()) {
            let taken = self.budget.take(size_of::<Digest>());
            if self.read(taken)?.is_none() {
                break;
            }
            if let Some((offset, text)) = self.read(placed)? {
                self.digest(offset, index, &text)?;
            }
        }
        match algorithm {
            GZIP => match self.read(GzipZinfo::decode(&zinfo))? {
                Some(zinfo) => self.checkpoints(place, &zinfo),
                None => Ok(()),
            },
            UNCOMPRESSED => self.tar_zinfo(place, &zinfo),
            _ => Ok(()),
        }
    }

    fn digest(&mut self, offset: u64, index: u64, text: &[u8]) -> Result<(), E> {
        match self.read(decode_digest(text, index))? {
            Some(digest) => self.teller.structure(
                offset,
                ("span digest", Some(index)),
                &[("sha256", FieldValue::Bytes(digest.as_bytes()))],
            ),
            None => Ok(()),
        }
    }

    /// Of the checkpoints, which begin at `place`, those that are there: the first version lacks the first one.
    fn checkpoints(&mut self, place: u64, zinfo: &GzipZinfo) -> Result<(), E> {
        self.teller.structure(
            place,
            ("gzip zinfo", None),
            &[
                ("checkpoints", u64_from(zinfo.count()).into()),
                ("span_size", FieldValue::Signed(zinfo.span_size())),
            ],
        )?;
        let missing = usize::from(zinfo.is_first_version());
        let mut offset = place.saturating_add(u64_from(GzipZinfo::HEADER_LEN));
        for (index, point) in zinfo.checkpoints().enumerate().skip(missing) {
            let zeros = point.window.iter().take_while(|byte| **byte == 0).count();
            self.teller.structure(
                offset,
                ("checkpoint", Some(u64_from(index))),
                &[
                    ("in", point.stored_offset.into()),
                    ("out", point.decoded_offset.into()),
                    ("bits", point.bits.into()),
                    ("window_zeros", u64_from(zeros).into()),
                ],
            )?;
            offset = offset.saturating_add(u64_from(GzipZinfo::RECORD_LEN));
        }
        Ok(())
    }

    fn tar_zinfo(&mut self, place: u64, bytes: &Bytes) -> Result<(), E> {
        let table = Table::root(bytes, "TarZinfo").map_err(ZtocError::from);
        let found = table.and_then(|table| Ok((table.offset(), TarZinfo::decode(bytes)?)));
        let Some((offset, zinfo)) = self.read(found)? else {
            return Ok(());
        };
        self.teller.structure(
            place.saturating_add(offset),
            ("tar zinfo", None),
            &[
                ("version", FieldValue::Signed(TarZinfo::VERSION.into())),
                ("span_size", zinfo.span_size().into()),
                ("size", zinfo.len().into()),
            ],
        )
    }
}
