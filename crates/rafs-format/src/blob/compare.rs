//! Comparing a blob with the bootstrap that lists it, and with its own TOC.

use std::ops::Range;

use image_model::{BlobIndex, Digest, DigestAlgorithm};

use super::chunk_info::{ChunkExtra, ChunkFault, ChunkInfo};
use super::digests::ChunkDigests;
use super::error::BlobError;
use super::header::CiHeader;
use super::layout::Section;
use super::meta::BlobMeta;
use super::sections::Sections;
use super::toc::Toc;
use crate::chunk_record::{ChunkFlags, ChunkRecord};
use crate::flags::BlobFeatures;
use crate::v6::{BlobEntry, Bootstrap};

/// Two places that should agree, but do not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlobMismatch {
    /// The bootstrap's blob table and the blob.
    #[error("{field} is {expected} in the blob table, but {found} in the blob")]
    Entry {
        /// The field, by its name in the blob table.
        field: &'static str,
        /// In the blob table.
        expected: u64,
        /// In the blob.
        found: u64,
    },
    /// The bootstrap's blob table and the TOC.
    #[error("the TOC has digest {found}, but the blob table says {expected}")]
    TocDigest {
        /// In the blob table.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// The bootstrap's record of a chunk and the chunk information.
    #[error(
        "chunk {index}: {field} is {expected} in the bootstrap, but {found} in the chunk information"
    )]
    Chunk {
        /// Position of the chunk.
        index: u32,
        /// The field, by its name in the record.
        field: &'static str,
        /// In the bootstrap.
        expected: u64,
        /// In the chunk information.
        found: u64,
    },
    /// The bootstrap's record of a chunk and the section of chunk digests.
    #[error("chunk {index} has digest {expected} in the bootstrap, but {found} in the blob")]
    ChunkDigest {
        /// Position of the chunk.
        index: u32,
        /// In the bootstrap.
        expected: Digest,
        /// In the blob.
        found: Digest,
    },
    /// The TOC and the tar headers.
    #[error("section `{}` is at {}, {} bytes, but in the TOC at {}, {} bytes", section.name(), found.start, found.end.saturating_sub(found.start), listed.start, listed.end.saturating_sub(listed.start))]
    Section {
        /// The section.
        section: Section,
        /// Where the TOC says that it is.
        listed: Range<u64>,
        /// Where it is.
        found: Range<u64>,
    },
    /// A section that the TOC does not list.
    #[error("the TOC does not list section `{}`", section.name())]
    Unlisted {
        /// The section.
        section: Section,
    },
    /// An entry of the TOC for a section that the blob does not have, or that comes twice.
    #[error(
        "entry {index} of the TOC, `{}`, does not refer to a section of the blob",
        image_model::name::Brief(name)
    )]
    NoSection {
        /// Position in the TOC.
        index: usize,
        /// The name.
        name: Vec<u8>,
    },
}

impl image_model::Blame for BlobMismatch {
    fn fault(&self) -> image_model::Fault {
        image_model::Fault::Corrupt
    }
}

/// The sections that a TOC lists.
const LISTED: [Section; 5] = [
    Section::Data,
    Section::ChunkInfo,
    Section::ChunkInfoHeader,
    Section::ChunkDigests,
    Section::Bootstrap,
];

impl Sections {
    /// Compares the TOC, if there is one, with where the sections are. Whether they have the digests
    /// that it says takes their bytes.
    pub fn compare_toc(&self, report: &mut dyn FnMut(BlobMismatch)) {
        let Some(toc) = &self.toc else { return };
        let mut unlisted = LISTED.map(|section| self.range(section).map(|range| (section, range)));
        for (index, entry) in toc.entries().iter().enumerate() {
            let named = |found: &&mut Option<(Section, Range<u64>)>| match found {
                Some((section, _)) => section.name().as_bytes() == entry.name(),
                None => false,
            };
            let Some((section, found)) = unlisted.iter_mut().find(named).and_then(Option::take)
            else {
                let name = entry.name().to_vec();
                report(BlobMismatch::NoSection { index, name });
                continue;
            };
            let listed = entry.range();
            if listed != found {
                report(BlobMismatch::Section {
                    section,
                    listed,
                    found,
                });
            }
        }
        for (section, _) in unlisted.into_iter().flatten() {
            report(BlobMismatch::Unlisted { section });
        }
    }

    /// Compares the blob with what a bootstrap's blob table says about it: its length, its chunk
    /// information, its TOC.
    pub fn compare_entry(&self, entry: &BlobEntry, report: &mut dyn FnMut(BlobMismatch)) {
        let ci = self.chunk_info.clone().unwrap_or_default();
        // For a blob with an inlined bootstrap it is either everything before that, or the whole file.
        let front = self.bootstrap.as_ref().map(|bootstrap| bootstrap.start);
        // nydus-image 2.0 and 2.1 did not count the chunk information, which `Bootstrap::check` reports.
        let data_len = (!ci.is_empty()).then_some(ci.start);
        let len = [front, data_len].into_iter().flatten();
        let len = len.fold(self.len, |len, other| {
            match other == entry.compressed_size {
                true => other,
                false => len,
            }
        });
        let (name, expected, len) = match entry.is_separate() {
            // What the bootstrap in the file cannot say of it.
            true if entry.meta_size == 0 => ("blob_meta_size", self.len, self.len),
            true => ("blob_meta_size", entry.meta_size, self.len),
            false => ("compressed_size", entry.compressed_size, len),
        };
        let has = |feature| entry.features.contains(feature);
        let headers = BlobFeatures::HAS_TAR_HEADER;
        let mut fields = vec![
            (name, expected, len),
            ("ci_offset", entry.ci_offset, ci.start),
            (
                "ci_compressed_size",
                entry.ci_compressed_size,
                ci.end.saturating_sub(ci.start),
            ),
            (
                "HAS_TAR_HEADER",
                has(headers).into(),
                self.has_headers.into(),
            ),
        ];
        let toc = self.toc.as_ref();
        if entry.toc_size != 0 || toc.is_none() && has(BlobFeatures::HAS_TOC) {
            let found = toc.map_or(0, Toc::stored_len);
            fields.push(("blob_toc_size", entry.toc_size.into(), found));
            fields.push((
                "HAS_TOC",
                has(BlobFeatures::HAS_TOC).into(),
                toc.is_some().into(),
            ));
        }
        if let Some(data) = toc.and_then(|toc| toc.entry(Section::Data).ok()) {
            fields.push(("uncompressed_size", entry.uncompressed_size, data.len));
        }
        for (field, expected, found) in fields {
            if expected != found {
                report(BlobMismatch::Entry {
                    field,
                    expected,
                    found,
                });
            }
        }
        if let Some(toc) = toc
            && entry.toc_digest != [0; 32]
        {
            let expected = Digest::new(DigestAlgorithm::Sha256, entry.toc_digest);
            let found = toc.digest();
            if expected != found {
                report(BlobMismatch::TocDigest { expected, found });
            }
        }
    }

    /// Compares the features in the header of the chunk information with those in a bootstrap's blob
    /// table, if they can be compared: the [`CiHeader`] says where they differ. Answers whether they can.
    pub fn compare_features(
        &self,
        header: &CiHeader,
        entry: &BlobEntry,
        report: &mut dyn FnMut(BlobMismatch),
    ) -> bool {
        let rewritten =
            BlobFeatures::IS_CHUNKDICT_GENERATED | BlobFeatures::IS_SEPARATED_WITH_PREFETCH_FILES;
        if entry.features.intersects(rewritten) {
            return false;
        }
        let inlined = BlobFeatures::INLINED_FS_META;
        let expected = match self.bootstrap {
            Some(_) => entry.features | inlined,
            None => entry.features.without(inlined),
        };
        if header.features != expected.bits() {
            report(BlobMismatch::Entry {
                field: "features",
                expected: expected.bits().into(),
                found: header.features.into(),
            });
        }
        true
    }
}

impl BlobMeta {
    /// Checks every entry as [`check`](Self::check) does, and its reserved bits, but reports all that
    /// are wrong, and tells `gap` which bytes of the data section, which has `data_len` bytes, no chunk
    /// takes. That section is empty if the blob is a layer as it was, whose chunks are elsewhere.
    pub fn check_all(
        &self,
        data_len: u64,
        report: &mut dyn FnMut(BlobError),
        gap: &mut dyn FnMut(Range<u64>),
    ) {
        let (mut address, mut offset, mut end) = (0, 0, 0);
        let mut frame = None;
        for index in 0..self.chunk_count() {
            let chunk = match self.chunk(index) {
                Ok(chunk) => chunk,
                Err(error) => {
                    report(error);
                    continue;
                }
            };
            if !self.is_canonical(index) {
                let fault = ChunkFault::Reserved;
                report(BlobError::Chunk { index, fault });
            }
            let stored = self.stored_range(&chunk);
            let batch = match chunk.extra {
                ChunkExtra::Batch { context, .. } => Some(context),
                _ => None,
            };
            // What the bootstrap says of a batch does not tell where it is.
            let overlaps = stored.start < end
                && (batch.is_some() || frame.is_some())
                && !(self.is_compressed(&chunk) && batch == frame);
            if chunk.address < address || chunk.offset < offset || overlaps {
                let fault = ChunkFault::Order;
                report(BlobError::Chunk { index, fault });
                continue;
            }
            if stored.start > end && data_len > 0 {
                gap(end..stored.start);
            }
            (address, offset) = (chunk.address_end(), chunk.offset);
            (frame, end) = (batch, end.max(stored.end));
        }
        if data_len > end {
            gap(end..data_len);
        }
        self.check_contexts(report);
    }

    /// Compares the chunk information with the records that `bootstrap` has of the chunks of its blob
    /// number `blob`, which is this one. Entries that cannot be read are passed by.
    pub fn compare(
        &self,
        bootstrap: &Bootstrap,
        blob: BlobIndex,
        report: &mut dyn FnMut(BlobMismatch),
    ) {
        for record in bootstrap.chunk_records_of(blob) {
            let index = record.index;
            let Ok(chunk) = self.chunk(index) else {
                continue;
            };
            for (field, expected, found) in fields(&record, &chunk) {
                if expected != found {
                    report(BlobMismatch::Chunk {
                        index,
                        field,
                        expected,
                        found,
                    });
                }
            }
        }
    }
}

/// What a record and an entry say alike. The record of a chunk in a batch does not say where that is.
fn fields(record: &ChunkRecord, chunk: &ChunkInfo) -> [(&'static str, u64, u64); 7] {
    let has = |flag| record.flags.contains(flag);
    let (offset, compressed) = match chunk.extra {
        ChunkExtra::Batch { .. } => (0, false),
        _ => (chunk.offset, chunk.compressed),
    };
    // Entries of version 1 have no CRC.
    let (expected, found) = match chunk.crc32c() {
        Some(found) if has(ChunkFlags::HAS_CRC32) => (record.crc32, found),
        _ => (0, 0),
    };
    [
        (
            "uncompressed_offset",
            record.uncompressed_offset,
            chunk.address,
        ),
        (
            "uncompressed_size",
            record.uncompressed_size.into(),
            chunk.len.into(),
        ),
        ("compressed_offset", record.compressed_offset, offset),
        (
            "compressed_size",
            record.compressed_size.into(),
            chunk.stored_len.into(),
        ),
        (
            "COMPRESSED",
            has(ChunkFlags::COMPRESSED).into(),
            compressed.into(),
        ),
        (
            "ENCRYPTED",
            has(ChunkFlags::ENCRYPTED).into(),
            chunk.encrypted.into(),
        ),
        ("crc32", expected.into(), found.into()),
    ]
}

impl ChunkDigests {
    /// Compares the digests with those that `bootstrap` has of the chunks of its blob number `blob`,
    /// which is this one.
    pub fn compare(
        &self,
        bootstrap: &Bootstrap,
        blob: BlobIndex,
        report: &mut dyn FnMut(BlobMismatch),
    ) {
        for record in bootstrap.chunk_records_of(blob) {
            let index = record.index;
            let Some(found) = self.digest(index) else {
                continue;
            };
            let expected = Digest::new(found.algorithm(), record.digest);
            if expected != found {
                report(BlobMismatch::ChunkDigest {
                    index,
                    expected,
                    found,
                });
            }
        }
    }
}
