//! The other version of a RAFS image, over the same blobs.

use std::collections::{HashMap, HashSet};

use blob_io::{Output, ReadAt};
use image_model::walk::Walk;
use image_model::{BlobId, BlobIndex, ChunkedImage, ImagePath, Limits};
use image_read::{OpenError, OpenImage, StoreError, find};
use rafs_format::blob::{BlobMismatch, LoadCiHeader, LoadMeta, LocateSections};
use rafs_format::flags::{BlobFeatures, Compat};
use rafs_format::v6::BlobEntry;
use rafs_format::{Bootstrap, OwnedBootstrap, Version, prefetch_inodes, v6};

use super::bootstrap::Image;
use super::report::described_bootstrap;
use super::{RafsOptions, RafsReport};
use crate::ConvertError;
use crate::report::Report;

/// Options for writing the other version of an image.
///
/// ```
/// use lazyoci_image_convert::KeepBlobsOptions;
/// use rafs_format::Version;
/// let options = KeepBlobsOptions::default().version(Version::V5);
/// assert!(!options.lossy);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct KeepBlobsOptions {
    /// Version of the metadata to write. Default: 6.
    pub version: Version,
    /// Release of nydus-image whose bytes to reproduce. Default: 2.4.
    pub compat: Compat,
    /// Whether to leave out what the version cannot carry, and report it, instead of refusing it.
    pub lossy: bool,
}

impl KeepBlobsOptions {
    image_model::setters! {
        version: Version,
        compat: Compat,
        lossy: bool,
    }
}

/// Why a bootstrap of the other version cannot be written over the blobs of an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeepBlobsError {
    /// It is not a RAFS image.
    #[error("only a RAFS image has blobs to keep")]
    NotRafs,
    /// It is in tarfs mode: neither version 5 nor another blob has a place for chunks without digests.
    #[error("an image in tarfs mode has no digests of its content")]
    Tarfs,
    /// It already has that version.
    #[error("the image already has that version")]
    SameVersion,
    /// Version 5 has one value for all blobs where version 6 has one for each.
    #[error(
        "blob `{id}` has a different {what} than the first blob, but version 5 has one for all blobs"
    )]
    Mixed {
        /// The blob.
        id: BlobId,
        /// What differs.
        what: &'static str,
    },
    /// A blob that was written for version 5 contains only chunks. Readers of version 6 look up in the blob where its
    /// chunks are.
    #[error("blob `{id}` was not written for version 6: it has no chunk information")]
    NoChunkInformation {
        /// The blob.
        id: BlobId,
    },
    /// The blob cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blob cannot be read.
    #[error("cannot read blob `{id}`")]
    Read {
        /// The blob.
        id: BlobId,
        /// Why not.
        source: blob_io::ReadError,
    },
    /// The metadata of the blob is damaged.
    #[error("cannot read the metadata of blob `{id}`")]
    Blob {
        /// The blob.
        id: BlobId,
        /// What is wrong.
        source: Box<OpenError>,
    },
    /// The image and the blob disagree about a chunk.
    #[error("blob `{id}` does not match the image")]
    Mismatch {
        /// The blob.
        id: BlobId,
        /// What differs.
        source: Box<BlobMismatch>,
    },
}

impl image_model::Blame for KeepBlobsError {
    fn fault(&self) -> image_model::Fault {
        use image_model::Fault;
        match self {
            Self::NotRafs | Self::SameVersion => Fault::Misuse,
            Self::Mixed { .. } | Self::NoChunkInformation { .. } | Self::Tarfs => {
                Fault::Unsupported
            }
            Self::Store(error) => error.fault(),
            Self::Read { .. } => Fault::Io,
            Self::Blob { source, .. } => source.fault(),
            Self::Mismatch { source, .. } => source.fault(),
        }
    }
}

/// Writes the other version of the RAFS image `image` to `output`: a bootstrap, and nothing else. It
/// refers to the blobs that `image` has, of which no byte of content is read.
///
/// To version 5, any image goes whose blobs have one compressor and one digest; blobs are opened only if
/// they hold a bootstrap, to learn how long they are. To version 6, images go whose blobs were written
/// for it, each with the information on its chunks that readers of version 6 need: it is read, and
/// compared with the image. A blob that was written for version 5 has none, and
/// [is refused](KeepBlobsError::NoChunkInformation).
///
/// # Errors
/// [`ConvertError`]; [`ConvertError::KeepBlobs`] where blobs are in the way. Nothing is committed to the
/// output then.
pub fn keep_blobs(
    image: &OpenImage,
    output: &mut dyn Output,
    options: &KeepBlobsOptions,
) -> Result<RafsReport, ConvertError> {
    let bootstrap = image.bootstrap().ok_or(KeepBlobsError::NotRafs)?;
    let version = options.version;
    if bootstrap.version() == version {
        return Err(KeepBlobsError::SameVersion.into());
    }
    if bootstrap.layout_options().tarfs {
        return Err(KeepBlobsError::Tarfs.into());
    }
    let damaged = |source: rafs_format::DecodeError| ConvertError::Image {
        path: ImagePath::root(),
        source: image_model::ImageError::new(None, source),
    };
    let OwnedBootstrap {
        image: copy,
        places,
    } = bootstrap.to_chunked().map_err(damaged)?;
    let entries = match version {
        Version::V5 => entries_of_v5(image, bootstrap)?,
        _ => entries_of_v6(image, bootstrap)?,
    };
    let mut report = Report::default();
    let copy = carried(copy, image.limits(), options, &mut report)?;
    let prefetched = prefetched(bootstrap, image.limits())?;
    let layout_options = (bootstrap.layout_options())
        .compat(options.compat)
        // As in version 5.
        .root_number(1)
        .prefetch(prefetch_inodes(&copy.tree, &prefetched));
    report.inodes = copy.tree.len() as u64;
    let written = Image {
        image: copy,
        places,
        entries,
        version,
        options: layout_options,
        uses: Vec::new(),
    };
    if version != Version::V5 {
        compare(image, &written)?;
    }
    let bootstrap = written.write(output)?;
    output.commit()?;
    report.bytes_out = bootstrap.len;
    Ok(RafsReport {
        report,
        version,
        bootstrap: described_bootstrap(bootstrap, version),
        blobs: Vec::new(),
        layer_chunks: Vec::new(),
        reused_blobs: Vec::new(),
        reuse: Vec::new(),
    })
}

/// The image without what the version cannot carry.
fn carried(
    image: ChunkedImage,
    limits: &Limits,
    options: &KeepBlobsOptions,
    report: &mut Report,
) -> Result<ChunkedImage, ConvertError> {
    let mut image = image;
    let options = RafsOptions::default()
        .version(options.version)
        .lossy(options.lossy);
    crate::fill::settle_losses(&mut image.tree, &options, limits, report)?;
    Ok(image)
}

/// The paths of what the prefetch table names, in its order.
pub(super) fn prefetched(
    bootstrap: &Bootstrap,
    limits: &Limits,
) -> Result<Vec<ImagePath>, ConvertError> {
    let inodes = bootstrap.prefetch();
    let mut paths = HashMap::new();
    let wanted: HashSet<_> = inodes.iter().copied().collect();
    if !wanted.is_empty() {
        let mut walk = Walk::new(bootstrap.image(), limits);
        while let Some(entry) = walk.next_entry() {
            let entry = entry?;
            if wanted.contains(&entry.ino) {
                paths.entry(entry.ino).or_insert(entry.path.clone());
            }
        }
    }
    let found = inodes.iter().filter_map(|ino| paths.get(ino));
    Ok(found.cloned().collect())
}

/// The entries of the blobs of an image of version 6, as version 5 has them.
fn entries_of_v5(
    image: &OpenImage,
    bootstrap: &Bootstrap,
) -> Result<Vec<BlobEntry>, KeepBlobsError> {
    let blobs = bootstrap.image().blobs();
    let first = bootstrap.blob_entries().first();
    let mut entries = Vec::new();
    for ((index, entry), blob) in (0..).zip(bootstrap.blob_entries()).zip(blobs) {
        let id = blob.id.clone();
        let mixed = match first {
            Some(first) if first.compressor != entry.compressor => Some("compressor"),
            Some(first) if first.digester != entry.digester => Some("digest algorithm"),
            _ => None,
        };
        if let Some(what) = mixed {
            return Err(KeepBlobsError::Mixed { id, what });
        }
        // The new bootstrap is not in the blob; it does not matter that the blob contains another one.
        let compressed_size = match entry.features.contains(BlobFeatures::INLINED_FS_META) {
            true => len_of(image.blobs().blob(BlobIndex(index))?, &id)?,
            false => entry.compressed_size,
        };
        entries.push(BlobEntry {
            id,
            features: BlobFeatures::CAP_TAR_TOC,
            compressed_size,
            toc_size: 0,
            toc_digest: [0; 32],
            ci_compressor: rafs_format::flags::Compressor::None,
            ci_offset: 0,
            ci_compressed_size: 0,
            ci_uncompressed_size: 0,
            ..entry.clone()
        });
    }
    Ok(entries)
}

fn len_of(blob: &dyn ReadAt, id: &BlobId) -> Result<u64, KeepBlobsError> {
    let id = id.clone();
    blob.len()
        .map_err(|source| KeepBlobsError::Read { id, source })
}

/// The entries of the blobs of an image of version 5, as version 6 has them: the blobs say what version 5
/// does not.
fn entries_of_v6(
    image: &OpenImage,
    bootstrap: &Bootstrap,
) -> Result<Vec<BlobEntry>, KeepBlobsError> {
    let blobs = bootstrap.image().blobs();
    let entries = (0..).zip(bootstrap.blob_entries()).zip(blobs);
    let entry = |((index, entry), blob): ((u32, &BlobEntry), &image_model::Blob)| {
        let source = image.blobs().blob(BlobIndex(index))?;
        let (id, limits) = (&blob.id, image.limits());
        let len = len_of(source, id)?;
        let missing = || KeepBlobsError::NoChunkInformation { id: id.clone() };
        let sections = match find(LocateSections::new(len), source, limits) {
            Ok(sections) => sections,
            // A blob of chunks only can end with any bytes.
            Err(OpenError::Blob(_)) => return Err(missing()),
            Err(error) => return Err(blob_error(id, error)),
        };
        let load = LoadCiHeader::new(&sections).ok_or_else(missing)?;
        let said = find(load, source, limits)
            .and_then(|header| Ok(sections.entry(id.clone(), &header)?))
            .map_err(|error| blob_error(id, error))?;
        Ok(BlobEntry {
            chunk_size: entry.chunk_size,
            compressor: entry.compressor,
            digester: entry.digester,
            uncompressed_size: entry.uncompressed_size,
            features: said.features.without(BlobFeatures::INLINED_FS_META),
            ..said
        })
    };
    entries.map(entry).collect()
}

fn blob_error(id: &BlobId, error: OpenError) -> KeepBlobsError {
    let id = id.clone();
    match error {
        OpenError::Read(source) => KeepBlobsError::Read { id, source },
        OpenError::Store(error) => KeepBlobsError::Store(error),
        error => {
            let source = Box::new(error);
            KeepBlobsError::Blob { id, source }
        }
    }
}

/// Compares what the image says of chunks with the information on them in its blobs.
fn compare(image: &OpenImage, written: &Image) -> Result<(), ConvertError> {
    let mut bytes = Vec::new();
    written.write_to(&mut bytes)?;
    let bootstrap = v6::Bootstrap::open(bytes.into(), image.limits());
    let bootstrap = bootstrap.map_err(|source| ConvertError::Image {
        path: ImagePath::root(),
        source: image_model::ImageError::new(None, source),
    })?;
    for (index, entry) in (0..).map(BlobIndex).zip(&written.entries) {
        let id = &entry.id;
        let load = LoadMeta::new(entry, image.limits()).map_err(OpenError::from);
        let meta = load.and_then(|load| image.find(load.in_blob(index)));
        let meta = meta.map_err(|error| blob_error(id, error))?;
        let mut mismatch = None;
        meta.compare(&bootstrap, index, &mut |found| {
            mismatch.get_or_insert(found);
        });
        if let Some(source) = mismatch {
            let (id, source) = (id.clone(), Box::new(source));
            return Err(KeepBlobsError::Mismatch { id, source }.into());
        }
    }
    Ok(())
}
