//! What is at hand when a layer is pulled.

use std::collections::HashMap;
use std::io;
use std::ops::ControlFlow;

use image_model::walk::Walk;
use image_model::{Digest, ExtentSource, FileKind, ImagePath, Ino};

use crate::open::OpenImage;
use crate::rebuild::RebuildError;
use crate::resolve::Follow;

/// A chunk that a layer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WantedChunk<'a> {
    /// The file with the chunk, by one of its names.
    pub path: &'a ImagePath,
    /// First byte in the file.
    pub file_offset: u64,
    /// Number of bytes.
    pub len: u32,
    /// Digest of the bytes.
    pub digest: Digest,
}

impl<'a> WantedChunk<'a> {
    /// A chunk of `len` bytes with this digest.
    #[must_use]
    pub fn new(path: &'a ImagePath, file_offset: u64, len: u32, digest: Digest) -> Self {
        Self {
            path,
            file_offset,
            len,
            digest,
        }
    }
}

/// What has chunks that need not be fetched: [another image](ImageAtHand), or a table of chunks that the caller keeps.
/// What it hands out is verified when it is used.
pub trait AtHand {
    /// Whether `chunk` is there. A table knows by its digest; what has no digests may have to read it.
    ///
    /// # Errors
    /// If that cannot be found out.
    fn has(&self, chunk: &WantedChunk<'_>) -> io::Result<bool>;

    /// Fills `out`, which is as long as `chunk`, with its bytes.
    ///
    /// # Errors
    /// If it is not there, or cannot be read.
    fn read(&self, chunk: &WantedChunk<'_>, out: &mut [u8]) -> io::Result<()>;
}

/// Whether `bytes` have `digest`; not if it is of an algorithm that is not built in.
pub(super) fn holds(bytes: &[u8], digest: &Digest) -> bool {
    verify::digest(digest.algorithm(), bytes).is_ok_and(|found| found == *digest)
}

/// The chunks of an opened image: of one with digests by these; of a directory, or a plain layer, what a file of the same
/// name holds in the same place, which is read to find out.
#[derive(Debug)]
pub struct ImageAtHand<'i> {
    image: &'i OpenImage,
    /// Where chunks with digests are.
    chunks: HashMap<(Digest, u32), (Ino, u64)>,
}

impl<'i> ImageAtHand<'i> {
    /// The chunks of `image`. Memory: some 70 bytes for each of its chunks that has a digest.
    ///
    /// # Errors
    /// [`RebuildError::Walk`] if the image cannot be walked.
    pub fn new(image: &'i OpenImage) -> Result<Self, RebuildError> {
        let mut chunks = HashMap::new();
        for_each_file(image, &mut |_, ino, size| {
            image.image().extents(ino, 0..size, &mut |extent| {
                if let ExtentSource::Chunk {
                    digest: Some(digest),
                    ..
                } = extent.source
                    && let Ok(len) = u32::try_from(extent.len)
                {
                    let place = (ino, extent.file_offset);
                    chunks.entry((digest, len)).or_insert(place);
                }
                ControlFlow::Continue(())
            })
        })?;
        Ok(Self { image, chunks })
    }

    /// The file that may hold `chunk` in its place.
    fn same_place(&self, chunk: &WantedChunk<'_>) -> Option<Ino> {
        let image = self.image.image();
        let ino = self.image.resolve(chunk.path.as_bytes(), Follow::Never);
        let ino = ino.ok()?;
        let end = chunk.file_offset.checked_add(chunk.len.into())?;
        let there = image.attributes(ino).ok()?;
        if there.kind != FileKind::File || there.size < end {
            return None;
        }
        let mut plain = true;
        let range = chunk.file_offset..end;
        let visited = image.extents(ino, range, &mut |extent| {
            plain &= !matches!(extent.source, ExtentSource::Chunk { .. });
            ControlFlow::Continue(())
        });
        visited.ok().filter(|()| plain).map(|()| ino)
    }

    /// Fills `out` with what the file has from `start` on.
    fn fill(&self, (ino, start): (Ino, u64), out: &mut [u8]) -> io::Result<()> {
        let len = out.len() as u64;
        let mut left = out;
        match self.image.read_range(ino, start..start + len, &mut left)? == len {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl AtHand for ImageAtHand<'_> {
    fn has(&self, chunk: &WantedChunk<'_>) -> io::Result<bool> {
        if self.chunks.contains_key(&(chunk.digest, chunk.len)) {
            return Ok(true);
        }
        let Some(ino) = self.same_place(chunk) else {
            return Ok(false);
        };
        // No longer than a frame may be.
        let mut bytes = vec![0; chunk.len as usize];
        self.fill((ino, chunk.file_offset), &mut bytes)?;
        Ok(holds(&bytes, &chunk.digest))
    }

    fn read(&self, chunk: &WantedChunk<'_>, out: &mut [u8]) -> io::Result<()> {
        let known = self.chunks.get(&(chunk.digest, chunk.len)).copied();
        let place = known.or_else(|| Some((self.same_place(chunk)?, chunk.file_offset)));
        self.fill(place.ok_or(io::ErrorKind::NotFound)?, out)
    }
}

/// Hands the regular files of `image` to `visit`, each by the first of its names.
pub(super) fn for_each_file(
    image: &OpenImage,
    visit: &mut dyn FnMut(&ImagePath, Ino, u64) -> Result<(), image_model::ImageError>,
) -> Result<(), RebuildError> {
    let mut linked = std::collections::HashSet::new();
    let mut walk = Walk::new(image.image(), image.limits());
    while let Some(entry) = walk.next_entry() {
        let entry = entry?;
        let there = &entry.attributes;
        let is_first = there.links <= 1 || linked.insert(entry.ino);
        if there.kind == FileKind::File && is_first {
            let visited = visit(entry.path, entry.ino, there.size);
            visited.map_err(|source| {
                let path = entry.path.clone();
                RebuildError::Walk(image_model::walk::WalkError::Image { path, source })
            })?;
        }
    }
    Ok(())
}
