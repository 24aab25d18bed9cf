//! Describing a layer that stays as it is: the chunk information of zran mode, or of a plain tar, in a file of its own.

use frame_codec::{Compression, Encoder};
use image_model::deflate::{DeflateStart, WINDOW_LEN};
use image_model::{BlobId, Codec, Digest};

use super::build_error::BuildError;
use super::chunk_info::{
    ADDRESS_ALIGN, ChunkExtra, ChunkInfo, MAX_ADDRESS, MAX_CHUNKS, MAX_STORED_OFFSET,
};
use super::chunk_info_v2;
use super::context_table::{MAX_OVERLAP, OVERLAPPING};
use super::header::{CiHeader, Contexts};
use super::zran_context::{MAX_CONTEXT_LEN, ZranContext, ZranFault};
use super::zran_table;
use crate::flags::{BlobFeatures, Cipher, Compressor, Digester};
use crate::v6::{BlobEntry, ChunkPlace, is_chunk_size};
use crate::view;
use image_model::{BlobIndex, Frame, Recipe, RecipeId};

/// Describes a gzip layer by its contexts and the chunks in them: first all contexts, then all chunks, both in the order
/// of the layer; or a plain tar by its chunks alone. A bootstrap refers to the layer by its digest, and to this by the
/// digest of the file.
///
/// ```
/// use image_model::BlobIndex;
/// use image_model::deflate::DeflateStart;
/// use lazyoci_rafs_format::blob::{ReferenceBuilder, ZranContext};
///
/// let mut builder = ReferenceBuilder::new(1 << 20)?;
/// let mut first = ZranContext::default();
/// (first.in_offset, first.in_len, first.out_len) = (10, 500, 2_000);
/// builder.push_context(first, &DeflateStart::default())?;
/// let (frame, place) = builder.push(0, 512, 1_000)?;
/// assert_eq!((frame, place.address), (0, 0));
/// let finished = builder.finish(verify::sha256(b"the layer"), 518)?.ok_or("no chunks")?;
/// assert_eq!(finished.entry.chunk_count, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ReferenceBuilder {
    chunk_size: u32,
    contexts: Vec<ZranContext>,
    recipes: Vec<Recipe>,
    /// Chunks of a plain tar.
    plain: Vec<Frame>,
    area: Vec<u8>,
    entries: Vec<u8>,
    chunk_count: u32,
    /// First byte of the layer for the chunk before.
    offset: u64,
    /// End of the uncompressed address space.
    address: u64,
}

/// What describes a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reference {
    /// The file: chunk information with contexts and dictionaries, compressed, and its header.
    pub meta: Vec<u8>,
    /// SHA-256 of it: its name.
    pub meta_digest: Digest,
    /// The entry for the blob table.
    pub entry: BlobEntry,
    /// The contexts, or the chunks of a plain tar, as frames of a blob that is the image's first.
    pub frames: Vec<Frame>,
    /// How those are decoded.
    pub recipes: Vec<Recipe>,
}

impl ReferenceBuilder {
    /// Starts on a layer whose files are cut into chunks of `chunk_size` bytes.
    ///
    /// # Errors
    /// [`BuildError::ChunkSize`].
    pub fn new(chunk_size: u32) -> Result<Self, BuildError> {
        if !is_chunk_size(chunk_size) {
            return Err(BuildError::ChunkSize { chunk_size });
        }
        Ok(Self {
            chunk_size,
            contexts: Vec::new(),
            recipes: Vec::new(),
            plain: Vec::new(),
            area: Vec::new(),
            entries: Vec::new(),
            chunk_count: 0,
            offset: 0,
            address: 0,
        })
    }

    /// Adds `context`, whose data are entered by `start`, which says its bits and its dictionary.
    ///
    /// # Errors
    /// [`BuildError::Context`] if it breaks a rule, or comes before the last one; [`BuildError::TooLarge`] if it gives
    /// more than [`MAX_CONTEXT_LEN`], or if nine hold the same bytes of the layer.
    pub fn push_context(
        &mut self,
        context: ZranContext,
        start: &DeflateStart,
    ) -> Result<(), BuildError> {
        if context.out_len > MAX_CONTEXT_LEN {
            return Err(BuildError::TooLarge {
                what: "bytes in one context",
                limit: MAX_CONTEXT_LEN.into(),
            });
        }
        let mut window = [0; WINDOW_LEN];
        let first = match start.window.is_empty() {
            true => WINDOW_LEN,
            false => start.window.fill(&mut window),
        };
        let dictionary = &window[first..];
        let context = ZranContext {
            dict_offset: self.area.len() as u64,
            dict_len: dictionary.len() as u32,
            byte: if start.bits == 0 { 0 } else { context.byte },
            bits: start.bits,
            ..context
        };
        let index = self.contexts.len() as u32;
        let fault = |fault| BuildError::Context { index, fault };
        let area_len = (self.area.len() + dictionary.len()) as u64;
        context.check(MAX_STORED_OFFSET, area_len).map_err(fault)?;
        if self.contexts.last().is_some_and(|before| {
            (before.in_offset, before.out_offset) >= (context.in_offset, context.out_offset)
        }) {
            return Err(fault(ZranFault::Order));
        }
        let shared = self.contexts.len().checked_sub(MAX_OVERLAP);
        if shared.is_some_and(|first| self.contexts[first].stored_end() > context.stored_offset()) {
            return Err(BuildError::TooLarge {
                what: OVERLAPPING,
                limit: MAX_OVERLAP as u64,
            });
        }
        if area_len > MAX_META_LEN {
            return Err(BuildError::TooLarge {
                what: "bytes of chunk information",
                limit: MAX_META_LEN,
            });
        }
        self.area.extend_from_slice(dictionary);
        self.contexts.push(context);
        self.recipes.push(zran_table::recipe(start.clone()));
        Ok(())
    }

    /// Adds the chunk of `len` bytes that begins at byte `offset` of what context `context` gives; returns the number of
    /// its frame, and its place. Chunks come in the order of their contexts.
    ///
    /// # Errors
    /// [`BuildError::TooManyChunks`], [`BuildError::TooLarge`] when the blob is full; [`BuildError::Chunk`] if the chunk
    /// does not lie in its context, or is too long.
    pub fn push(
        &mut self,
        context: u32,
        offset: u32,
        len: u32,
    ) -> Result<(u32, ChunkPlace), BuildError> {
        let index = self.chunk_count;
        let fault = |fault| BuildError::Chunk { index, fault };
        if index >= MAX_CHUNKS {
            return Err(BuildError::TooManyChunks { limit: MAX_CHUNKS });
        }
        let count = self.contexts.len() as u32;
        let found = self.contexts.get(context as usize);
        let found = found.ok_or(fault(super::ChunkFault::NoContext { context, count }))?;
        let end = u64::from(offset) + u64::from(len);
        if end > u64::from(found.out_len) {
            let len = found.out_len;
            return Err(fault(super::ChunkFault::BeyondContext {
                context,
                end,
                len,
            }));
        }
        if len > self.chunk_size {
            return Err(fault(super::ChunkFault::Len { len }));
        }
        let address = self.address;
        let address_end = address + view::align(len.into(), ADDRESS_ALIGN);
        if address_end > MAX_ADDRESS {
            return Err(BuildError::TooLarge {
                what: "uncompressed bytes",
                limit: MAX_ADDRESS,
            });
        }
        let stored = found.stored_offset();
        if stored < self.offset {
            return Err(fault(super::ChunkFault::Order));
        }
        let info = ChunkInfo {
            address,
            len,
            offset: stored,
            stored_len: 0,
            compressed: true,
            encrypted: false,
            extra: ChunkExtra::Zran { context, offset },
        };
        let entry = chunk_info_v2::encode(&info).map_err(fault)?;
        self.entries.extend(entry);
        (self.chunk_count, self.offset, self.address) = (index + 1, stored, address_end);
        let place = ChunkPlace {
            index,
            address,
            in_batch: false,
        };
        Ok((context, place))
    }

    /// Adds the chunk of `len` bytes at byte `offset` of a plain tar, which has no contexts; returns the number of its
    /// frame, and its place. Chunks come in the order of the tar.
    ///
    /// # Errors
    /// [`BuildError::TooManyChunks`], [`BuildError::TooLarge`] when the blob is full; [`BuildError::Chunk`] if the chunk
    /// comes before the last one, is too long, or if there are contexts.
    pub fn push_plain(
        &mut self,
        offset: u64,
        len: u32,
        crc32c: Option<u32>,
    ) -> Result<(u32, ChunkPlace), BuildError> {
        let index = self.chunk_count;
        let fault = |fault| BuildError::Chunk { index, fault };
        if index >= MAX_CHUNKS {
            return Err(BuildError::TooManyChunks { limit: MAX_CHUNKS });
        }
        if !self.contexts.is_empty() || offset < self.offset {
            return Err(fault(super::ChunkFault::Order));
        }
        if len > self.chunk_size {
            return Err(fault(super::ChunkFault::Len { len }));
        }
        let address = self.address;
        let address_end = address + view::align(len.into(), ADDRESS_ALIGN);
        let info = ChunkInfo {
            address,
            len,
            offset,
            stored_len: len,
            compressed: false,
            encrypted: false,
            // Readers refuse one of 0.
            extra: match crc32c {
                Some(crc @ 1..) => ChunkExtra::Crc32c(crc),
                _ => ChunkExtra::None,
            },
        };
        self.entries
            .extend(chunk_info_v2::encode(&info).map_err(fault)?);
        self.plain.push(Frame {
            blob: BlobIndex(0),
            offset,
            stored_len: len,
            len,
            recipe: RecipeId(0),
        });
        let end = offset + u64::from(len);
        (self.chunk_count, self.offset, self.address) = (index + 1, end, address_end);
        let place = ChunkPlace {
            index,
            address,
            in_batch: false,
        };
        Ok((index, place))
    }

    /// What describes the layer of `len` bytes that has the digest `layer`; `None` if no chunk is in it.
    ///
    /// # Errors
    /// [`BuildError::Context`] if a context ends after the layer; [`BuildError::TooLarge`] if that, or what describes it,
    /// is too long; [`BuildError::Compress`].
    pub fn finish(self, layer: Digest, len: u64) -> Result<Option<Reference>, BuildError> {
        if self.chunk_count == 0 {
            return Ok(None);
        }
        let too_large = |what, limit| Err(BuildError::TooLarge { what, limit });
        if len > MAX_STORED_OFFSET {
            return too_large("stored bytes", MAX_STORED_OFFSET);
        }
        let mut plain = self.entries;
        let offset = match self.contexts.is_empty() {
            true => 0,
            false => plain.len() as u64,
        };
        for (index, context) in (0..).zip(&self.contexts) {
            let checked = context.check(len, self.area.len() as u64);
            checked.map_err(|fault| BuildError::Context { index, fault })?;
            plain.extend(context.to_bytes());
        }
        plain.extend(&self.area);
        if plain.len() as u64 > MAX_META_LEN {
            return too_large("bytes of chunk information", MAX_META_LEN);
        }
        let common = BlobFeatures::ALIGNED
            | BlobFeatures::CHUNK_INFO_V2
            | BlobFeatures::SEPARATE
            | BlobFeatures::CAP_TAR_TOC;
        let features = match self.contexts.is_empty() {
            true => common,
            false => common | BlobFeatures::ZRAN,
        };
        let error = |source| BuildError::Compress {
            section: "blob.meta",
            source,
        };
        let mut meta = Vec::new();
        let mut encoder = Encoder::new(Compression::Zstd { level: LEVEL }).map_err(error)?;
        let compressor = match encoder.encode(&plain, &mut meta).map_err(error)? {
            Codec::Zstd => Compressor::Zstd,
            _ => Compressor::None,
        };
        let header = CiHeader {
            features: features.bits(),
            compressor,
            entries: self.chunk_count,
            offset: 0,
            stored_len: meta.len() as u64,
            len: plain.len() as u64,
            contexts: Contexts {
                offset,
                len: match offset {
                    0 => 0,
                    offset => plain.len() as u64 - offset,
                },
                count: self.contexts.len() as u32,
            },
        };
        meta.extend(header.to_bytes());
        let meta_digest = verify::sha256(&meta);
        let entry = BlobEntry {
            id: BlobId::new(layer.hex().as_bytes()).expect("64 hex digits name a blob"),
            chunk_size: self.chunk_size,
            chunk_count: self.chunk_count,
            compressor: Compressor::Gzip,
            digester: Digester::Sha256,
            features,
            compressed_size: len,
            uncompressed_size: self.address,
            toc_size: 0,
            toc_digest: [0; 32],
            ci_compressor: compressor,
            ci_offset: 0,
            ci_compressed_size: header.stored_len,
            ci_uncompressed_size: header.len,
            meta_digest: *meta_digest.as_bytes(),
            meta_size: meta.len() as u64,
            cipher_iv: 0,
            cipher: Cipher::None,
        };
        let frames = (0..).zip(&self.contexts);
        let frame = |(index, context): (u32, &ZranContext)| {
            zran_table::frame(context, BlobIndex(0), RecipeId(index))
        };
        Ok(Some(Reference {
            meta,
            meta_digest,
            entry,
            frames: frames.map(frame).chain(self.plain).collect(),
            recipes: match self.recipes.is_empty() {
                true => vec![Recipe::exact(Codec::None)],
                false => self.recipes,
            },
        }))
    }
}

/// Level of zstd for the chunk information: dictionaries are mostly zeros.
const LEVEL: i32 = 9;

/// Most bytes of chunk information that nydusd accepts.
const MAX_META_LEN: u64 = 384 << 20;
