//! Comparing the bytes of two files by their extents.

use std::ops::ControlFlow;

use super::{DiffError, Side};
use crate::digest::Digest;
use crate::image::{Extent, ExtentSource, Image, Ino};
use crate::limits::Limits;
use crate::path::ImagePath;

/// What can be told without reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Same,
    Different,
    Unknown,
}

/// One of the images, and how many extents it may still show.
pub(super) struct Source<'a> {
    pub(super) image: &'a dyn Image,
    pub(super) side: Side,
    limit: u32,
    left: u32,
}

impl<'a> Source<'a> {
    pub(super) fn new(image: &'a dyn Image, side: Side, limits: &Limits) -> Self {
        Self {
            image,
            side,
            limit: limits.max_chunks,
            left: limits.max_chunks,
        }
    }

    /// Shows `visit` the extents of the first `size` bytes of a file.
    pub(super) fn extents(
        &mut self,
        path: &ImagePath,
        ino: Ino,
        size: u64,
        mut visit: impl FnMut(&Extent) -> ControlFlow<()>,
    ) -> Result<(), DiffError> {
        let (side, limit) = (self.side, self.limit);
        let mut too_many = false;
        let visited = self.image.extents(ino, 0..size, &mut |extent| {
            match self.left.checked_sub(1) {
                Some(fewer) => self.left = fewer,
                None => {
                    too_many = true;
                    return ControlFlow::Break(());
                }
            }
            visit(&extent)
        });
        let path = || path.clone();
        visited.map_err(|source| DiffError::Image {
            side,
            path: path(),
            source,
        })?;
        if too_many {
            let path = path();
            return Err(DiffError::TooManyExtents { side, path, limit });
        }
        Ok(())
    }
}

/// An extent as far as it is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Zeros,
    Digest(Digest),
    Unknown,
}

impl Piece {
    fn of(extent: &Extent) -> Self {
        match extent.source {
            ExtentSource::Zeros => Self::Zeros,
            ExtentSource::Plain { .. } => Self::Unknown,
            ExtentSource::Chunk { digest, .. } => digest.map_or(Self::Unknown, Self::Digest),
        }
    }

    fn compare(self, other: Self) -> Verdict {
        match (self, other) {
            (Self::Zeros, Self::Zeros) => Verdict::Same,
            (Self::Digest(a), Self::Digest(b)) if a == b => Verdict::Same,
            (Self::Digest(a), Self::Digest(b)) if a.algorithm() == b.algorithm() => {
                Verdict::Different
            }
            _ => Verdict::Unknown,
        }
    }
}

/// Compares two files of `size` bytes by their extents: this decides if both are cut alike and
/// their chunks have digests of the same algorithm.
pub(super) fn compare(
    path: &ImagePath,
    size: u64,
    (left, left_ino): (&mut Source<'_>, Ino),
    (right, right_ino): (&mut Source<'_>, Ino),
) -> Result<Verdict, DiffError> {
    let mut pieces: Vec<(u64, u64, Piece)> = Vec::new();
    left.extents(path, left_ino, size, |extent| {
        pieces.push((extent.file_offset, extent.len, Piece::of(extent)));
        ControlFlow::Continue(())
    })?;
    let mut pieces = pieces.into_iter();
    let mut verdict = Verdict::Same;
    right.extents(path, right_ino, size, |extent| {
        verdict = match pieces.next() {
            Some((file_offset, len, piece))
                if (file_offset, len) == (extent.file_offset, extent.len) =>
            {
                match (verdict, piece.compare(Piece::of(extent))) {
                    (_, Verdict::Different) => Verdict::Different,
                    (Verdict::Same, found) => found,
                    (before, _) => before,
                }
            }
            _ => {
                pieces = Vec::new().into_iter();
                Verdict::Unknown
            }
        };
        match (verdict, pieces.len()) {
            (Verdict::Different, _) | (Verdict::Unknown, 0) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    })?;
    Ok(match (verdict, pieces.next()) {
        (Verdict::Same, Some(_)) => Verdict::Unknown,
        (verdict, _) => verdict,
    })
}
