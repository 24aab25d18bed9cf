//! What has to be fetched to get from one image to another.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::iter::Sum;
use std::ops::ControlFlow;

use super::content::Source;
use super::{DiffError, Side, walk_error};
use crate::blob::BlobIndex;
use crate::digest::Digest;
use crate::error::ImageError;
use crate::image::{Extent, ExtentSource, Image};
use crate::limits::Limits;
use crate::metadata::FileKind;
use crate::walk::{InoSet, Walk};

/// The distinct chunks of an image, by whether another image has them too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Transfer {
    /// Chunks in both images.
    pub shared_chunks: u64,
    /// Their plain bytes.
    pub shared_len: u64,
    /// Chunks to fetch.
    pub fetch_chunks: u64,
    /// Their plain bytes.
    pub fetch_len: u64,
    /// Stored bytes of the frames that contain them: what goes over the wire.
    pub fetch_stored_len: u64,
}

impl Sum for Transfer {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |sum, part| Self {
            shared_chunks: sum.shared_chunks + part.shared_chunks,
            shared_len: sum.shared_len + part.shared_len,
            fetch_chunks: sum.fetch_chunks + part.fetch_chunks,
            fetch_len: sum.fetch_len + part.fetch_len,
            fetch_stored_len: sum.fetch_stored_len + part.fetch_stored_len,
        })
    }
}

/// Counts what has to be fetched for `want` if `have` is already present. Chunks are equal if their
/// digests are; chunks without a digest if they have the same place in the same blob and the same
/// length. Memory: one entry per distinct chunk.
///
/// # Errors
/// [`DiffError`] if an image is damaged; `have` is the left image.
pub fn transfer(
    have: &dyn Image,
    want: &dyn Image,
    limits: &Limits,
) -> Result<Transfer, DiffError> {
    let parts = transfer_by_blob(have, want, limits)?;
    Ok(parts.into_iter().map(|(_, part)| part).sum())
}

/// The parts of [`transfer`] by the blobs of `want` that contain its chunks, in the order of [`Image::blobs`]: how much
/// has to be fetched from each. Blobs without chunks are left out.
///
/// # Errors
/// As those of [`transfer`].
pub fn transfer_by_blob(
    have: &dyn Image,
    want: &dyn Image,
    limits: &Limits,
) -> Result<Vec<(BlobIndex, Transfer)>, DiffError> {
    let mut blobs = HashMap::new();
    for (blob, index) in have.blobs().iter().zip(0..) {
        blobs.entry(&blob.id).or_insert(BlobIndex(index));
    }
    let unknown = have.blobs().len();
    let in_have: Vec<BlobIndex> = (want.blobs().iter().zip(unknown..))
        .map(|(blob, own)| {
            let own = BlobIndex(u32::try_from(own).unwrap_or(u32::MAX));
            blobs.get(&blob.id).copied().unwrap_or(own)
        })
        .collect();
    let mut known = HashSet::new();
    visit_chunks(Source::new(have, Side::Left, limits), limits, |chunk| {
        known.insert(chunk.key(chunk.blob));
    })?;
    let mut parts: BTreeMap<BlobIndex, Transfer> = BTreeMap::new();
    let (mut seen, mut frames) = (HashSet::new(), HashSet::new());
    visit_chunks(Source::new(want, Side::Right, limits), limits, |chunk| {
        let blob = chunk.blob;
        let key = chunk.key(in_have.get(blob.0 as usize).copied().unwrap_or(blob));
        if !seen.insert(key) {
            return;
        }
        let part = parts.entry(blob).or_default();
        if known.contains(&key) {
            part.shared_chunks += 1;
            part.shared_len += chunk.len;
        } else {
            part.fetch_chunks += 1;
            part.fetch_len += chunk.len;
            if frames.insert((blob, chunk.offset, chunk.stored_len)) {
                part.fetch_stored_len += chunk.stored_len;
            }
        }
    })?;
    Ok(parts.into_iter().collect())
}

/// What makes two chunks equal. Blobs are numbered as in the image that is already present.
#[derive(PartialEq, Eq, Hash, Clone, Copy)]
enum Key {
    Digest(Digest),
    Place {
        blob: BlobIndex,
        frame_offset: u64,
        offset_in_frame: u32,
        len: u64,
    },
}

/// A chunk, or plain bytes in a blob.
struct StoredChunk {
    blob: BlobIndex,
    /// Where its frame begins in the blob.
    offset: u64,
    /// Stored bytes of its frame.
    stored_len: u64,
    offset_in_frame: u32,
    digest: Option<Digest>,
    len: u64,
}

impl StoredChunk {
    /// `None` for zeros.
    fn of(image: &dyn Image, extent: &Extent) -> Result<Option<Self>, ImageError> {
        let len = extent.len;
        Ok(match extent.source {
            ExtentSource::Zeros => None,
            ExtentSource::Plain { blob, offset } => Some(Self {
                blob,
                offset,
                stored_len: len,
                offset_in_frame: 0,
                digest: None,
                len,
            }),
            ExtentSource::Chunk {
                frame,
                offset_in_frame,
                digest,
                ..
            } => {
                let frame = image.frame(frame)?;
                Some(Self {
                    blob: frame.blob,
                    offset: frame.offset,
                    stored_len: frame.stored_len.into(),
                    offset_in_frame,
                    digest,
                    len,
                })
            }
        })
    }

    fn key(&self, blob: BlobIndex) -> Key {
        self.digest.map_or(
            Key::Place {
                blob,
                frame_offset: self.offset,
                offset_in_frame: self.offset_in_frame,
                len: self.len,
            },
            Key::Digest,
        )
    }
}

/// Shows `visit` the chunks of every regular file.
fn visit_chunks(
    mut source: Source<'_>,
    limits: &Limits,
    mut visit: impl FnMut(StoredChunk),
) -> Result<(), DiffError> {
    let (image, side) = (source.image, source.side);
    let mut files = InoSet::default();
    let mut walk = Walk::new(image, limits);
    while let Some(entry) = walk.next_entry() {
        let entry = entry.map_err(|error| walk_error(side, error))?;
        if entry.attributes.kind != FileKind::File || !files.insert(entry.ino) {
            continue;
        }
        let mut damaged = None;
        let size = entry.attributes.size;
        source.extents(
            entry.path,
            entry.ino,
            size,
            |extent| match StoredChunk::of(image, extent) {
                Ok(chunk) => {
                    chunk.into_iter().for_each(&mut visit);
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    damaged = Some(error);
                    ControlFlow::Break(())
                }
            },
        )?;
        if let Some(source) = damaged {
            let path = entry.path.clone();
            return Err(DiffError::Image { side, path, source });
        }
    }
    Ok(())
}
