//! The blob table: what the bootstrap knows of each data blob.

use std::fmt;

use image_model::{Blob, BlobId, Digest, DigestAlgorithm, XtsKey};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::{At, DecodeError};
use crate::flags::{BlobFeatures, Cipher, Compressor, Digester};
use crate::view;

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct RawBlobEntry {
    blob_id: [u8; 64],
    blob_index: U32,
    chunk_size: U32,
    chunk_count: U32,
    compression_algo: U32,
    digest_algo: U32,
    features: U32,
    compressed_size: U64,
    uncompressed_size: U64,
    blob_toc_size: U32,
    ci_compressor: U32,
    ci_offset: U64,
    ci_compressed_size: U64,
    ci_uncompressed_size: U64,
    blob_toc_digest: [u8; 32],
    blob_meta_digest: [u8; 32],
    blob_meta_size: U64,
    cipher_iv: U64,
    cipher_algo: U32,
    reserved: [u8; 36],
}

const _: () = assert!(size_of::<RawBlobEntry>() == BlobEntry::LEN);
const _: () = assert!(std::mem::offset_of!(RawBlobEntry, ci_offset) == 112);
const _: () = assert!(std::mem::offset_of!(RawBlobEntry, cipher_algo) == 216);

/// An entry of the blob table, 256 bytes, one for each data blob.
///
/// | offset | size | field | unit and rule |
/// |---|---|---|---|
/// | 0 | 64 | blob_id | ASCII, zero padded |
/// | 64 | 4 | blob_index | its own position |
/// | 68 | 4 | chunk_size | bytes, equal to the extended superblock's |
/// | 72 | 4 | chunk_count | entries of the chunk information (CI) |
/// | 76 | 4 | compression_algo | [`Compressor`] |
/// | 80 | 4 | digest_algo | [`Digester`] |
/// | 84 | 4 | features | [`BlobFeatures`]; ALIGNED unless tarfs |
/// | 88 | 8 | compressed_size | bytes, at most 2^40; see [`compressed_size`](Self::compressed_size) |
/// | 96 | 8 | uncompressed_size | bytes, at most 2^44 |
/// | 104 | 4 | blob_toc_size | bytes of TOC and its tar header, or 0 |
/// | 108 | 4 | ci_compressor | [`Compressor`] of the CI |
/// | 112 | 8 | ci_offset | byte in the blob |
/// | 120 | 8 | ci_compressed_size | bytes stored, at most the next |
/// | 128 | 8 | ci_uncompressed_size | bytes: 16 a chunk, or 24 (and contexts) with CHUNK_INFO_V2 |
/// | 136 | 32 | blob_toc_digest | SHA-256 of TOC and its tar header |
/// | 168 | 32 | blob_meta_digest | SEPARATE: SHA-256 of the meta blob; ENCRYPTED: the key |
/// | 200 | 8 | blob_meta_size | SEPARATE: bytes of the meta blob; ENCRYPTED: IV, first half |
/// | 208 | 8 | cipher_iv | ENCRYPTED: IV, second half |
/// | 216 | 4 | cipher_algo | [`Cipher`], none or aes-128-xts, whose key has two different halves |
/// | 220 | 36 | reserved | 0, not read |
///
/// Source: nydus v2, `rafs/src/metadata/layout/v6.rs` (`RafsV6Blob`). A reader learns of growth by the
/// feature word: bits `0xf000` and bit 31 make every reader refuse the entry.
#[derive(Clone, PartialEq, Eq)]
pub struct BlobEntry {
    /// Name of the blob.
    pub id: BlobId,
    /// Bytes of a chunk that is not its file's last.
    pub chunk_size: u32,
    /// Chunks in the blob.
    pub chunk_count: u32,
    /// How chunks that are marked as compressed are.
    pub compressor: Compressor,
    /// Which digest names chunks.
    pub digester: Digester,
    /// What the blob holds and how.
    pub features: BlobFeatures,
    /// Bytes of the whole blob file; of a blob with an inlined bootstrap those before it; of a
    /// reference blob those of the original layer.
    pub compressed_size: u64,
    /// Bytes of the blob's uncompressed address space.
    pub uncompressed_size: u64,
    /// Bytes of the TOC and its tar header; 0 if there is none or it is not known.
    pub toc_size: u32,
    /// SHA-256 of the TOC and its tar header; zeros if there is none or it is not known.
    pub toc_digest: [u8; 32],
    /// How the chunk information is compressed.
    pub ci_compressor: Compressor,
    /// First byte of the chunk information in the blob (SEPARATE: in the meta blob).
    pub ci_offset: u64,
    /// Stored bytes of the chunk information.
    pub ci_compressed_size: u64,
    /// Plain bytes of the chunk information.
    pub ci_uncompressed_size: u64,
    /// Digest of the meta blob, or key; see the table above.
    pub meta_digest: [u8; 32],
    /// Bytes of the meta blob, or half an IV; see the table above.
    pub meta_size: u64,
    /// Half an IV; see the table above.
    pub cipher_iv: u64,
    /// How chunks that are marked as encrypted are.
    pub cipher: Cipher,
}

impl BlobEntry {
    /// Size of an entry in bytes.
    pub const LEN: usize = 256;

    /// The id in the bootstrap that is inlined in its own blob, which cannot name itself.
    pub const SELF_ID: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

    /// Whether the blob is the file that holds the bootstrap, so that its id is to be taken from
    /// the name of that file.
    #[must_use]
    pub fn is_self(&self) -> bool {
        self.id.as_str() == Self::SELF_ID
    }

    /// Whether the blob is a layer as it was, so that its chunk information is elsewhere: in the file that holds the
    /// bootstrap, or in [one of its own](Self::meta_id).
    #[must_use]
    pub fn is_separate(&self) -> bool {
        self.features.contains(BlobFeatures::SEPARATE)
    }

    /// The name of the file with its chunk information: its digest. `None` if that is not known, or for a blob that is
    /// not [separate](Self::is_separate).
    #[must_use]
    pub fn meta_id(&self) -> Option<BlobId> {
        if !self.is_separate() || self.meta_digest == [0; 32] {
            return None;
        }
        let digest = Digest::new(DigestAlgorithm::Sha256, self.meta_digest);
        BlobId::new(digest.hex().as_bytes()).ok()
    }

    /// What its chunks and its chunk information are encrypted with; `None` if they are not, or by nothing that is known.
    #[must_use]
    pub fn xts_key(&self) -> Option<XtsKey> {
        if !self.is_encrypted() {
            return None;
        }
        let mut iv = [0; 16];
        let (first, second) = iv.split_at_mut(8);
        first.copy_from_slice(&self.meta_size.to_le_bytes());
        second.copy_from_slice(&self.cipher_iv.to_le_bytes());
        XtsKey::new(self.meta_digest, iv)
    }

    /// Whether it has a [key](Self::xts_key), as its fields were checked.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.cipher == Cipher::Aes128Xts && self.features.contains(BlobFeatures::ENCRYPTED)
    }

    /// The same, encrypted with `key`.
    #[must_use]
    pub fn encrypted(self, key: &XtsKey) -> Self {
        let [first, second] = [0, 8].map(|at: usize| {
            let mut half = [0; 8];
            half.copy_from_slice(&key.iv()[at..at.saturating_add(8)]);
            u64::from_le_bytes(half)
        });
        Self {
            features: self.features | BlobFeatures::ENCRYPTED | BlobFeatures::CHUNK_INFO_V2,
            meta_digest: *key.key(),
            meta_size: first,
            cipher_iv: second,
            cipher: Cipher::Aes128Xts,
            ..self
        }
    }

    /// Bytes of the blob's chunk data: no stored chunk ends after it.
    #[must_use]
    pub fn data_len(&self) -> u64 {
        let with_header = if self.features.contains(BlobFeatures::SEPARATE) {
            return self.compressed_size;
        } else if self.features.contains(BlobFeatures::CAP_TAR_TOC) && self.ci_compressed_size > 0 {
            self.ci_offset
        } else {
            self.compressed_size
        };
        if self.features.contains(BlobFeatures::HAS_TAR_HEADER) {
            with_header.saturating_sub(512)
        } else {
            with_header
        }
    }

    /// The same facts in the shared model.
    #[must_use]
    pub fn blob(&self) -> Blob {
        let mut blob = Blob::new(self.id.clone());
        blob.stored_len = Some(self.compressed_size);
        blob.decoded_len = Some(self.uncompressed_size);
        blob.chunk_count = Some(self.chunk_count);
        blob
    }

    /// Reads the entry at position `index`, which lies at `offset` of a bootstrap whose chunks have
    /// `chunk_size` bytes.
    ///
    /// # Errors
    /// [`DecodeError`] if a field breaks its rule.
    pub fn from_bytes(
        bytes: &[u8; Self::LEN],
        index: u32,
        offset: u64,
        chunk_size: u32,
    ) -> Result<Self, DecodeError> {
        let entry = Self::parse(bytes, index, offset, chunk_size)?;
        entry.check(At::new("blob table entry", offset))?;
        Ok(entry)
    }

    /// An entry at position 0 for a blob of version 5, which has no chunk information.
    pub(crate) fn from_bytes_of_v5(
        bytes: &[u8; Self::LEN],
        chunk_size: u32,
    ) -> Result<Self, DecodeError> {
        let entry = Self::parse(bytes, 0, 0, chunk_size)?;
        entry.check_sizes(At::new("blob table entry", 0))?;
        Ok(entry)
    }

    fn parse(
        bytes: &[u8; Self::LEN],
        index: u32,
        offset: u64,
        chunk_size: u32,
    ) -> Result<Self, DecodeError> {
        let raw: RawBlobEntry = zerocopy::transmute!(*bytes);
        let at = At::new("blob table entry", offset);
        let id = view::text(&raw.blob_id);
        let padding = &raw.blob_id[id.len()..];
        let rest = padding.iter().find(|&&b| b != 0);
        at.require(
            rest.is_none(),
            "blob_id",
            rest.copied().unwrap_or(0),
            "padded with zeros",
        )?;
        at.require(
            raw.blob_index.get() == index,
            "blob_index",
            raw.blob_index,
            "the entry's position",
        )?;
        at.require(
            raw.chunk_size.get() == chunk_size,
            "chunk_size",
            raw.chunk_size,
            "that of the extended superblock",
        )?;
        Ok(Self {
            id: BlobId::new(id).map_err(|source| DecodeError::BlobId { offset, source })?,
            chunk_size,
            chunk_count: raw.chunk_count.get(),
            compressor: at.flags(Compressor::from_id(raw.compression_algo.get()))?,
            digester: at.flags(Digester::from_id(raw.digest_algo.get()))?,
            features: at.flags(BlobFeatures::from_raw(raw.features.get()))?,
            compressed_size: raw.compressed_size.get(),
            uncompressed_size: raw.uncompressed_size.get(),
            toc_size: raw.blob_toc_size.get(),
            toc_digest: raw.blob_toc_digest,
            ci_compressor: at.flags(Compressor::from_id(raw.ci_compressor.get()))?,
            ci_offset: raw.ci_offset.get(),
            ci_compressed_size: raw.ci_compressed_size.get(),
            ci_uncompressed_size: raw.ci_uncompressed_size.get(),
            meta_digest: raw.blob_meta_digest,
            meta_size: raw.blob_meta_size.get(),
            cipher_iv: raw.cipher_iv.get(),
            cipher: at.flags(Cipher::from_id(raw.cipher_algo.get()))?,
        })
    }

    /// Whether the fields keep their rules; `at` is what they come from.
    pub(crate) fn check(&self, at: At) -> Result<(), DecodeError> {
        self.check_sizes(at)?;
        self.check_features(at)?;
        self.check_chunk_information(at)?;
        let usable = matches!(self.cipher, Cipher::None | Cipher::Aes128Xts);
        at.require(
            usable,
            "cipher_algo",
            self.cipher.id(),
            "0 (none) or 1 (aes-128-xts)",
        )?;
        let (data_key, tweak_key) = self.meta_digest.split_at(16);
        let rule = "a key whose halves differ, for aes-128-xts";
        at.require(
            self.cipher != Cipher::Aes128Xts || data_key != tweak_key,
            "blob_meta_digest",
            data_key[0],
            rule,
        )
    }

    fn check_sizes(&self, at: At) -> Result<(), DecodeError> {
        at.require(
            self.chunk_count <= 1 << 24,
            "chunk_count",
            self.chunk_count,
            "at most 2^24",
        )?;
        at.require(
            self.compressed_size <= 1 << 40,
            "compressed_size",
            self.compressed_size,
            "at most 2^40",
        )?;
        at.require(
            self.uncompressed_size <= 1 << 44,
            "uncompressed_size",
            self.uncompressed_size,
            "at most 2^44",
        )
    }

    fn check_features(&self, at: At) -> Result<(), DecodeError> {
        let has = |feature| self.features.contains(feature);
        let found = self.features.bits();
        at.require(
            has(BlobFeatures::ALIGNED) != has(BlobFeatures::TARFS),
            "features",
            found,
            "either ALIGNED or TARFS",
        )?;
        let needs_v2 = BlobFeatures::ZRAN | BlobFeatures::BATCH | BlobFeatures::ENCRYPTED;
        at.require(
            has(BlobFeatures::CHUNK_INFO_V2) || !self.features.intersects(needs_v2),
            "features",
            found,
            "with CHUNK_INFO_V2 if ZRAN, BATCH or ENCRYPTED",
        )?;
        at.require(
            !has(BlobFeatures::ENCRYPTED | BlobFeatures::SEPARATE),
            "features",
            found,
            "not both ENCRYPTED and SEPARATE",
        )
    }

    fn check_chunk_information(&self, at: At) -> Result<(), DecodeError> {
        let plain = self.ci_uncompressed_size;
        at.require(
            self.ci_compressed_size <= plain,
            "ci_compressed_size",
            self.ci_compressed_size,
            "at most ci_uncompressed_size",
        )?;
        let has = |feature| self.features.contains(feature);
        if has(BlobFeatures::TARFS) {
            return Ok(());
        }
        let count = u64::from(self.chunk_count);
        let contexts = BlobFeatures::ZRAN | BlobFeatures::BATCH | BlobFeatures::ENCRYPTED;
        if !has(BlobFeatures::CHUNK_INFO_V2) {
            let rule = "16 bytes a chunk";
            at.require(plain == 16 * count, "ci_uncompressed_size", plain, rule)
        } else if self.features.intersects(contexts) {
            let rule = "at least 24 bytes a chunk";
            at.require(plain >= 24 * count, "ci_uncompressed_size", plain, rule)
        } else {
            let rule = "24 bytes a chunk";
            at.require(plain == 24 * count, "ci_uncompressed_size", plain, rule)
        }
    }

    /// The entry as stored at position `index`. An id of more than 64 bytes, which no v6 image
    /// can hold and which [`Layout::plan`](super::Layout::plan) refuses, is cut.
    #[must_use]
    pub fn to_bytes(&self, index: u32) -> [u8; Self::LEN] {
        let mut raw = RawBlobEntry::new_zeroed();
        for (to, from) in raw.blob_id.iter_mut().zip(self.id.as_str().bytes()) {
            *to = from;
        }
        raw.blob_index = index.into();
        raw.chunk_size = self.chunk_size.into();
        raw.chunk_count = self.chunk_count.into();
        raw.compression_algo = self.compressor.id().into();
        raw.digest_algo = self.digester.id().into();
        raw.features = self.features.bits().into();
        raw.compressed_size = self.compressed_size.into();
        raw.uncompressed_size = self.uncompressed_size.into();
        raw.blob_toc_size = self.toc_size.into();
        raw.ci_compressor = self.ci_compressor.id().into();
        raw.ci_offset = self.ci_offset.into();
        raw.ci_compressed_size = self.ci_compressed_size.into();
        raw.ci_uncompressed_size = self.ci_uncompressed_size.into();
        raw.blob_toc_digest = self.toc_digest;
        raw.blob_meta_digest = self.meta_digest;
        raw.blob_meta_size = self.meta_size.into();
        raw.cipher_iv = self.cipher_iv.into();
        raw.cipher_algo = self.cipher.id().into();
        zerocopy::transmute!(raw)
    }
}

/// Without the key, if it may have one.
impl fmt::Debug for BlobEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            chunk_size,
            chunk_count,
            compressor,
            digester,
            features,
            compressed_size,
            uncompressed_size,
            toc_size,
            toc_digest,
            ci_compressor,
            ci_offset,
            ci_compressed_size,
            ci_uncompressed_size,
            meta_digest,
            meta_size,
            cipher_iv,
            cipher,
        } = self;
        let secret = *cipher != Cipher::None || features.contains(BlobFeatures::ENCRYPTED);
        let meta_digest: &dyn fmt::Debug = match secret {
            true => &format_args!(".."),
            false => meta_digest,
        };
        f.debug_struct("BlobEntry")
            .field("id", id)
            .field("chunk_size", chunk_size)
            .field("chunk_count", chunk_count)
            .field("compressor", compressor)
            .field("digester", digester)
            .field("features", features)
            .field("compressed_size", compressed_size)
            .field("uncompressed_size", uncompressed_size)
            .field("toc_size", toc_size)
            .field("toc_digest", toc_digest)
            .field("ci_compressor", ci_compressor)
            .field("ci_offset", ci_offset)
            .field("ci_compressed_size", ci_compressed_size)
            .field("ci_uncompressed_size", ci_uncompressed_size)
            .field("meta_digest", meta_digest)
            .field("meta_size", meta_size)
            .field("cipher_iv", cipher_iv)
            .field("cipher", cipher)
            .finish()
    }
}
