//! Opening eStargz.

use blob_io::ReadAt;
use estargz_toc::image::{EstargzImage, ImageOptions};
use estargz_toc::open::{OpenedToc, Opener};
use image_model::{BlobId, Limits};

use super::error::OpenError;
use super::find::find;
use super::options::OpenOptions;

/// An eStargz layer by its TOC.
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
    /// Where the TOC's gzip member begins, bytes from the start of the blob.
    pub toc_offset: u64,
}

/// The TOC of the eStargz blob `source`, as bytes: one read of the blob's end, and another one if the
/// TOC takes more than 64 KiB.
///
/// # Errors
/// [`OpenError`] if the blob cannot be read, or if its TOC cannot be found.
pub fn read_toc(source: &dyn ReadAt, limits: &Limits) -> Result<OpenedToc, OpenError> {
    find(Opener::new(source.len()?, limits), source, limits)
}

/// Opens the eStargz blob `source`, called `id` in its store.
pub(super) fn open(
    source: &dyn ReadAt,
    id: Option<&BlobId>,
    options: &OpenOptions,
) -> Result<Estargz, OpenError> {
    let opened = read_toc(source, &options.limits)?;
    if let Some(expected) = &options.metadata_digest {
        opened.check(expected)?;
    }
    let id = match id {
        Some(id) => id.clone(),
        None => BlobId::new(b"layer").expect("a valid id"),
    };
    let image_options = ImageOptions::default().limits(options.limits.clone());
    Ok(Estargz {
        toc: opened.image(id, &image_options)?,
        toc_len: opened.json.len() as u64,
        toc_offset: opened.toc_offset,
    })
}
