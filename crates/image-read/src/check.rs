//! Checking every chunk of an image once, in the order in which they are stored.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::ops::ControlFlow;

use image_model::{BlobIndex, Cancelled, Extent, ExtentSource, FrameId, Image, Ino};
use verify::{CheckFiles, ChunkFault, ChunkObserver, ChunkSummary, ContentError, StoredAt};

use crate::content::{FileExtents, ReadError, Want, with_shared_frame};
use crate::reader::Reader;

/// See [`Content::check_files`](verify::Content::check_files).
///
/// Memory: 60 bytes or so for each distinct chunk.
pub(crate) fn check_files(
    reader: &Reader,
    files: &[Ino],
    options: &CheckFiles<'_>,
    observer: &mut dyn ChunkObserver,
) -> Result<ChunkSummary, Cancelled> {
    let image = &**reader.image();
    let mut chunks = Chunks {
        image,
        options,
        seen: Seen::default(),
        places: Vec::new(),
        extents: 0,
        summary: ChunkSummary::default(),
    };
    for (file, &ino) in files.iter().enumerate() {
        if !chunks.file(file, ino, observer) {
            break;
        }
    }
    let Chunks {
        mut places,
        summary,
        ..
    } = chunks;
    if options.read {
        places.sort_unstable_by_key(|place| (place.blob, place.offset, place.frame));
        drop_unreachable(reader, files, &mut places, observer);
        read(reader, files, &places, observer)?;
    }
    Ok(summary)
}

/// Reads every chunk, which verifies it.
fn read(
    reader: &Reader,
    files: &[Ino],
    places: &[Place],
    observer: &mut dyn ChunkObserver,
) -> Result<(), Cancelled> {
    let image = &**reader.image();
    let total = places.iter().map(|place| place.len).sum();
    let mut done = 0;
    let wants = (0u64..).zip(places).map(|(tag, place)| {
        let ino = files[place.file as usize];
        Ok::<_, ReadError>(Want {
            tag,
            ino,
            extent: place.extent(image, ino)?,
            range: place.file_offset..place.file_offset + place.len,
        })
    });
    // A long plain piece of a blob is read in parts; one fault in it is enough.
    let mut faulty = None;
    let mut next = 0;
    let plan = reader.plan(wants).passing().checking();
    let read = reader.drive(plan, &mut |piece| {
        next = piece.tag as usize + 1;
        if let Err(error) = piece.bytes
            && faulty.replace(piece.tag) != Some(piece.tag)
        {
            let place = &places[piece.tag as usize];
            let fault = place.fault(image, &piece.extent, error);
            observer.fault(place.file as usize, fault);
        }
        done += piece.len;
        Ok::<_, ReadError>(observer.advance(done, total)?)
    });
    match read {
        Ok(()) => Ok(()),
        Err(ReadError::Cancelled(cancelled)) => Err(cancelled),
        // The extents existed before, so the image has changed.
        Err(error) => {
            let file = places.get(next).map_or(0, |place| place.file);
            observer.fault(file as usize, image_fault(error, 0));
            Ok(())
        }
    }
}

/// Where a distinct chunk is stored, and who uses it first.
#[derive(Debug, Clone, Copy)]
struct Place {
    blob: BlobIndex,
    /// Of its frame, in the blob.
    offset: u64,
    /// Its frame; `None` if it lies plain in the blob.
    frame: Option<FrameId>,
    file: u32,
    /// Position among the file's chunks.
    chunk: u32,
    file_offset: u64,
    /// In the file, which it does not leave.
    len: u64,
}

impl Place {
    /// The extent of `ino` that it was found as. An image may say something else by now.
    fn extent(&self, image: &dyn Image, ino: Ino) -> Result<Extent, ReadError> {
        let file_offset = self.file_offset;
        let mut found = None;
        image.extents(ino, file_offset..file_offset + 1, &mut |extent| {
            found = Some(extent);
            ControlFlow::Break(())
        })?;
        found
            .filter(|found| (found.file_offset, found.len) == (file_offset, self.len))
            .map(|found| with_shared_frame(image, found))
            .ok_or(ReadError::Uncovered { ino, file_offset })
    }

    fn fault(&self, image: &dyn Image, extent: &Extent, error: ReadError) -> ChunkFault {
        ChunkFault::Chunk {
            chunk: self.chunk.into(),
            file_offset: self.file_offset,
            at: stored_at(image, self, extent),
            source: error.into(),
        }
    }
}

struct Chunks<'a> {
    image: &'a (dyn Image + Send + Sync),
    options: &'a CheckFiles<'a>,
    seen: Seen,
    places: Vec<Place>,
    extents: u32,
    summary: ChunkSummary,
}

impl Chunks<'_> {
    /// Goes through the extents of a file; false if there are too many in all.
    fn file(&mut self, file: usize, ino: Ino, observer: &mut dyn ChunkObserver) -> bool {
        let limit = self.options.limits.max_chunks;
        let extents = match FileExtents::new(self.image, ino, 0..u64::MAX, 0) {
            Ok(extents) => extents,
            Err(error) => {
                observer.fault(file, image_fault(error, 0));
                return true;
            }
        };
        let size = extents.remaining().end;
        let mut chunk = 0;
        for want in extents {
            let extent = match want {
                Ok(want) => want.extent,
                Err(error) => {
                    observer.fault(file, image_fault(error, size));
                    return true;
                }
            };
            self.extents = self.extents.saturating_add(1);
            if self.extents > limit {
                observer.fault(file, ChunkFault::TooManyExtents { limit });
                return false;
            }
            if extent.source == ExtentSource::Zeros {
                continue;
            }
            if self.seen.insert(&extent)
                && let Err(fault) = self.chunk((file, chunk), ino, &extent)
            {
                observer.fault(file, fault);
            }
            chunk = chunk.saturating_add(1);
        }
        true
    }

    /// A distinct chunk: whether it can be where the image says.
    fn chunk(
        &mut self,
        (file, chunk): (usize, u32),
        ino: Ino,
        extent: &Extent,
    ) -> Result<(), ChunkFault> {
        self.summary.chunks += 1;
        self.summary.chunk_len += extent.len;
        let mut outside = None;
        let (blob, frame, offset, stored_len) = match extent.source {
            ExtentSource::Zeros => return Ok(()),
            ExtentSource::Plain { blob, offset } => {
                self.summary.unverifiable += 1;
                (blob, None, offset, extent.len)
            }
            ExtentSource::Chunk {
                frame: id,
                offset_in_frame,
                digest,
                crc32c,
            } => {
                if digest.is_none() && crc32c.is_none() {
                    self.summary.unverifiable += 1;
                }
                let frame = self.image.frame(id).map_err(ChunkFault::Image)?;
                let end = u64::from(offset_in_frame).checked_add(extent.len);
                if end.is_none_or(|end| end > frame.len.into()) {
                    outside = Some(ReadError::OutsideFrame {
                        ino,
                        file_offset: extent.file_offset,
                        offset_in_frame,
                        len: extent.len,
                        frame_len: frame.len,
                    });
                }
                (frame.blob, Some(id), frame.offset, frame.stored_len.into())
            }
        };
        let place = Place {
            blob,
            offset,
            frame,
            // A tree has fewer inodes, or the walk would have ended.
            file: file as u32,
            chunk,
            file_offset: extent.file_offset,
            len: extent.len,
        };
        if let Some(error) = outside {
            return Err(place.fault(self.image, extent, error));
        }
        let at = |image| stored_at(image, &place, extent);
        let (chunk, file_offset) = (u64::from(chunk), extent.file_offset);
        let Some(listed) = self.image.blobs().get(blob.0 as usize) else {
            let at = at(self.image);
            return Err(ChunkFault::Blob {
                chunk,
                file_offset,
                at,
            });
        };
        let end = offset.saturating_add(stored_len);
        if let Some(blob_len) = listed.stored_len
            && end > blob_len
        {
            let at = at(self.image);
            return Err(ChunkFault::OutsideBlob {
                chunk,
                file_offset,
                at,
                end,
                blob_len,
            });
        }
        self.places.push(place);
        Ok(())
    }
}

fn image_fault(error: ReadError, size: u64) -> ChunkFault {
    match error {
        ReadError::Uncovered { file_offset, .. } => ChunkFault::Extents { file_offset, size },
        ReadError::Image(error) => ChunkFault::Image(error),
        other => ChunkFault::Chunk {
            chunk: 0,
            file_offset: 0,
            at: StoredAt {
                blob: BlobIndex(0),
                blob_id: None,
                frame_offset: 0,
                offset_in_frame: 0,
            },
            source: other.into(),
        },
    }
}

/// Tells of each blob that cannot be opened once, and drops its chunks; and of each chunk that a blob is
/// too short for, so that those are read that are there. `places` are in order.
fn drop_unreachable(
    reader: &Reader,
    files: &[Ino],
    places: &mut Vec<Place>,
    observer: &mut dyn ChunkObserver,
) {
    let (mut unopened, mut short) = (HashSet::new(), Vec::new());
    for chunks in places.chunk_by(|left, right| left.blob == right.blob) {
        let blob = chunks[0].blob;
        let listed = &reader.image().blobs()[blob.0 as usize];
        match reader.blobs().blob(blob) {
            Err(error) => {
                let first = chunks.iter().map(|place| place.file).min();
                let fault = ChunkFault::Unopened {
                    blob: listed.id.clone(),
                    source: ContentError::new(None, 0, error),
                };
                observer.fault(first.unwrap_or(0) as usize, fault);
                unopened.insert(blob);
            }
            Ok(source) => {
                // An unknown length is reported when the blob is read.
                let Ok(len) = source.len() else { continue };
                if listed.stored_len.is_none_or(|listed| len < listed) {
                    short.push((blob, len));
                }
            }
        }
    }
    places.retain(|place| !unopened.contains(&place.blob));
    for blob in short {
        drop_outside(&**reader.image(), files, blob, places, observer);
    }
}

/// Tells of the chunks that end after the `blob_len` bytes that `blob` has, and drops them.
fn drop_outside(
    image: &dyn Image,
    files: &[Ino],
    (blob, blob_len): (BlobIndex, u64),
    places: &mut Vec<Place>,
    observer: &mut dyn ChunkObserver,
) {
    places.retain(|place| {
        if place.blob != blob {
            return true;
        }
        let Ok(extent) = place.extent(image, files[place.file as usize]) else {
            return true;
        };
        let stored_len = match extent.source {
            ExtentSource::Chunk { frame, .. } => image.frame(frame).map(|f| f.stored_len.into()),
            _ => Ok(place.len),
        };
        let end = place.offset.saturating_add(stored_len.unwrap_or_default());
        if end <= blob_len {
            return true;
        }
        let fault = ChunkFault::OutsideBlob {
            chunk: place.chunk.into(),
            file_offset: place.file_offset,
            at: stored_at(image, place, &extent),
            end,
            blob_len,
        };
        observer.fault(place.file as usize, fault);
        false
    });
}

fn stored_at(image: &dyn Image, place: &Place, extent: &Extent) -> StoredAt {
    let blob = image.blobs().get(place.blob.0 as usize);
    StoredAt {
        blob: place.blob,
        blob_id: blob.map(|blob| blob.id.clone()),
        frame_offset: place.offset,
        offset_in_frame: match extent.source {
            ExtentSource::Chunk {
                offset_in_frame, ..
            } => offset_in_frame,
            _ => 0,
        },
    }
}

/// A set of chunks by everything that the image says of them: two claims about one place are two.
///
/// Of each chunk 128 bits are kept, made with random keys: an image cannot be made so that two
/// different chunks are taken for one, and chance does so in less than one of 10^20 audits.
#[derive(Default)]
struct Seen {
    seen: HashSet<(u64, u64)>,
    keys: (RandomState, RandomState),
}

impl Seen {
    /// Adds the chunk of `extent`; false if it was there.
    fn insert(&mut self, extent: &Extent) -> bool {
        let (left, right) = &self.keys;
        let chunk = (extent.len, &extent.source);
        self.seen
            .insert((left.hash_one(chunk), right.hash_one(chunk)))
    }
}
