//! Wants: pieces of files, in the order in which they are returned.

use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use image_model::{BlobIndex, Extent, ExtentSource, Image, Ino};

use super::error::{FrameError, ReadError};

/// Extents that are requested at once.
const BATCH: usize = 256;

/// A piece of a file that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// A tag by which the caller identifies the piece.
    pub tag: u64,
    /// The file.
    pub ino: Ino,
    /// The extent that holds it.
    pub extent: Extent,
    /// The bytes of the file that are wanted: inside the extent, not empty.
    pub range: Range<u64>,
}

impl Want {
    /// Whether it is what it should be.
    pub(super) fn is_in_extent(&self) -> bool {
        let Extent {
            file_offset, len, ..
        } = self.extent;
        let end = file_offset.checked_add(len);
        file_offset <= self.range.start
            && !self.range.is_empty()
            && end.is_some_and(|end| self.range.end <= end)
    }

    /// Says that what holds it cannot be read.
    pub(super) fn frame_error(&self, source: Arc<FrameError>) -> ReadError {
        ReadError::Frame {
            ino: self.ino,
            file_offset: self.range.start,
            source,
        }
    }
}

/// `extent` with the number of its frame that all uses of it share.
pub(crate) fn with_shared_frame<I: Image + ?Sized>(image: &I, mut extent: Extent) -> Extent {
    if let ExtentSource::Chunk { frame, .. } = &mut extent.source {
        *frame = image.shared_frame(*frame);
    }
    extent
}

/// The extents of a range of a file, which cover it without gap and overlap, or end with an error.
///
/// This is the one place that goes through a file's extents to read them, and that makes sure of it. Frames have the
/// numbers by which readers share them.
#[derive(Debug)]
pub struct FileExtents<'a, I: ?Sized> {
    image: &'a I,
    tag: u64,
    ino: Ino,
    /// What is still to come.
    range: Range<u64>,
    /// Length of the file in bytes.
    size: u64,
    /// Whether an extent has come.
    begun: bool,
    batch: VecDeque<Extent>,
}

impl<'a, I: Image + ?Sized> FileExtents<'a, I> {
    /// `range` of the file `ino`, truncated at the file's end. Wants get the tag `tag`.
    ///
    /// # Errors
    /// [`ReadError::Image`] if there is no such inode, or it is not a file.
    pub fn new(image: &'a I, ino: Ino, range: Range<u64>, tag: u64) -> Result<Self, ReadError> {
        let size = image.attributes(ino)?.size;
        // Only files have extents; this determines what else it is.
        image.extents(ino, 0..0, &mut |_| ControlFlow::Break(()))?;
        let end = range.end.min(size);
        Ok(Self {
            image,
            tag,
            ino,
            range: range.start.min(end)..end,
            size,
            begun: false,
            batch: VecDeque::new(),
        })
    }

    /// What is still to come, in bytes of the file.
    #[must_use]
    pub fn remaining(&self) -> Range<u64> {
        self.range.clone()
    }

    /// The blob that holds all of what is still to come as it is and in one piece, and where in it;
    /// `None` if there is no such place, as there is none for no bytes.
    ///
    /// # Errors
    /// [`ReadError`] if the extents are not what they should be.
    pub fn into_contiguous(self) -> Result<Option<(BlobIndex, Range<u64>)>, ReadError> {
        let mut found: Option<(BlobIndex, Range<u64>)> = None;
        for want in self {
            let Want { extent, range, .. } = want?;
            let ExtentSource::Plain { blob, offset } = extent.source else {
                return Ok(None);
            };
            let start = offset.checked_add(range.start - extent.file_offset);
            let end = start.and_then(|start| start.checked_add(range.end - range.start));
            let (Some(start), Some(end)) = (start, end) else {
                return Ok(None);
            };
            match &mut found {
                None => found = Some((blob, start..end)),
                Some((of, place)) if *of == blob && place.end == start => place.end = end,
                Some(_) => return Ok(None),
            }
        }
        Ok(found)
    }

    fn next_want(&mut self) -> Result<Want, ReadError> {
        if self.batch.is_empty() {
            let batch = &mut self.batch;
            self.image
                .extents(self.ino, self.range.clone(), &mut |extent| {
                    batch.push_back(extent);
                    match batch.len() < BATCH {
                        true => ControlFlow::Continue(()),
                        false => ControlFlow::Break(()),
                    }
                })?;
        }
        let next = self.range.start;
        let uncovered = ReadError::Uncovered {
            ino: self.ino,
            file_offset: next,
        };
        let Some(extent) = self.batch.pop_front() else {
            return Err(uncovered);
        };
        // The first extent may begin before the range.
        let begins = match self.begun {
            true => extent.file_offset == next,
            false => extent.file_offset <= next,
        };
        let end = extent.file_offset.checked_add(extent.len);
        let Some(end) = end.filter(|&end| begins && end > next && end <= self.size) else {
            return Err(uncovered);
        };
        let end = end.min(self.range.end);
        self.begun = true;
        self.range.start = end;
        Ok(Want {
            tag: self.tag,
            ino: self.ino,
            extent: with_shared_frame(self.image, extent),
            range: next..end,
        })
    }
}

/// Ends after an error.
impl<I: Image + ?Sized> Iterator for FileExtents<'_, I> {
    type Item = Result<Want, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.range.is_empty() {
            return None;
        }
        let want = self.next_want();
        if want.is_err() {
            self.range.start = self.range.end;
        }
        Some(want)
    }
}
