//! The chunk information of a blob, opened.

use std::ops::Range;

use bytes::Bytes;
use frame_codec::Decoder;
use image_model::deflate::DeflateStart;
use image_model::width::{u64_from, usize_from, usize_up_to};
use image_model::{BlobIndex, Frame, Limits, Recipe, RecipeId};

use super::batch_context::BatchContext;
use super::chunk_info::{ChunkExtra, ChunkFault, ChunkInfo};
use super::context_table::ContextTable;
use super::encrypted::decrypted;
use super::error::{BlobError, check_given};
use super::header::CiHeader;
use super::section::Stored;
use super::zran_context::ZranContext;
use super::{chunk_info_v1, chunk_info_v2};
use crate::flags::BlobFeatures;
use crate::native::{is_batched, is_zran};
use crate::v6::BlobEntry;

/// The chunk information of a blob: which chunk lies where, stored and plain.
///
/// Opening checks the header and the lengths; each access checks the entry it touches;
/// [`check`](Self::check) checks all of them and their order. Entries are sorted, so a chunk is
/// found by its address in logarithmic time. Of a blob in zran mode it has the [contexts](ZranContext),
/// too, and of one with batches [those](BatchContext). Of encrypted blobs it is decrypted (feature `encryption`).
///
/// [`LoadMeta`](super::LoadMeta) asks for what is needed; by hand it goes like this:
///
/// ```
/// use bytes::Bytes;
/// use image_model::Limits;
/// use lazyoci_rafs_format::blob::BlobMeta;
/// use lazyoci_rafs_format::v6::Bootstrap;
///
/// # let boot = Bytes::from_static(include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/a4-v6-none-sha256.boot")));
/// # let blob = Bytes::from_static(include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/a4-v6-none-sha256.blob")));
/// let limits = Limits::default();
/// let bootstrap = Bootstrap::open(boot, &limits)?;
/// let entry = &bootstrap.blob_entries()[0];
/// let range = BlobMeta::range(entry, &limits)?;
/// let stored = blob.slice(range.start as usize..range.end as usize);
/// let meta = BlobMeta::decode(entry, &stored, &mut frame_codec::Decoder::new(), &limits)?;
/// let (index, chunk) = meta.chunk_at(0)?.expect("the blob begins with a chunk");
/// assert_eq!((index, chunk.offset), (0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct BlobMeta {
    blob: BlobEntry,
    /// The plain array: exactly `chunk_count` entries.
    entries: Entries,
    contexts: ContextTable,
}

#[derive(Debug, Clone)]
enum Entries {
    V1(Bytes),
    V2(Bytes),
}

/// Chunks per blob.
const MAX_CHUNKS: u32 = 1 << 24;

impl BlobMeta {
    /// The range of the file that holds the chunk information and its header: what to fetch for
    /// [`decode`](Self::decode). What the blob table declares is checked first, so that the range
    /// is no longer than `limits` allow.
    ///
    /// # Errors
    /// [`BlobError::Features`], [`BlobError::ChunkCount`], [`BlobError::CiLen`],
    /// [`BlobError::CiStoredLen`], [`BlobError::OutOfBounds`], [`BlobError::Limit`].
    pub fn range(blob: &BlobEntry, limits: &Limits) -> Result<Range<u64>, BlobError> {
        let readable = cfg!(feature = "encryption") && blob.is_encrypted();
        if blob.features.contains(BlobFeatures::ENCRYPTED) && !readable {
            return Err(BlobError::Features {
                features: BlobFeatures::ENCRYPTED.bits(),
            });
        }
        let count = blob.chunk_count;
        if count == 0 || count > MAX_CHUNKS {
            return Err(BlobError::ChunkCount { count });
        }
        for (piece, declared, limit) in [
            ("chunks", count.into(), limits.max_chunks.into()),
            (
                "bytes of chunk information",
                blob.ci_uncompressed_size,
                limits.max_metadata_len,
            ),
        ] {
            if declared > limit {
                return Err(BlobError::Limit {
                    piece,
                    declared,
                    limit,
                });
            }
        }
        let expected = u64::from(count).saturating_mul(entry_len(blob));
        let found = blob.ci_uncompressed_size;
        let has_contexts = is_zran(blob) || is_batched(blob);
        if found != expected && !(has_contexts && found > expected) {
            return Err(BlobError::CiLen { expected, found });
        }
        let (offset, stored_len) = (blob.ci_offset, blob.ci_compressed_size);
        if stored_len == 0 || stored_len > found {
            return Err(BlobError::CiStoredLen {
                len: found,
                stored_len,
            });
        }
        // At most 384 MiB and the header.
        let len = stored_len.saturating_add(u64_from(CiHeader::LEN));
        match offset.checked_add(len) {
            Some(end) => Ok(offset..end),
            None => Err(BlobError::OutOfBounds {
                piece: "chunk information",
                offset,
                len,
                blob_len: blob.compressed_size,
            }),
        }
    }

    /// Opens the chunk information of `blob`: `stored` is what [`range`](Self::range) names.
    ///
    /// # Errors
    /// Those of [`range`](Self::range); [`BlobError::Given`] if `stored` has another length;
    /// [`BlobError::HeaderMagic`], [`BlobError::Flags`], [`BlobError::Contradiction`] if the header is damaged;
    /// [`BlobError::Encrypted`]; [`BlobError::Decompress`]; [`BlobError::ContextCount`] if contexts do not fit;
    /// [`BlobError::Limit`], too, if more than eight of them hold the same stored bytes.
    pub fn decode(
        blob: &BlobEntry,
        stored: &Bytes,
        decoder: &mut Decoder,
        limits: &Limits,
    ) -> Result<Self, BlobError> {
        let range = Self::range(blob, limits)?;
        let expected = range.end.saturating_sub(range.start);
        check_given("chunk information", expected, stored)?;
        let key = blob.xts_key();
        let ci_len = stored.len().saturating_sub(CiHeader::LEN);
        let header = decrypted(
            key.as_ref(),
            "header of the chunk information",
            &stored.slice(ci_len..),
        )?;
        let header = CiHeader::from_bytes(header.first_chunk().expect("a range holds a header"))?;
        header.check(blob)?;
        let ci = decrypted(key.as_ref(), "chunk information", &stored.slice(..ci_len))?;
        let section = Stored {
            name: "blob.meta",
            compressor: blob.ci_compressor,
            len: blob.ci_uncompressed_size,
        };
        let plain = section.decode(&ci, decoder, limits)?;
        Self::of_plain(blob, &header, &plain)
    }

    /// The entries of `blob`, as many as it has chunks, and the contexts after them, by `header`.
    pub(super) fn of_plain(
        blob: &BlobEntry,
        header: &CiHeader,
        plain: &Bytes,
    ) -> Result<Self, BlobError> {
        let len = u64::from(blob.chunk_count).saturating_mul(entry_len(blob));
        let entries = plain.slice(..usize_up_to(len).min(plain.len()));
        let entries = if is_v2(blob) {
            Entries::V2(entries)
        } else {
            Entries::V1(entries)
        };
        // Entries that cannot be read are reported when they are used.
        let chunks = (0..blob.chunk_count).filter_map(|index| entries.get(index).ok());
        let contexts = ContextTable::of_plain(blob, &header.contexts, plain, chunks)?;
        Ok(Self {
            blob: blob.clone(),
            entries,
            contexts,
        })
    }

    /// Contexts of a blob in zran mode, or batches of one that has those.
    #[must_use]
    pub fn context_count(&self) -> u32 {
        self.contexts.count()
    }

    /// The context at `index` of a blob in zran mode, checked against the blob; `None` if there are fewer.
    ///
    /// # Errors
    /// [`BlobError::Context`].
    pub fn context(&self, index: u32) -> Result<Option<ZranContext>, BlobError> {
        self.contexts.zran(index, &self.blob)
    }

    /// The batch at `index`, checked against the blob, and its first stored byte; `None` if there are fewer.
    ///
    /// # Errors
    /// [`BlobError::Batch`].
    pub fn batch(&self, index: u32) -> Result<Option<(BatchContext, u64)>, BlobError> {
        self.contexts.batch(index, &self.blob)
    }

    /// The frame that context `index` of blob number `blob`, which is this one, is; `recipe` is the number of its
    /// recipe, if it has one of its own.
    pub(crate) fn frame(
        &self,
        index: u32,
        blob: BlobIndex,
        recipe: RecipeId,
    ) -> Result<Option<Frame>, BlobError> {
        self.contexts.frame(index, (&self.blob, blob), recipe)
    }

    /// The recipe of context `index`, if it has one of its own.
    pub(crate) fn recipe(&self, index: u32) -> Option<Recipe> {
        self.contexts.recipe(index, &self.blob)
    }

    /// How the deflate data of `context`, which is one of these, are entered.
    #[must_use]
    pub fn deflate_start(&self, context: &ZranContext) -> DeflateStart {
        self.contexts.start(context)
    }

    /// Checks the contexts, and their reserved bytes.
    pub(super) fn check_contexts(&self, report: &mut dyn FnMut(BlobError)) {
        self.contexts.check_all(&self.blob, report);
    }

    /// The stored bytes that `chunk`, which is one of these, is made of: of a batch that is compressed all.
    pub(super) fn stored_range(&self, chunk: &ChunkInfo) -> Range<u64> {
        let ChunkExtra::Batch { context, offset } = chunk.extra else {
            return chunk.offset..chunk.offset_end();
        };
        let Ok(Some((batch, start))) = self.batch(context) else {
            return chunk.offset..chunk.offset;
        };
        if batch.is_compressed() {
            return start..start.saturating_add(batch.stored_len.into());
        }
        let start = start.saturating_add(offset.into());
        start..start.saturating_add(chunk.len.into())
    }

    /// Whether other bytes can decode to those of `chunk`, which is one of these.
    pub(super) fn is_compressed(&self, chunk: &ChunkInfo) -> bool {
        match chunk.extra {
            ChunkExtra::Batch { context, .. } => {
                let batch = self.batch(context).ok().flatten();
                batch.is_some_and(|(batch, _)| batch.is_compressed())
            }
            _ => chunk.compressed,
        }
    }

    /// Chunks in the blob.
    #[must_use]
    pub fn chunk_count(&self) -> u32 {
        self.blob.chunk_count
    }

    /// The chunk at `index`, checked against the blob.
    ///
    /// # Errors
    /// [`BlobError::NoSuchChunk`], [`BlobError::Chunk`].
    pub fn chunk(&self, index: u32) -> Result<ChunkInfo, BlobError> {
        if index >= self.chunk_count() {
            return Err(BlobError::NoSuchChunk {
                index,
                count: self.chunk_count(),
            });
        }
        let fault = |fault| BlobError::Chunk { index, fault };
        let chunk = self.entries.get(index).map_err(fault)?;
        chunk.check(&self.blob).map_err(fault)?;
        let (ChunkExtra::Zran { context, offset } | ChunkExtra::Batch { context, offset }) =
            chunk.extra
        else {
            return Ok(chunk);
        };
        let count = self.context_count();
        let len = self.contexts.len(context, &self.blob)?;
        let len = len.ok_or_else(|| fault(ChunkFault::NoContext { context, count }))?;
        let end = u64::from(offset).saturating_add(chunk.len.into());
        if end > u64::from(len) {
            return Err(fault(ChunkFault::BeyondContext { context, end, len }));
        }
        match self.batch(context)? {
            Some((_, expected)) if expected != chunk.offset => {
                let offset = chunk.offset;
                Err(fault(ChunkFault::BatchOffset {
                    context,
                    offset,
                    expected,
                }))
            }
            _ => Ok(chunk),
        }
    }

    /// The chunk that holds `address` of the uncompressed address space, with its index; `None` if
    /// the address lies in the padding between chunks or after the last. In a blob that would not
    /// pass [`check`](Self::check), chunks out of order may be missed.
    ///
    /// # Errors
    /// [`BlobError::Chunk`].
    pub fn chunk_at(&self, address: u64) -> Result<Option<(u32, ChunkInfo)>, BlobError> {
        let (mut low, mut high) = (0, self.chunk_count());
        while low < high {
            let index = low.midpoint(high);
            let chunk = self.entries.get(index);
            let chunk = chunk.map_err(|fault| BlobError::Chunk { index, fault })?;
            if chunk.address <= address {
                low = index.saturating_add(1);
            } else {
                high = index;
            }
        }
        let Some(index) = low.checked_sub(1) else {
            return Ok(None);
        };
        let chunk = self.chunk(index)?;
        Ok((address < chunk.address_end()).then_some((index, chunk)))
    }

    /// Checks every entry, and that they follow each other: plain without overlap, stored in order.
    /// Takes time proportional to their number.
    ///
    /// # Errors
    /// [`BlobError::Chunk`] for the first bad entry.
    pub fn check(&self) -> Result<(), BlobError> {
        let (mut address, mut offset) = (0, 0);
        for index in 0..self.chunk_count() {
            let chunk = self.chunk(index)?;
            if chunk.address < address || chunk.offset < offset {
                return Err(BlobError::Chunk {
                    index,
                    fault: ChunkFault::Order,
                });
            }
            (address, offset) = (chunk.address_end(), chunk.offset);
        }
        Ok(())
    }

    /// Whether the bytes of the entry at `index`, which is below the number of chunks, are those that
    /// every writer gives to what they say.
    pub(super) fn is_canonical(&self, index: u32) -> bool {
        let Ok(chunk) = self.entries.get(index) else {
            return false;
        };
        let index = usize_from(index);
        match &self.entries {
            Entries::V1(bytes) => chunk_info_v1::encode(&chunk) == Ok(bytes.as_chunks().0[index]),
            Entries::V2(bytes) => chunk_info_v2::encode(&chunk) == Ok(bytes.as_chunks().0[index]),
        }
    }

    /// The blob that it describes.
    pub(super) fn blob(&self) -> &BlobEntry {
        &self.blob
    }
}

impl Entries {
    /// `index` must be below the number of chunks.
    fn get(&self, index: u32) -> Result<ChunkInfo, ChunkFault> {
        let index = usize_from(index);
        match self {
            Self::V1(bytes) => Ok(chunk_info_v1::decode(bytes.as_chunks().0[index])),
            Self::V2(bytes) => chunk_info_v2::decode(bytes.as_chunks().0[index]),
        }
    }
}

fn is_v2(blob: &BlobEntry) -> bool {
    blob.features.contains(BlobFeatures::CHUNK_INFO_V2)
}

pub(super) fn entry_len(blob: &BlobEntry) -> u64 {
    u64_from(if is_v2(blob) {
        chunk_info_v2::LEN
    } else {
        chunk_info_v1::LEN
    })
}
