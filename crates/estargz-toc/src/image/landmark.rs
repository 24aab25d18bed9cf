//! The places of landmarks according to the TOC.

use image_model::{Blame, Extent, ExtentSource, Fault};

use super::EstargzImage;
use crate::landmark::Landmark;

/// A landmark whose content is not the required single byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}: wrong content for a landmark", landmark.name())]
pub struct LandmarkError {
    /// Which one.
    pub landmark: Landmark,
}

impl Blame for LandmarkError {
    fn fault(&self) -> Fault {
        Fault::Corrupt
    }
}

impl EstargzImage {
    /// The byte of every landmark, at its place in the TOC, which determines the end of the range
    /// to prefetch. Landmarks are not files of the image, so an audit of the image skips them;
    /// readers compare the byte with [`Landmark::BYTE`].
    pub fn landmark_extents(
        &self,
    ) -> impl Iterator<Item = Result<(Landmark, Extent), LandmarkError>> + '_ {
        self.landmarks.iter().map(|(&landmark, &content)| {
            let extents = self.image.file_extents(content).unwrap_or_default();
            let only = match extents {
                [only] => only.chunk.and_then(|id| self.image.chunks.get(id.index())),
                _ => None,
            };
            let chunk = only
                .filter(|chunk| chunk.len == 1)
                .ok_or(LandmarkError { landmark })?;
            let source = ExtentSource::Chunk {
                frame: chunk.frame,
                offset_in_frame: chunk.offset_in_frame,
                digest: chunk.digest,
                crc32c: chunk.crc32c,
            };
            let extent = Extent {
                file_offset: 0,
                len: chunk.len.into(),
                source,
            };
            Ok((landmark, extent))
        })
    }
}
