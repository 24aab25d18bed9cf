//! The bootstrap, and the end of a blob that holds it.

use std::io::Write;

use blob_io::{DigestWriter, ObjectRole, Output, Written};
use chunk_dedup::BlobUse;
use image_model::image::{ChunkExtent, ChunkRange, ChunkedParts};
use image_model::{BlobIndex, Chunk, ChunkedImage, Tree};
use rafs_format::layout::{LayoutInput, LayoutOptions};
use rafs_format::v6::{BlobEntry, ChunkPlace};
use rafs_format::{BlobPool, Version, v5, v6};

use super::blob::{OpenBlob, Placed};
use super::{RafsBlob, RafsOptions, prefetch};
use crate::ConvertError;
use crate::object::DigestedObject;

/// What an image that is written with these options says of itself.
pub(super) fn layout_options(options: &RafsOptions) -> Result<LayoutOptions, ConvertError> {
    Ok(LayoutOptions::default()
        .compat(options.compat)
        .chunk_size(options.chunk_size)
        .compressor(options.compression.codec().try_into()?)
        .digester(options.digest.try_into()?))
}

/// Files whose content is stored.
pub(super) struct Content {
    /// Whether the source was a tar, in its own order.
    pub(super) from_tar: bool,
    pub(super) tree: Tree<ChunkRange>,
    pub(super) extents: Vec<ChunkExtent>,
    pub(super) chunks: Vec<Chunk>,
}

/// An image whose blobs are complete.
pub(super) struct Image {
    pub(super) image: ChunkedImage,
    pub(super) places: Vec<ChunkPlace>,
    pub(super) entries: Vec<BlobEntry>,
    pub(super) version: Version,
    pub(super) options: LayoutOptions,
    /// What is used of blobs of a dictionary.
    pub(super) uses: Vec<BlobUse>,
}

impl Image {
    pub(super) fn new(
        content: Content,
        placed: Placed,
        options: &RafsOptions,
    ) -> Result<Self, ConvertError> {
        let Content {
            from_tar,
            tree,
            extents,
            chunks,
        } = content;
        let entries: Vec<BlobEntry> = placed.entries().cloned().collect();
        let parts = ChunkedParts {
            extents,
            chunks,
            frames: placed.frames,
            recipes: BlobPool::recipes_of(&entries),
            blobs: entries.iter().map(BlobEntry::blob).collect(),
        };
        let image = ChunkedImage::new(tree, parts).expect("as they were stored");
        let layout_options = layout_options(options)?.root_number(from_tar.into());
        Ok(Self {
            options: prefetch::describe(layout_options, &image, options),
            image,
            places: placed.places,
            entries,
            version: options.version,
            uses: placed.uses,
        })
    }

    /// The image whose only blob is `blob`, which gets the bootstrap, too; and that bootstrap, which
    /// cannot name the blob by its digest. Without content the image lists no blob.
    pub(super) fn inlined(
        content: Content,
        blob: OpenBlob<'_>,
        options: &RafsOptions,
    ) -> Result<(Self, RafsBlob, Written), ConvertError> {
        let sealed = blob.builder.seal(blob.hasher)?;
        let (index, mut placed) = (blob.index, blob.placed);
        placed.describe(index, sealed.entry().cloned());
        let mut image = Self::new(content, placed, options)?;
        let mut bootstrap = DigestWriter::new(Vec::new());
        image.write_to(&mut bootstrap)?;
        let (bootstrap, inside) = bootstrap.finish();
        let mut finished = sealed.embed(&bootstrap)?;
        let blob = blob.out.finish(&mut finished, blob.layer)?;
        if let Some((BlobIndex(index), entry)) = index.zip(finished.entry) {
            image.image.blobs[index as usize] = entry.blob();
            image.entries[index as usize] = entry;
        }
        Ok((image, blob, inside))
    }

    /// Writes the bytes of the bootstrap.
    pub(super) fn write_to(&self, out: impl Write) -> Result<(), ConvertError> {
        let input = LayoutInput {
            image: &self.image,
            places: &self.places,
            entries: &self.entries,
        };
        match self.version {
            Version::V5 => v5::Layout::plan(input, &self.options)?.write_to(out)?,
            _ => v6::Layout::plan(input, &self.options)?.write_to(out)?,
        }
        Ok(())
    }

    /// Writes the bootstrap to `output`.
    pub(super) fn write(&self, output: &mut dyn Output) -> Result<Written, ConvertError> {
        let mut out = DigestedObject::begin(output, ObjectRole::Bootstrap)?;
        self.write_to(&mut out)?;
        out.finish()
    }
}
