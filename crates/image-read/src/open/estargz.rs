//! Opening eStargz and zstd:chunked.

use blob_io::ReadAt;
use bytes::Bytes;
use estargz_toc::footer::containers::Pieces;
use estargz_toc::image::{EstargzImage, ImageOptions, TocKind};
use estargz_toc::open::{Described, OpenedToc, Opener};
use image_model::{BlobId, Digest, Limits};

use super::error::OpenError;
use super::find::find;
use super::options::OpenOptions;
use crate::detect::Format;

/// A layer of eStargz or zstd:chunked by its TOC.
///
/// ```no_run
/// let image = lazyoci_image_read::open("layer.esgz", &Default::default())?;
/// let layer = image.estargz().ok_or("no eStargz")?;
/// println!("{}, fetch ahead: {:?}", layer.toc.digest, layer.toc.prefetch);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Estargz {
    /// What the TOC says: the image, what to fetch ahead of time, digests of files; and its own digest.
    pub toc: EstargzImage,
    /// Bytes of the TOC, a JSON document.
    pub toc_len: u64,
    /// Where the content ends and the TOC's gzip member, or its zstd frame, begins, bytes from the start of the blob;
    /// the footer if the TOC is another blob.
    pub toc_offset: u64,
    /// Where the metadata of zstd:chunked is.
    pub pieces: Option<Pieces>,
    /// SHA-256 of the compressed TOC of zstd:chunked.
    pub checksum: Option<Digest>,
    /// How the TOC was found.
    pub(crate) told: Told,
}

/// What the caller knew of a TOC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) described: Option<Described>,
    pub(crate) external: Option<Bytes>,
}

impl Told {
    /// The TOC of `source`.
    pub(crate) fn read(
        &self,
        source: &dyn ReadAt,
        limits: &Limits,
    ) -> Result<OpenedToc, OpenError> {
        let mut opener = Opener::new(source.len()?, limits);
        if let Some(described) = self.described {
            opener = opener.described(described);
        } else if let Some(toc) = &self.external {
            opener = opener.external(toc.clone());
        }
        find(opener, source, limits)
    }
}

/// The TOC of the eStargz or zstd:chunked blob `source`, as bytes: one read of the blob's end, and another one if the
/// TOC takes more than 64 KiB.
///
/// # Errors
/// [`OpenError`] if the blob cannot be read, or if its TOC cannot be found.
pub fn read_toc(source: &dyn ReadAt, limits: &Limits) -> Result<OpenedToc, OpenError> {
    find(Opener::new(source.len()?, limits), source, limits)
}

/// Opens the blob `source`, of the given format, called `id` in its store.
pub(super) fn open(
    source: &dyn ReadAt,
    format: Format,
    id: Option<&BlobId>,
    options: &OpenOptions,
) -> Result<Estargz, OpenError> {
    let told = Told {
        described: options.described,
        external: options.external_toc.clone(),
    };
    let opened = told.read(source, &options.limits)?;
    if Format::of_toc(opened.kind) != format {
        return Err(OpenError::NotFormat { expected: format });
    }
    if let Some(expected) = &options.metadata_digest {
        opened.check(expected)?;
    }
    let id = match id {
        Some(id) => id.clone(),
        None => BlobId::new(b"layer").expect("a valid id"),
    };
    let image_options = ImageOptions::default()
        .without_digests(opened.kind == TocKind::Legacy)
        .limits(options.limits.clone());
    Ok(Estargz {
        toc: opened.image(id, &image_options)?,
        toc_len: opened.json.len() as u64,
        toc_offset: opened.toc_offset,
        pieces: opened.pieces,
        checksum: opened.checksum,
        told,
    })
}
