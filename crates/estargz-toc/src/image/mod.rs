//! A TOC as an image. Strict where readers of TOCs differ: [`EntryFault`](crate::error::EntryFault)
//! lists everything that is refused. Names are cleaned at the root, parents without an entry are
//! implied, hard links may come before their targets, and whiteouts are ordinary files, as in every
//! layer here.

mod decoder;
mod entries;
mod file;
mod inode;
mod landmark;

use std::collections::BTreeMap;
use std::sync::Arc;

use image_model::image::{ChunkExtent, ChunkRange};
use image_model::{BlobId, ChunkedImage, Digest, InodeId, Limits, Node};

use crate::error::TocError;
use crate::landmark::Landmark;
use decoder::Decoder;
use entries::for_each;
pub(crate) use file::empty_digest;
pub use landmark::LandmarkError;

/// Options for making an image of a TOC.
///
/// ```
/// use lazyoci_estargz_toc::image::ImageOptions;
/// assert!(ImageOptions::default().without_digests(true).without_digests);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageOptions {
    /// Accept chunks without digests, as in legacy stargz: they cannot be verified.
    pub without_digests: bool,
    /// Bounds on the image.
    pub limits: Limits,
}

impl ImageOptions {
    image_model::setters! {
        without_digests: bool,
        limits: Limits,
    }
}

/// The kinds of layers that have a TOC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TocKind {
    /// eStargz.
    #[default]
    Estargz,
    /// stargz, the predecessor of eStargz: nothing has a digest.
    Legacy,
    /// eStargz whose TOC is another blob.
    External,
    /// zstd:chunked of stargz-snapshotter: eStargz with zstd frames, and its TOC outside of the tar.
    ZstdChunked,
    /// zstd:chunked of containers/storage, with a TOC of its own ([`containers_toc`](crate::containers_toc)). There are
    /// no landmarks, and runs of zeros are marked: their frames are in the blob, but readers skip them.
    Containers,
}

/// The blob that a TOC describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TocBlob {
    /// What it is.
    pub kind: TocKind,
    /// Its name.
    pub id: BlobId,
    /// Its length in bytes.
    pub len: u64,
    /// Where its members with content end: the TOC's own offset if it is in the blob.
    pub content_len: u64,
}

/// What a TOC describes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EstargzImage {
    /// What the blob is.
    pub kind: TocKind,
    /// SHA-256 of the TOC.
    pub digest: Digest,
    /// The image: a frame for each gzip member or zstd frame with content, chunks in blob order, all with digests except under
    /// [`without_digests`](ImageOptions::without_digests). A landmark is not in the tree, but its byte is among the
    /// chunks.
    pub image: Arc<ChunkedImage>,
    /// What to fetch ahead of time; `None` if the TOC does not say.
    pub prefetch: Option<Prefetch>,
    /// The landmarks and the chunks of their content, a range of the image's extents.
    pub landmarks: BTreeMap<Landmark, ChunkRange>,
    /// SHA-256 of the files with several chunks or runs of zeros, as claimed by the TOC: reading checks only the
    /// digests of chunks. Files with one chunk have that chunk's digest.
    pub file_digests: BTreeMap<InodeId, Digest>,
}

/// What to fetch ahead of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Prefetch {
    /// Nothing, by a [`NoPrefetch`](crate::Landmark::NoPrefetch) landmark.
    Nothing,
    /// The first bytes of the blob, up to this offset, where the member with the
    /// [`Prefetch`](crate::Landmark::Prefetch) landmark begins.
    UpTo(u64),
}

impl EstargzImage {
    /// The SHA-256 of a whole file, if the TOC has one. `None` also for anything but a file.
    #[must_use]
    pub fn file_digest(&self, inode: InodeId) -> Option<Digest> {
        let Node::File { size, content } = &self.image.tree.inode(inode).node else {
            return None;
        };
        match self.image.file_extents(*content)? {
            [] if *size == 0 => Some(empty_digest()),
            [
                ChunkExtent {
                    chunk: Some(only), ..
                },
            ] => self.image.chunks[only.index()].digest,
            _ => self.file_digests.get(&inode).copied(),
        }
    }
}

/// The image that the TOC `json` describes.
///
/// ```
/// use lazyoci_estargz_toc::image::{ImageOptions, TocBlob, TocKind, decode_image};
/// use image_model::BlobId;
///
/// let json = br#"{"version": 1, "entries": [{"name": "etc/", "type": "dir", "mode": 493}]}"#;
/// let kind = TocKind::Estargz;
/// let blob = TocBlob { kind, id: BlobId::new(b"layer")?, len: 300, content_len: 100 };
/// let decoded = decode_image(json, blob, &ImageOptions::default())?;
/// assert!(decoded.image.tree.resolve(b"/etc").is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// Memory: that of the image; the entries are not kept.
///
/// # Errors
/// [`TocError`] for the first entry that cannot be part of an image.
pub fn decode_image(
    json: &[u8],
    blob: TocBlob,
    options: &ImageOptions,
) -> Result<EstargzImage, TocError> {
    decode_digested((json, verify::sha256(json)), blob, options)
}

/// The same of a TOC whose digest is known.
pub(crate) fn decode_digested(
    (json, digest): (&[u8], Digest),
    blob: TocBlob,
    options: &ImageOptions,
) -> Result<EstargzImage, TocError> {
    let mut decoder = Decoder::new(options, &blob);
    for_each(blob.kind, json, &options.limits, |index, entry| {
        decoder.entry(index, &entry)
    })?;
    decoder.finish((json, digest), blob)
}
