//! Writing: tables in the order of the reference writer.

use image_model::Digest;
use image_model::width::{u64_from, usize_up_to};

use crate::error::TooLong;
use crate::file::{FileMetadata, FileType};
use crate::flatbuffer::Builder;
use crate::ztoc::{GZIP, VERSION};

/// What is written, as it is written.
pub(crate) struct Parts<'a> {
    pub(crate) build_tool: &'a [u8],
    pub(crate) compressed_len: i64,
    pub(crate) uncompressed_len: i64,
    pub(crate) files: &'a [FileMetadata],
    pub(crate) type_name: fn(FileType) -> &'static str,
    pub(crate) last_span: i32,
    pub(crate) digests: &'a [Digest],
    pub(crate) zinfo: &'a [u8],
    pub(crate) algorithm: i8,
}

impl Parts<'_> {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, TooLong> {
        self.check_len()?;
        let mut builder = Builder::new();
        let version = builder.string(VERSION);
        let build_tool = builder.string(self.build_tool);
        let mut files = Vec::with_capacity(self.files.len());
        for file in self.files.iter().rev() {
            files.push(file.encode((self.type_name)(file.kind), &mut builder));
        }
        files.reverse();
        let files = builder.vector(&files);
        builder.begin(1);
        builder.refer(0, files);
        let toc = builder.finish_table();
        let zinfo = builder.bytes(self.zinfo);
        let digests = self
            .digests
            .iter()
            .map(|digest| builder.string(digest.to_string().as_bytes()))
            .collect::<Vec<_>>();
        let digests = builder.vector(&digests);
        builder.begin(4);
        builder.i32(1, self.last_span);
        builder.refer(2, digests);
        builder.refer(3, zinfo);
        builder.i8(0, self.algorithm, GZIP);
        let info = builder.finish_table();
        builder.begin(6);
        builder.refer(0, version);
        builder.refer(1, build_tool);
        builder.refer(4, toc);
        builder.i64(2, self.compressed_len);
        builder.i64(3, self.uncompressed_len);
        builder.refer(5, info);
        let root = builder.finish_table();
        Ok(builder.finish(root))
    }

    /// Whether offsets reach everything: what tables and padding take is less than these bounds.
    fn check_len(&self) -> Result<(), TooLong> {
        let mut len = u64_from(self.zinfo.len()).saturating_add(4096);
        len = len.saturating_add(u64_from(self.digests.len()).saturating_mul(96));
        len = len.saturating_add(u64_from(self.build_tool.len()));
        for file in self.files {
            let records = u64_from(file.records.len()).saturating_mul(64);
            len = len
                .saturating_add(u64_from(file.strings_len()))
                .saturating_add(records)
                .saturating_add(256);
        }
        match usize_up_to(len) < usize_up_to(Builder::MAX_LEN) {
            true => Ok(()),
            false => Err(TooLong { len }),
        }
    }
}

#[cfg(test)]
mod tests {
    use image_model::Limits;
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::flatbuffer::Malformed;
    use crate::ztoc::UNCOMPRESSED;
    use crate::{Checkpoint, GzipZinfo, TarZinfo, Ztoc, ZtocError};

    /// The bytes that the test `TestWriteZtoc` of the SOCI snapshotter expects.
    #[test]
    fn bytes_are_those_of_the_reference_writer() {
        let file = FileMetadata::new(&b""[..], FileType::Regular).mod_time("0001-01-01T00:00:00Z");
        let parts = Parts {
            build_tool: b"AWS SOCI CLI",
            compressed_len: 2_000_000,
            uncompressed_len: 2_500_000,
            files: &[file.clone(), file],
            type_name: |_| "",
            last_span: 3,
            digests: &[],
            zinfo: &[0; 1 << 16],
            algorithm: GZIP,
        };
        let bytes = parts.encode().expect("it is short");
        let digest = Sha256::digest(&bytes);
        let hex = digest.iter().map(|byte| format!("{byte:02x}"));
        assert_eq!(bytes.len(), 65_928);
        assert_eq!(
            hex.collect::<String>(),
            "eba28fdf50b1b57543f57dd051b2468c1d4f57b64d2006c75aa4de1d03e6c7ec"
        );
    }

    fn parts(zinfo: &[u8]) -> Parts<'_> {
        Parts {
            build_tool: b"",
            compressed_len: 1_000,
            uncompressed_len: 6_000,
            files: &[],
            type_name: FileType::name,
            last_span: 0,
            digests: &[],
            zinfo,
            algorithm: GZIP,
        }
    }

    fn refused(parts: &Parts<'_>) -> ZtocError {
        let bytes = parts.encode().expect("it is short");
        Ztoc::decode(&bytes.into(), &Limits::default()).expect_err("it is wrong")
    }

    /// What no value of this crate says.
    #[test]
    fn numbers_that_are_wrong_are_refused_when_they_are_read() {
        let one = GzipZinfo::new(3_000, &[Checkpoint::new(18, 0, 0)]).encode();
        for found in [0, 3, -1, i8::MIN] {
            let algorithm = found;
            let parts = Parts {
                algorithm,
                ..parts(&one)
            };
            assert_eq!(refused(&parts), ZtocError::Compression { found });
        }
        for found in [-1, i64::MIN] {
            let (what, compressed_len) = ("length of the layer", found);
            let parts = Parts {
                compressed_len,
                ..parts(&one)
            };
            assert_eq!(refused(&parts), ZtocError::Negative { what, found });
        }
        for found in [-1, i64::MIN] {
            let (what, uncompressed_len) = ("length of the tar", found);
            let parts = Parts {
                uncompressed_len,
                ..parts(&one)
            };
            assert_eq!(refused(&parts), ZtocError::Negative { what, found });
        }
        let count = |what, expected, found| ZtocError::Count {
            what,
            expected,
            found,
        };
        for last_span in [-1, 1, i32::MIN, i32::MAX] {
            let parts = Parts {
                last_span,
                ..parts(&one)
            };
            let found = i64::from(last_span) + 1;
            assert_eq!(refused(&parts), count("last span", 1, found));
        }
        assert_eq!(refused(&parts(&one)), count("digests", 1, 0));
    }

    #[test]
    fn spans_that_are_none_are_refused() {
        let error = ZtocError::Checkpoints { count: 0, found: 0 };
        assert_eq!(refused(&parts(&[])), error);
        // The reference reader takes it, and has no span to read.
        let none = GzipZinfo::new(3_000, &[]).encode();
        let last_span = -1;
        let of_none = Parts {
            last_span,
            ..parts(&none)
        };
        let error = ZtocError::Count {
            what: "checkpoints",
            expected: 1,
            found: 0,
        };
        assert_eq!(refused(&of_none), error);
        // Of another kind than it says.
        let algorithm = UNCOMPRESSED;
        let gzip = Parts {
            algorithm,
            ..parts(&none)
        };
        let error = refused(&gzip);
        assert!(
            matches!(
                error,
                ZtocError::Malformed(Malformed {
                    table: "TarZinfo",
                    ..
                })
            ),
            "{error}"
        );
        let tar = TarZinfo::new(500, 1_000).expect("lengths").encode();
        let (count, found) = (tar[0].into(), tar.len() as u64);
        assert_eq!(
            refused(&parts(&tar)),
            ZtocError::Checkpoints { count, found }
        );
    }

    #[test]
    fn tables_that_are_missing_are_named() {
        let without = |which: usize| {
            let mut builder = Builder::new();
            let version = builder.string(VERSION);
            let tables = [4, 5].map(|nth| {
                builder.begin(0);
                (nth, builder.finish_table())
            });
            builder.begin(6);
            builder.refer(0, version);
            for (nth, table) in tables {
                if nth != which {
                    builder.refer(nth, table);
                }
            }
            let root = builder.finish_table();
            let bytes = builder.finish(root);
            Ztoc::decode(&bytes.into(), &Limits::default()).expect_err("it is not all")
        };
        assert_eq!(without(4), ZtocError::Missing { table: "TOC" });
        let table = "CompressionInfo";
        assert_eq!(without(5), ZtocError::Missing { table });
    }
}
