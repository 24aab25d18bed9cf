//! Whether the landmarks of a TOC are where it says.

use image_model::{Blame, Extent, ExtentSource, Fault};
use verify::{ExtentBytes, ExtentError, FrameSource, read_extent};

use super::EstargzImage;
use crate::landmark::Landmark;

/// A landmark whose byte is not where the TOC says, or is another one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LandmarkError {
    /// Its content is not the single byte of a landmark.
    #[error("{}: its content is not that of a landmark", landmark.name())]
    Content {
        /// Which one.
        landmark: Landmark,
    },
    /// Its byte cannot be had, or has another digest.
    #[error("{}", landmark.name())]
    Chunk {
        /// Which one.
        landmark: Landmark,
        /// Why.
        source: ExtentError,
    },
}

impl Blame for LandmarkError {
    fn fault(&self) -> Fault {
        match self {
            Self::Content { .. } => Fault::Corrupt,
            Self::Chunk { source, .. } => source.fault(),
        }
    }
}

impl EstargzImage {
    /// Reads the byte of every landmark at the place that the TOC gives. Landmarks are no files of
    /// the image, so that an audit of it passes them by; where the range ends that is to be fetched
    /// ahead of time depends on that place.
    ///
    /// # Errors
    /// [`LandmarkError`] for the first one that is not there.
    pub fn check_landmarks(&self, frames: &mut dyn FrameSource) -> Result<(), LandmarkError> {
        for (&landmark, &content) in &self.landmarks {
            let extents = self.image.file_extents(content).unwrap_or_default();
            let &[only] = extents else {
                return Err(LandmarkError::Content { landmark });
            };
            let id = only.chunk.ok_or(LandmarkError::Content { landmark })?;
            let chunk = self.image.chunks[id.index()];
            let extent = Extent {
                file_offset: 0,
                len: chunk.len.into(),
                source: ExtentSource::Chunk {
                    frame: self.image.frames[chunk.frame.0 as usize],
                    offset_in_frame: chunk.offset_in_frame,
                    digest: chunk.digest,
                    crc32c: chunk.crc32c,
                },
            };
            let bytes = read_extent(frames, &extent)
                .map_err(|source| LandmarkError::Chunk { landmark, source })?;
            if bytes != ExtentBytes::Data(&[Landmark::BYTE]) {
                return Err(LandmarkError::Content { landmark });
            }
        }
        Ok(())
    }
}
