//! The zTOC itself.

use std::ops::Range;

use bytes::Bytes;
use image_model::width::u64_from;
use image_model::{Digest, DigestAlgorithm, Limits};

use crate::budget::Budget;
use crate::checkpoints::GzipZinfo;
use crate::error::{CheckpointFault, FileFault, TooLong, ZtocError};
use crate::file::{FileMetadata, FileType};
use crate::flatbuffer::Table;
use crate::tar_zinfo::TarZinfo;
use crate::write::Parts;

/// The only version.
pub(crate) const VERSION: &[u8] = b"0.9";

pub(crate) const GZIP: i8 = 1;
pub(crate) const UNCOMPRESSED: i8 = 2;

/// Least length of the header of a gzip layer.
const GZIP_HEADER_LEN: u64 = 10;

/// Least length of the header of a file in a tar; payloads are padded to a multiple of it.
const TAR_HEADER_LEN: u64 = 512;

/// A zTOC. A FlatBuffers table, which is the root of the buffer:
///
/// | field | type | what |
/// |---|---|---|
/// | 0 | string | version, `0.9` |
/// | 1 | string | what it was made by |
/// | 2 | i64 | length of the layer |
/// | 3 | i64 | length of its tar, up to the blocks of zeros that end it |
/// | 4 | table | TOC; its field 0: vector of [`FileMetadata`] |
/// | 5 | table | how the layer is compressed |
///
/// How a layer is compressed:
///
/// | field | type | what |
/// |---|---|---|
/// | 0 | i8 | 1: gzip (if it is not there), 2: not compressed |
/// | 1 | i32 | number of the last span |
/// | 2 | vector of strings | `sha256:` and the digest in hexadecimal digits, for each span |
/// | 3 | vector of bytes | [`GzipZinfo`], or [`TarZinfo`] |
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ztoc {
    /// What it was made by; see [`BUILD_TOOL`](Self::BUILD_TOOL).
    pub build_tool: Bytes,
    /// Length of the layer.
    pub compressed_len: u64,
    /// Length of its tar, up to the blocks of zeros that end it.
    pub uncompressed_len: u64,
    /// The files, in order of their payloads.
    pub files: Vec<FileMetadata>,
    /// Where spans begin.
    pub zinfo: Zinfo,
    /// SHA-256 of the stored bytes of each span.
    pub digests: Vec<Digest>,
}

/// Where the spans of a layer begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Zinfo {
    /// Of a gzip layer.
    Gzip(GzipZinfo),
    /// Of a layer that is not compressed.
    Tar(TarZinfo),
}

/// A part of a layer that is decoded by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Span {
    /// Its bytes in the layer. The first one is also the last one of the span before, if a checkpoint has bits in it.
    pub stored: Range<u64>,
    /// Its bytes in the tar, as far as the zTOC knows that.
    pub decoded: Range<u64>,
    /// SHA-256 of the stored bytes.
    pub digest: Digest,
}

impl Ztoc {
    /// What `soci` 0.4.1 calls itself.
    pub const BUILD_TOOL: &'static str = "AWS SOCI CLI v0.1";

    /// A zTOC without files of a layer of `compressed_len` bytes, that holds `uncompressed_len` bytes of tar.
    #[must_use]
    pub fn new(
        zinfo: Zinfo,
        digests: Vec<Digest>,
        compressed_len: u64,
        uncompressed_len: u64,
    ) -> Self {
        Self {
            build_tool: Bytes::from_static(Self::BUILD_TOOL.as_bytes()),
            compressed_len,
            uncompressed_len,
            files: Vec::new(),
            zinfo,
            digests,
        }
    }

    image_model::setters! {
        build_tool: impl Into<Bytes> = build_tool.into(),
        files: Vec<FileMetadata>,
    }

    /// Whether `bytes` look like a zTOC: a FlatBuffers table that begins with a version of it.
    #[must_use]
    pub fn detect(bytes: &Bytes) -> bool {
        let version = Table::root(bytes, "Ztoc").and_then(|table| table.string(0));
        version.is_ok_and(|version| !version.is_empty() && version.iter().all(u8::is_ascii_graphic))
    }

    /// The zTOC in `bytes`. All of it is checked; what it says of the layer is not.
    ///
    /// # Errors
    /// [`ZtocError`] if they are none, contradict themselves, or exceed `limits`.
    pub fn decode(bytes: &Bytes, limits: &Limits) -> Result<Self, ZtocError> {
        let root = Table::root(bytes, "Ztoc")?;
        let version = root.string(0)?;
        if version != VERSION {
            let found = version[..version.len().min(16)].into();
            return Err(ZtocError::Version { found });
        }
        let len = |nth, what| -> Result<u64, ZtocError> {
            let found = root.i64(nth)?;
            u64::try_from(found).map_err(|_| ZtocError::Negative { what, found })
        };
        let compressed_len = len(2, "length of the layer")?;
        let uncompressed_len = len(3, "length of the tar")?;
        let limit = limits.max_layer_len;
        if uncompressed_len > limit {
            let what = "decoded bytes";
            return Err(ZtocError::Limit { what, limit });
        }
        let table = |nth, table| -> Result<_, ZtocError> {
            root.table(nth, table)?.ok_or(ZtocError::Missing { table })
        };
        let mut budget = Budget::new(limits);
        let files = decode_files(&table(4, "TOC")?, limits, &mut budget)?;
        let info = table(5, "CompressionInfo")?;
        let zinfo = info.bytes(3)?;
        let zinfo = match info.i8(0, GZIP)? {
            GZIP => Zinfo::Gzip(GzipZinfo::decode(&zinfo)?),
            UNCOMPRESSED => Zinfo::Tar(TarZinfo::decode(&zinfo)?),
            found => return Err(ZtocError::Compression { found }),
        };
        let expected = zinfo.count();
        let last = i64::from(info.i32(1)?);
        let found = last.saturating_add(1);
        let count = |what, found| ZtocError::Count {
            what,
            expected,
            found,
        };
        if u64::try_from(found) != Ok(expected) {
            return Err(count("last span", found));
        }
        let elements = info.elements(2)?;
        let found = u64_from(elements.len());
        if found != expected {
            let found = i64::try_from(found).unwrap_or(i64::MAX);
            return Err(count("digests", found));
        }
        budget.take(elements.len().saturating_mul(size_of::<Digest>()))?;
        let mut digests = Vec::with_capacity(elements.len());
        for (index, text) in (0..).zip(elements.strings()) {
            digests.push(decode_digest(&text?, index)?);
        }
        let ztoc = Self {
            build_tool: root.string(1)?,
            compressed_len,
            uncompressed_len,
            files,
            zinfo,
            digests,
        };
        ztoc.check_spans(limits)?;
        ztoc.check_files()?;
        Ok(ztoc)
    }

    /// The bytes of the zTOC.
    ///
    /// # Errors
    /// [`TooLong`] if they are 2 GiB or more.
    pub fn encode(&self) -> Result<Vec<u8>, TooLong> {
        let (algorithm, zinfo) = match &self.zinfo {
            Zinfo::Gzip(zinfo) => (GZIP, zinfo.encode()),
            Zinfo::Tar(zinfo) => (UNCOMPRESSED, zinfo.encode()),
        };
        let last = i64::try_from(self.zinfo.count()).unwrap_or(i64::MAX);
        Parts {
            build_tool: &self.build_tool,
            compressed_len: signed(self.compressed_len),
            uncompressed_len: signed(self.uncompressed_len),
            files: &self.files,
            type_name: FileType::name,
            last_span: i32::try_from(last.saturating_sub(1)).unwrap_or(i32::MAX),
            digests: &self.digests,
            zinfo: &zinfo,
            algorithm,
        }
        .encode()
    }

    /// Number of spans.
    #[must_use]
    pub fn span_count(&self) -> usize {
        self.digests.len()
    }

    /// Span number `nth`.
    #[must_use]
    pub fn span(&self, nth: usize) -> Option<Span> {
        let digest = *self.digests.get(nth)?;
        let next = nth.checked_add(1)?;
        let (stored, decoded) = match &self.zinfo {
            Zinfo::Gzip(zinfo) => {
                let start = zinfo.checkpoint(nth)?;
                let end = match zinfo.checkpoint(next) {
                    Some(end) => (end.stored_offset, end.decoded_offset),
                    None => (self.compressed_len, self.uncompressed_len),
                };
                (start.first_byte()..end.0, start.decoded_offset..end.1)
            }
            Zinfo::Tar(zinfo) => {
                let start = u64_from(nth).checked_mul(zinfo.span_size())?;
                let end = start.saturating_add(zinfo.span_size()).min(zinfo.len());
                (start..end, start..end)
            }
        };
        let within = |offset: u64| offset.min(self.uncompressed_len);
        Some(Span {
            stored,
            decoded: within(decoded.start)..within(decoded.end),
            digest,
        })
    }

    fn check_spans(&self, limits: &Limits) -> Result<(), ZtocError> {
        let zinfo = match &self.zinfo {
            Zinfo::Gzip(zinfo) => zinfo,
            Zinfo::Tar(zinfo) => {
                let limit = u64::from(limits.max_frame_len);
                if zinfo.span_size().min(zinfo.len()) > limit {
                    let what = "bytes of a span";
                    return Err(ZtocError::Limit { what, limit });
                }
                let fits = zinfo.len() == self.compressed_len
                    && self.uncompressed_len <= self.compressed_len;
                let (span_size, len) = (signed(zinfo.span_size()), signed(zinfo.len()));
                return match fits {
                    true => Ok(()),
                    false => Err(ZtocError::TarZinfo { span_size, len }),
                };
            }
        };
        let limit = u64::from(limits.max_frame_len);
        // Deflate makes nothing longer by an eighth.
        let stored_limit = limit.saturating_add(limit / 8).saturating_add(64 << 10);
        let mut before: Option<(u64, u64)> = None;
        let mut points = zinfo.checkpoints().enumerate().peekable();
        while let Some((nth, point)) = points.next() {
            let of = |fault| {
                let index = u64_from(nth);
                Err(ZtocError::Checkpoint { index, fault })
            };
            let (start, decoded) = (point.first_byte(), point.decoded_offset);
            let (next, next_decoded) = match points.peek() {
                Some((_, next)) => (next.stored_offset, next.decoded_offset),
                None => (self.compressed_len, self.uncompressed_len),
            };
            if point.bits > 7 {
                return of(CheckpointFault::Bits { bits: point.bits });
            }
            if start < GZIP_HEADER_LEN || point.stored_offset > self.compressed_len {
                return of(CheckpointFault::Outside);
            }
            match before {
                None if decoded != 0 || point.bits != 0 => return of(CheckpointFault::NotFirst),
                Some((stored, out)) if start <= stored || decoded <= out => {
                    return of(CheckpointFault::Order);
                }
                _ => {}
            }
            if next.saturating_sub(start) > stored_limit
                || next_decoded.saturating_sub(decoded) > limit
            {
                return of(CheckpointFault::TooLong);
            }
            before = Some((start, decoded));
        }
        match before {
            // An empty stream has no tar.
            None => Err(ZtocError::Count {
                what: "checkpoints",
                expected: 1,
                found: 0,
            }),
            Some(_) => Ok(()),
        }
    }

    /// Payloads come one after the other, with a header between.
    fn check_files(&self) -> Result<(), ZtocError> {
        let mut end = 0_u64;
        for (index, file) in (0..).zip(&self.files) {
            let of = |fault| Err(ZtocError::File { index, fault });
            if end.saturating_add(TAR_HEADER_LEN) > file.offset {
                return of(FileFault::Overlap);
            }
            let ends = file.offset.checked_add(file.size);
            let Some(ends) = ends.filter(|ends| *ends <= self.uncompressed_len) else {
                return of(FileFault::Outside);
            };
            let padded = ends.checked_next_multiple_of(TAR_HEADER_LEN);
            end = padded.unwrap_or(u64::MAX);
        }
        Ok(())
    }
}

impl Zinfo {
    /// Number of spans.
    fn count(&self) -> u64 {
        match self {
            Self::Gzip(zinfo) => u64_from(zinfo.count()),
            Self::Tar(zinfo) => zinfo.count(),
        }
    }

    /// Length of spans in decoded bytes that was asked for.
    #[must_use]
    pub fn span_size(&self) -> i64 {
        match self {
            Self::Gzip(zinfo) => zinfo.span_size(),
            Self::Tar(zinfo) => signed(zinfo.span_size()),
        }
    }
}

fn decode_files(
    toc: &Table<'_>,
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Vec<FileMetadata>, ZtocError> {
    let elements = toc.elements(0)?;
    let limit = u64::from(limits.max_inodes);
    if u64_from(elements.len()) > limit {
        let what = "files";
        return Err(ZtocError::Limit { what, limit });
    }
    let mut files = Vec::new();
    for (index, table) in (0..).zip(elements.tables("FileMetadata")) {
        files.push(FileMetadata::decode(&table?, index, budget)?);
    }
    if !files.is_sorted_by_key(|file| file.offset) {
        files.sort_by_key(|file| file.offset);
    }
    Ok(files)
}

/// The digest of span `index`, which is `text`.
/// Bytes of `sha256:` and 64 digits.
const DIGEST_LEN: usize = 71;

pub(crate) fn decode_digest(text: &[u8], index: u64) -> Result<Digest, ZtocError> {
    // Many elements may share one text: no more of it is looked at than a digest has.
    let text = (text.len() == DIGEST_LEN).then_some(text);
    let text = text.and_then(|text| str::from_utf8(text).ok());
    let digest = text.and_then(|text| text.parse().ok());
    let digest = digest.filter(|digest: &Digest| digest.algorithm() == DigestAlgorithm::Sha256);
    digest.ok_or(ZtocError::Digest { index })
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
