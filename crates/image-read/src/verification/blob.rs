//! A RAFS blob: its structures, alone and against the bootstrap that lists it.

use std::ops::Range;

use blob_io::ReadAt;
use bytes::Bytes;
use frame_codec::Decoder;
use image_model::{Blob, BlobId, BlobIndex, Digest, Limits, StepMachine};
use rafs_format::Bootstrap;
use rafs_format::blob::{
    BlobError, BlobMeta, BlobMismatch, ChunkDigests, CiHeader, LoadCiHeader, LoadMeta,
    LocateSections, Section, Sections,
};
use rafs_format::flags::BlobFeatures;
use rafs_format::v6::BlobEntry;
use verify::Hasher;

use super::finding::{Flaw, ImageObject};
use super::report::Report;
use crate::ends::Ends;
use crate::open::{OpenError, find, read_piece};

/// Number of bytes read at once from the end of a blob.
const TAIL_LEN: usize = 64 << 10;

/// Whether `entry` is of a blob that cannot be read, which the check of its bootstrap tells.
pub(super) fn is_foreign(entry: &BlobEntry) -> bool {
    let encrypted = entry.features.contains(BlobFeatures::ENCRYPTED);
    let opaque = encrypted && (!cfg!(feature = "encryption") || entry.xts_key().is_none());
    opaque || entry.features.contains(BlobFeatures::EXTERNAL)
}

/// Whether `entry` is of a plain tar as it was.
fn is_tar(entry: &BlobEntry) -> bool {
    entry.features.contains(BlobFeatures::TARFS)
}

/// The blob, if it is one of version 5 without tar headers, or a plain tar as it was: such say nothing of their chunks.
fn bare_blob(bootstrap: &Bootstrap, index: BlobIndex) -> Option<&Blob> {
    let entry = bootstrap.blob_entries().get(index.0 as usize)?;
    let bare = match bootstrap {
        Bootstrap::V5(_) => !entry.features.contains(BlobFeatures::HAS_TAR_HEADER),
        _ => is_tar(entry),
    };
    let blobs = bootstrap.image().blobs();
    blobs.get(index.0 as usize).filter(|_| bare)
}

/// A blob, as far as it can be read.
pub(super) struct Inspected {
    pub(super) sections: Sections,
    pub(super) meta: Option<BlobMeta>,
    /// The section of chunk digests.
    pub(super) digests: Option<Bytes>,
    /// Bytes for which only a digest of the whole blob vouches.
    pub(super) unvouched: Vec<Range<u64>>,
}

/// A blob that is looked at.
pub(super) struct BlobFile<'a> {
    object: ImageObject,
    /// Of which the last bytes were read.
    file: Ends<'a>,
    len: u64,
    limits: &'a Limits,
}

/// Who says what is in a blob.
#[derive(Clone, Copy)]
pub(super) enum Listed<'a> {
    /// A bootstrap in which it has this number.
    By(&'a Bootstrap, BlobIndex),
    /// The blob itself.
    Alone(&'a BlobId),
}

impl<'a> BlobFile<'a> {
    /// Reads the end of the blob; what hinders that is told.
    pub(super) fn open(
        object: ImageObject,
        source: &'a dyn ReadAt,
        limits: &'a Limits,
        report: &mut Report<'_>,
    ) -> Option<Self> {
        let read = || {
            let mut file = Ends::unread(source)?;
            file.read_tail(TAIL_LEN)?;
            Ok((file.len()?, file))
        };
        match read() {
            Ok((len, file)) => Some(Self {
                object,
                file,
                len,
                limits,
            }),
            Err(error) => {
                report.unread(&object, error);
                None
            }
        }
    }

    /// Looks at everything in the blob but its chunks. `None` if it cannot even be found out what it
    /// holds.
    pub(super) fn inspect(&self, listed: Listed<'_>, report: &mut Report<'_>) -> Option<Inspected> {
        let entry = match listed {
            Listed::By(bootstrap, index) => bootstrap.blob_entries().get(index.0 as usize),
            Listed::Alone(_) => None,
        };
        if let Listed::By(bootstrap, index) = listed
            && let Some(bare) = bare_blob(bootstrap, index)
        {
            self.compare_len(bare, report);
            // Chunks of a tar have no digests.
            let whole = entry.filter(|entry| is_tar(entry)).map(|_| 0..self.len);
            let unvouched = whole.into_iter().collect();
            let mut inspected = Inspected {
                sections: Sections::bare(self.len),
                meta: None,
                digests: None,
                unvouched,
            };
            self.compare(&mut inspected, bootstrap, index, report);
            return Some(inspected);
        }
        let key = entry.and_then(BlobEntry::xts_key);
        let sections = match self.find(LocateSections::new(self.len).encrypted(key)) {
            Ok(sections) => sections,
            Err(error) => {
                match entry.filter(|entry| !entry.is_separate() && self.len < entry.compressed_size)
                {
                    // Whatever its end looks like.
                    Some(entry) => report.mismatch(
                        &self.object,
                        BlobMismatch::Entry {
                            field: "compressed_size",
                            expected: entry.compressed_size,
                            found: self.len,
                        },
                    ),
                    None => self.tell("piece", error, report),
                }
                return None;
            }
        };
        sections.compare_toc(&mut |found| report.mismatch(&self.object, found));
        let inlined = matches!(entry, Some(entry) if entry.is_self());
        let digests = self.listed_sections(&sections, entry, inlined, report);
        if let Some(entry) = entry {
            sections.compare_entry(entry, &mut |found| report.mismatch(&self.object, found));
        }
        let meta = self.chunk_information(&sections, listed, report);
        let mut inspected = Inspected {
            sections,
            meta,
            digests,
            unvouched: Vec::new(),
        };
        match listed {
            Listed::By(bootstrap, index) => {
                self.compare(&mut inspected, bootstrap, index, report);
            }
            Listed::Alone(_) => inspected.unvouched.push(0..self.len),
        }
        Some(inspected)
    }

    /// Whether there are chunks in it.
    pub(super) fn holds_chunks(&self) -> bool {
        matches!(
            self.find(LocateSections::new(self.len)),
            Ok(sections) if sections.chunk_info.is_some() || !sections.data.is_empty()
        )
    }

    /// A blob that has nothing but chunks.
    fn compare_len(&self, blob: &Blob, report: &mut Report<'_>) {
        if let Some(expected) = blob.stored_len.filter(|&len| len != self.len) {
            let (field, found) = ("compressed_size", self.len);
            let mismatch = BlobMismatch::Entry {
                field,
                expected,
                found,
            };
            report.mismatch(&self.object, mismatch);
        }
    }

    /// Tells why `piece` of the blob cannot be used.
    fn tell(&self, piece: &'static str, error: OpenError, report: &mut Report<'_>) {
        match error {
            OpenError::Read(error) => report.unread(&self.object, error),
            OpenError::Blob(error) => report.blob_error(&self.object, None, error),
            OpenError::Limit { len, limit } => {
                let error = BlobError::Limit {
                    piece,
                    declared: len,
                    limit,
                };
                report.blob_error(&self.object, None, error);
            }
            other => report.add(self.object.clone(), Flaw::Open(other)),
        }
    }

    fn find<M>(&self, machine: M) -> Result<M::Found, OpenError>
    where
        M: StepMachine,
        OpenError: From<M::Error>,
    {
        find(machine, &self.file, self.limits)
    }

    /// The SHA-256 of `range`; `None` if it cannot be read, which was told.
    pub(super) fn digest(&self, range: Range<u64>, report: &mut Report<'_>) -> Option<Digest> {
        let mut hasher = Hasher::sha256();
        let mut at = range.start;
        while at < range.end {
            let end = range.end.min(at + TAIL_LEN as u64);
            match self.read(&(at..end)) {
                Ok(bytes) => hasher.update(&bytes),
                Err(error) => {
                    self.tell("piece", error, report);
                    return None;
                }
            }
            at = end;
        }
        Some(hasher.finish())
    }

    fn read(&self, range: &Range<u64>) -> Result<Bytes, OpenError> {
        read_piece(&self.file, range, self.limits)
    }

    /// The sections that the TOC vouches for, against it, but for the chunks and, if it was taken out of
    /// the blob before, the bootstrap. Answers the digests of the chunks.
    fn listed_sections(
        &self,
        sections: &Sections,
        listed: Option<&BlobEntry>,
        opened: bool,
        report: &mut Report<'_>,
    ) -> Option<Bytes> {
        let mut decoder = Decoder::new();
        let mut digests = None;
        for section in [
            Section::ChunkInfo,
            Section::ChunkInfoHeader,
            Section::ChunkDigests,
            Section::Bootstrap,
        ] {
            let entry = sections
                .toc
                .as_ref()
                .and_then(|toc| toc.entry(section).ok());
            // A section elsewhere was already reported.
            let entry = entry.filter(|entry| sections.range(section) == Some(entry.range()));
            let Some(entry) = entry.filter(|_| !(opened && section == Section::Bootstrap)) else {
                continue;
            };
            let mut read = || {
                let stored = self.read(&entry.range())?;
                let stored = match listed {
                    Some(listed) => entry.decrypt(listed, &stored)?,
                    None => stored,
                };
                Ok(entry.extract(&stored, &mut decoder, self.limits)?)
            };
            match read() {
                Ok(plain) if section == Section::ChunkDigests => digests = Some(plain),
                Ok(_) => {}
                Err(error) => self.tell(section.name(), error, report),
            }
        }
        if digests.is_none()
            && sections.toc.is_none()
            && let Some(range) = &sections.digests
        {
            match self.read(range) {
                Ok(bytes) => digests = Some(bytes),
                Err(error) => self.tell(Section::ChunkDigests.name(), error, report),
            }
        }
        digests
    }

    /// The chunk information and its header, every entry of it.
    fn chunk_information(
        &self,
        sections: &Sections,
        listed: Listed<'_>,
        report: &mut Report<'_>,
    ) -> Option<BlobMeta> {
        let range = sections.chunk_info_header()?;
        let key = match listed {
            Listed::By(bootstrap, index) => bootstrap.blob_entries()[index.0 as usize].xts_key(),
            Listed::Alone(_) => None,
        };
        let header = match self.find(LoadCiHeader::new(sections)?.encrypted(key)) {
            Ok(header) => header,
            Err(error) => {
                self.tell("header of the chunk information", error, report);
                return None;
            }
        };
        if let Listed::By(bootstrap, index) = listed {
            let entry = &bootstrap.blob_entries()[index.0 as usize];
            let told = &mut |found| report.mismatch(&self.object, found);
            if !sections.compare_features(&header, entry, told) {
                let features = CiHeader::FEATURES;
                let at = |position| range.start + position;
                report.padding(&self.object, at(features.start)..at(features.end));
            }
        }
        let load = || {
            let alone;
            let entry = match listed {
                Listed::By(bootstrap, index) => &bootstrap.blob_entries()[index.0 as usize],
                Listed::Alone(id) => {
                    alone = sections.entry(id.clone(), &header)?;
                    &alone
                }
            };
            sections.check_header(&header)?;
            self.find(LoadMeta::new(entry, self.limits)?)
        };
        match load() {
            Ok(meta) => {
                let mut gaps = Vec::new();
                meta.check_all(
                    sections.data.end,
                    &mut |error| report.blob_error(&self.object, None, error),
                    &mut |gap| gaps.push(gap),
                );
                for gap in gaps {
                    report.padding(&self.object, gap);
                }
                Some(meta)
            }
            Err(error) => {
                self.tell("chunk information", error, report);
                None
            }
        }
    }

    /// The chunks as the bootstrap has them, against the blob's own lists.
    fn compare(
        &self,
        inspected: &mut Inspected,
        bootstrap: &Bootstrap,
        index: BlobIndex,
        report: &mut Report<'_>,
    ) {
        let mut told = |found| report.mismatch(&self.object, found);
        let unvouched = &mut inspected.unvouched;
        let mut free = |range| unvouched.push(range);
        if let Some(bootstrap) = bootstrap.v5() {
            // The blob has no lists.
            let data = inspected.sections.data.clone();
            bootstrap.unvouched(index, data, &mut free);
        }
        let Some(bootstrap) = bootstrap.v6() else {
            return;
        };
        if let Some(meta) = &inspected.meta {
            meta.compare(bootstrap, index, &mut told);
            meta.unvouched(bootstrap, index, &mut free);
        }
        let Some(digests) = inspected.digests.take() else {
            return;
        };
        let entry = &bootstrap.blob_entries()[index.0 as usize];
        let found = digests.len() as u64;
        match ChunkDigests::new(digests, entry.digester.into(), entry.chunk_count) {
            Ok(digests) => digests.compare(bootstrap, index, &mut told),
            Err(_) => told(BlobMismatch::Entry {
                field: "bytes of chunk digests",
                expected: 32 * u64::from(entry.chunk_count),
                found,
            }),
        }
    }
}
