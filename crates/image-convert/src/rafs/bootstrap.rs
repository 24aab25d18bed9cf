//! The end of the blob, and the bootstrap.

use std::io::Write;

use blob_io::{ObjectRole, Output, Written};
use image_model::image::{ChunkExtent, ChunkRange, ChunkedParts};
use image_model::{Chunk, ChunkedImage, Tree};
use rafs_format::layout::{LayoutInput, LayoutOptions};
use rafs_format::v6::{BlobEntry, ChunkPlace};
use rafs_format::{Version, prefetch_inodes, v5, v6};

use super::blob::{OpenBlob, recipes};
use super::report::described_blob;
use super::{RafsBlob, RafsOptions};
use crate::ConvertError;
use crate::object::DigestedObject;

/// Files whose content is stored.
pub(super) struct Content {
    /// Whether the source was a tar, in its own order.
    pub(super) from_tar: bool,
    pub(super) tree: Tree<ChunkRange>,
    pub(super) extents: Vec<ChunkExtent>,
    pub(super) chunks: Vec<Chunk>,
}

/// An image whose blob is complete.
pub(super) struct Image {
    image: ChunkedImage,
    places: Vec<ChunkPlace>,
    entry: Option<BlobEntry>,
    version: Version,
    options: LayoutOptions,
}

/// Completes the blob, if there is anything in it; otherwise there is none.
pub(super) fn finish_blob(
    content: Content,
    blob: OpenBlob<'_>,
    options: &RafsOptions,
) -> Result<(Image, Option<RafsBlob>), ConvertError> {
    let Content {
        from_tar,
        tree,
        extents,
        chunks,
    } = content;
    let OpenBlob {
        builder,
        hasher,
        frames,
        places,
        out,
    } = blob;
    let layout_options = LayoutOptions::default()
        .compat(options.compat)
        .chunk_size(options.chunk_size)
        .compressor(options.compression.codec().try_into()?)
        .digester(options.digest.try_into()?)
        .explicit_ids(true)
        .root_number(from_tar.into())
        .prefetch(prefetch_inodes(&tree, &options.prefetch));
    let image = |entry: Option<BlobEntry>| {
        let parts = ChunkedParts {
            extents,
            chunks,
            frames,
            recipes: recipes(options.compression.codec()),
            blobs: entry.iter().map(BlobEntry::blob).collect(),
        };
        Image {
            image: ChunkedImage::new(tree, parts).expect("as they were stored"),
            places,
            entry,
            version: options.version,
            options: layout_options,
        }
    };
    let (mut image, finished) = if options.inline_meta {
        let sealed = builder.seal(hasher)?;
        let image = image(sealed.entry().cloned());
        let mut bootstrap = Vec::new();
        image.write_to(&mut bootstrap)?;
        (image, Some(sealed.embed(&bootstrap)?))
    } else {
        let finished = builder.finish(hasher)?;
        let entry = finished.as_ref().and_then(|blob| blob.entry.clone());
        (image(entry), finished)
    };
    let Some(finished) = finished else {
        return Ok((image, None));
    };
    let written = out.finish(&finished)?;
    image.entry = finished.entry;
    image.image.blobs = image.entry.iter().map(BlobEntry::blob).collect();
    let nydus_id = finished.nydus_id;
    let object = described_blob(written);
    Ok((image, Some(RafsBlob { object, nydus_id })))
}

impl Image {
    /// Writes the bytes of the bootstrap.
    fn write_to(&self, out: impl Write) -> Result<(), ConvertError> {
        let input = LayoutInput {
            image: &self.image,
            places: &self.places,
            entries: self.entry.as_slice(),
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
