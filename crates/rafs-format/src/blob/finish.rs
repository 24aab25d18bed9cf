//! Completing a new blob: what follows the chunks.

use frame_codec::{Compression, Encoder};
use image_model::{BlobId, Codec, Digest, XtsKey};
use verify::Hasher;

use super::batch_context::BatchContext;
use super::build_error::BuildError;
use super::builder::BlobBuilder;
use super::chunk_info::MAX_STORED_OFFSET;
use super::encrypted::{encrypted, looks_padded};
use super::hasher::BlobHasher;
use super::header::{CiHeader, Contexts};
use super::layout::Section;
use super::meta_file;
use super::tar_header::TarHeader;
use super::toc::{Toc, TocEntry};
use crate::flags::{BlobFeatures, Cipher, Compat, Compressor};
use crate::v6::BlobEntry;
use crate::version::Version;

/// A blob of which the last bytes are known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FinishedBlob {
    /// What to append to the chunks.
    pub trailer: Vec<u8>,
    /// Length of the whole file in bytes.
    pub len: u64,
    /// SHA-256 of the whole file.
    pub digest: Digest,
    /// The id that nydus-image gives the blob: the SHA-256 of the file without its section of chunk
    /// digests, so equal to [`digest`](Self::digest) unless there is a TOC. Stores and registries
    /// name blobs by `digest`; this is for reproducing nydus-image's output.
    pub nydus_id: BlobId,
    /// The entry for the blob table of a separate bootstrap, with [`digest`](Self::digest) as id.
    /// `None` if the blob holds no chunk but a bootstrap alone: such are not listed.
    pub entry: Option<BlobEntry>,
    /// The chunk information as a [file of its own](super::BlobMeta::decode_file); empty in version 5.
    pub meta_file: Vec<u8>,
}

/// A blob that waits for the bootstrap that will be inlined.
#[derive(Debug, Clone)]
pub struct SealedBlob {
    tail: Tail,
    entry: Option<BlobEntry>,
}

/// What the chunk information holds.
struct Entries {
    /// The entries.
    plain: Vec<u8>,
    /// How many there are.
    count: u32,
    /// Batches, if the blob may have them.
    batches: Option<Vec<BatchContext>>,
    /// What it is encrypted with, if it is.
    key: Option<XtsKey>,
}

/// What follows the chunks, as it grows.
#[derive(Debug, Clone)]
struct Tail {
    bytes: Vec<u8>,
    hasher: BlobHasher,
    /// Entries of the TOC so far, if there will be one.
    toc: Option<Vec<TocEntry>>,
    meta_file: Vec<u8>,
}

impl BlobBuilder {
    /// Completes a blob whose bootstrap is separate. `hasher` has seen the chunks. `None` if there
    /// is no chunk: then there is no blob either.
    ///
    /// # Errors
    /// [`BuildError::Hashed`], [`BuildError::TooLarge`], [`BuildError::Compress`], [`BuildError::OpenBatch`].
    pub fn finish(self, hasher: BlobHasher) -> Result<Option<FinishedBlob>, BuildError> {
        let toc = self.options.toc;
        let features = if toc {
            BlobFeatures::HAS_TAR_HEADER
        } else {
            BlobFeatures::default()
        };
        let SealedBlob { tail, entry } = self.append_meta(hasher, features)?;
        entry.map(|entry| tail.finish(Some(entry))).transpose()
    }

    /// Completes a blob but for the bootstrap that will be inlined. `hasher` has seen the chunks.
    ///
    /// # Errors
    /// [`BuildError::Hashed`], [`BuildError::TooLarge`], [`BuildError::Compress`], [`BuildError::OpenBatch`].
    pub fn seal(self, hasher: BlobHasher) -> Result<SealedBlob, BuildError> {
        self.append_meta(
            hasher,
            BlobFeatures::HAS_TAR_HEADER | BlobFeatures::INLINED_FS_META,
        )
    }

    fn append_meta(
        self,
        hasher: BlobHasher,
        features: BlobFeatures,
    ) -> Result<SealedBlob, BuildError> {
        self.check_no_batch()?;
        let has_batches = self.has_batches();
        let Self {
            options,
            entries,
            digests,
            chunk_count,
            offset,
            address,
            batches,
            ..
        } = self;
        if hasher.len != offset {
            return Err(BuildError::Hashed {
                expected: offset,
                found: hasher.len,
            });
        }
        let toc = options.toc.then(Vec::new);
        let mut tail = Tail {
            bytes: Vec::new(),
            hasher,
            toc,
            meta_file: Vec::new(),
        };
        if chunk_count == 0 {
            return Ok(SealedBlob { tail, entry: None });
        }

        let mut features = features | BlobFeatures::CAP_TAR_TOC;
        if options.version == Version::V6 {
            features = features | BlobFeatures::ALIGNED;
        }
        if has_batches {
            features = features | BlobFeatures::BATCH | BlobFeatures::CHUNK_INFO_V2;
        }
        if options.key.is_some() {
            features = features | BlobFeatures::ENCRYPTED | BlobFeatures::CHUNK_INFO_V2;
        }
        if options.toc {
            features = features | BlobFeatures::HAS_TOC | BlobFeatures::INLINED_CHUNK_DIGEST;
        }
        if features.contains(BlobFeatures::HAS_TAR_HEADER) {
            tail.append_header(Section::Data, offset);
            tail.list(|hasher| TocEntry {
                len: address,
                ..TocEntry::new(Section::Data, hasher.file.clone().finish(), 0..offset)
            });
        }

        let header = match options.version {
            Version::V5 => CiHeader {
                features: 0,
                compressor: Compressor::None,
                entries: 0,
                offset: 0,
                stored_len: 0,
                len: 0,
                contexts: Contexts::default(),
            },
            Version::V6 => tail.append_ci(
                Entries {
                    plain: entries,
                    count: chunk_count,
                    batches: has_batches.then_some(batches),
                    key: options.key,
                },
                compression(match options.compat {
                    Compat::V2_2 => Compressor::Zstd,
                    Compat::V2_4 => options.compressor,
                }),
                features,
            )?,
        };
        if options.toc {
            tail.append_digests(&digests);
        }

        let entry = BlobEntry {
            id: BlobId::new(BlobEntry::SELF_ID.as_bytes()).expect("64 letters name a blob"),
            chunk_size: options.chunk_size,
            chunk_count,
            compressor: options.compressor,
            digester: options.digester,
            features,
            compressed_size: tail.end(),
            uncompressed_size: address,
            toc_size: 0,
            toc_digest: [0; 32],
            ci_compressor: header.compressor,
            ci_offset: header.offset,
            ci_compressed_size: header.stored_len,
            ci_uncompressed_size: header.len,
            meta_digest: [0; 32],
            meta_size: 0,
            cipher_iv: 0,
            cipher: Cipher::None,
        };
        let entry = match &options.key {
            Some(key) => entry.encrypted(key),
            None => entry,
        };
        Ok(SealedBlob {
            tail,
            entry: Some(entry),
        })
    }
}

impl SealedBlob {
    /// The entry for the blob table of the bootstrap that will be inlined; `None` if there is no
    /// chunk: then its blob table is empty.
    #[must_use]
    pub fn entry(&self) -> Option<&BlobEntry> {
        self.entry.as_ref()
    }

    /// Inlines `bootstrap` and completes the blob.
    ///
    /// # Errors
    /// [`BuildError::TooLarge`], [`BuildError::Compress`].
    pub fn embed(self, bootstrap: &[u8]) -> Result<FinishedBlob, BuildError> {
        let Self { mut tail, entry } = self;
        let start = tail.end();
        let compressor = match tail.toc {
            Some(_) => Compressor::Zstd,
            None => Compressor::None,
        };
        tail.append_compressed(Section::Bootstrap, bootstrap, compression(compressor))?;
        tail.append_header(Section::Bootstrap, tail.end() - start);
        // A separate bootstrap does not record that the blob contains another one.
        let entry = entry.map(|entry| BlobEntry {
            features: entry.features.without(BlobFeatures::INLINED_FS_META),
            ..entry
        });
        tail.finish(entry)
    }
}

impl Tail {
    /// Length of the file so far, in bytes.
    fn end(&self) -> u64 {
        self.hasher.len
    }

    fn append(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.bytes.extend_from_slice(bytes);
    }

    fn append_header(&mut self, section: Section, len: u64) {
        self.append(&TarHeader::new(section, len).to_bytes());
    }

    /// Appends a section, compressed if that makes it smaller, and says how it is stored.
    fn append_compressed(
        &mut self,
        section: Section,
        plain: &[u8],
        compression: Compression,
    ) -> Result<Compressor, BuildError> {
        self.append_object(section, plain, compression, None)
    }

    /// The same, encrypted with `key`, if there is one.
    fn append_object(
        &mut self,
        section: Section,
        plain: &[u8],
        compression: Compression,
        key: Option<&XtsKey>,
    ) -> Result<Compressor, BuildError> {
        let error = |source| BuildError::Compress {
            section: section.name(),
            source,
        };
        let mut stored = Vec::new();
        let mut encoder = Encoder::new(compression).map_err(error)?;
        let compressor = match encoder.encode(plain, &mut stored).map_err(error)? {
            Codec::Lz4Block => Compressor::Lz4Block,
            Codec::Zstd => Compressor::Zstd,
            _ => Compressor::None,
        };
        let compressor = match key {
            // What would be read as padded stays as it is: it is longer.
            Some(_) if looks_padded(&stored) => {
                stored = plain.to_vec();
                Compressor::None
            }
            _ => compressor,
        };
        let start = self.end();
        self.append(&encrypted(key, &stored)?);
        let range = start..self.end();
        self.list(|_| TocEntry {
            compressor,
            len: plain.len() as u64,
            ..TocEntry::new(section, sha256(plain), range)
        });
        Ok(compressor)
    }

    /// Appends the chunk information that `entries` are, and its header.
    fn append_ci(
        &mut self,
        entries: Entries,
        compression: Compression,
        features: BlobFeatures,
    ) -> Result<CiHeader, BuildError> {
        let start = self.end();
        let Entries {
            mut plain,
            count,
            batches,
            key,
        } = entries;
        let contexts = batches.map_or_else(Contexts::default, |batches| {
            let offset = plain.len() as u64;
            plain.extend(batches.iter().flat_map(BatchContext::to_bytes));
            Contexts {
                offset,
                len: plain.len() as u64 - offset,
                // No more than chunks.
                count: batches.len() as u32,
            }
        });
        let key = key.as_ref();
        let compressor = self.append_object(Section::ChunkInfo, &plain, compression, key)?;
        let end = self.end();
        let header = CiHeader {
            features: features.bits(),
            compressor,
            entries: count,
            offset: start,
            stored_len: end - start,
            len: plain.len() as u64,
            contexts,
        };
        let bytes = header.to_bytes();
        self.meta_file = meta_file::write(&plain, &bytes);
        self.append(&encrypted(key, &bytes)?);
        let range = end..self.end();
        self.list(|_| TocEntry::new(Section::ChunkInfoHeader, sha256(&bytes), range));
        if features.contains(BlobFeatures::HAS_TAR_HEADER) {
            self.append_header(Section::ChunkInfo, self.end() - start);
        }
        Ok(header)
    }

    fn append_digests(&mut self, digests: &[u8]) {
        let start = self.end();
        self.hasher.update_digests(digests);
        self.bytes.extend_from_slice(digests);
        let range = start..self.end();
        self.append_header(Section::ChunkDigests, digests.len() as u64);
        self.list(|_| TocEntry::new(Section::ChunkDigests, sha256(digests), range));
    }

    /// Adds an entry to the TOC, if there will be one.
    fn list(&mut self, entry: impl FnOnce(&BlobHasher) -> TocEntry) {
        if let Some(toc) = &mut self.toc {
            toc.push(entry(&self.hasher));
        }
    }

    fn finish(mut self, entry: Option<BlobEntry>) -> Result<FinishedBlob, BuildError> {
        let toc = self.toc.take().map(|entries| {
            let (toc, bytes) = Toc::build(entries);
            self.append(&bytes);
            toc
        });
        let Self {
            bytes: trailer,
            hasher,
            meta_file,
            ..
        } = self;
        let len = hasher.len;
        if len > MAX_STORED_OFFSET {
            return Err(BuildError::TooLarge {
                what: "stored bytes",
                limit: MAX_STORED_OFFSET,
            });
        }
        let digest = hasher.file.finish();
        let nydus_digest = hasher.without_digests.map_or(digest, Hasher::finish);
        let entry = entry.map(|entry| BlobEntry {
            id: id(&digest),
            // In version 5 it is always everything before the bootstrap.
            compressed_size: match entry.ci_compressed_size {
                0 => entry.compressed_size,
                _ => len,
            },
            // At most five entries and a tar header.
            toc_size: toc.as_ref().map_or(0, |toc| toc.stored_len() as u32),
            toc_digest: toc.map_or([0; 32], |toc| *toc.digest().as_bytes()),
            ..entry
        });
        Ok(FinishedBlob {
            trailer,
            len,
            digest,
            nydus_id: id(&nydus_digest),
            entry,
            meta_file,
        })
    }
}

fn compression(compressor: Compressor) -> Compression {
    match compressor {
        Compressor::Lz4Block => Compression::Lz4Block,
        // The default of the one-shot interface, whatever level compresses the chunks.
        Compressor::Zstd => Compression::Zstd { level: 3 },
        // `BlobBuilder::new` refuses gzip.
        Compressor::None | Compressor::Gzip => Compression::None,
    }
}

fn sha256(bytes: &[u8]) -> Digest {
    verify::sha256(bytes)
}

fn id(digest: &Digest) -> BlobId {
    BlobId::new(digest.hex().as_bytes()).expect("64 hex digits name a blob")
}
