//! How content is read.

use std::sync::OnceLock;
use std::thread::available_parallelism;

use image_model::{Frame, Limits, Recipe};

use crate::content::{FrameError, ReadError, Volume};

/// Options for reading content.
///
/// ```
/// use lazyoci_image_read::ReadOptions;
/// let from_a_registry = ReadOptions::default().gap(64 << 10).max_request(4 << 20);
/// assert_eq!(from_a_registry.threads, ReadOptions::default().threads);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// Bytes of frames (stored or decoded, whichever is more) that one reader looks ahead, at least
    /// one frame. Default: 8 MiB.
    pub window: u64,
    /// Maximum gap between two frames that are fetched in one request, in bytes. Default: 0,
    /// suitable for local files; about 64 KiB suits a registry.
    pub gap: u64,
    /// Maximum length of a requested range, in bytes; longer ones are split. Default: 1 MiB.
    pub max_request: u64,
    /// Bounds on frames, and on the content that work on the whole image reads; whatever is made of the
    /// image is made within all of them.
    pub limits: Limits,
    /// Decoded bytes to keep for later readers of the image. Work on the whole image uses them, but adds none. Default:
    /// 8 MiB.
    pub cache: u64,
    /// Decoded bytes that work on the whole image keeps because it needs them again; one frame is kept whatever its
    /// length. Default: 8 MiB.
    pub keep: u64,
    /// Threads that decode in work on the whole image. Default: one for each core that the process may
    /// use; at most 256.
    pub threads: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self::new(&Limits::default())
    }
}

/// Cores that the process may use. They are counted once: that takes longer than to open an image.
fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| available_parallelism().map_or(1, usize::from))
}

impl ReadOptions {
    /// The defaults under `limits`.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            window: 8 << 20,
            gap: 0,
            max_request: 1 << 20,
            limits: limits.clone(),
            cache: 8 << 20,
            keep: 8 << 20,
            threads: cores(),
        }
    }

    image_model::setters! {
        window: u64,
        gap: u64,
        max_request: u64,
        limits: Limits,
        cache: u64,
        keep: u64,
        threads: usize,
    }

    /// Refuses more content than is allowed.
    pub(crate) fn check_volume(&self, volume: Volume) -> Result<(), ReadError> {
        let Volume {
            len,
            stored,
            repeated,
        } = volume;
        let limits = &self.limits;
        let limit = match limits.check_content(len, stored) {
            Err(exceeded) => exceeded.of(limits),
            Ok(()) if repeated > limits.max_repeat_len => limits.max_repeat_len,
            Ok(()) => return Ok(()),
        };
        Err(ReadError::TooMuch { len, stored, limit })
    }

    /// Refuses a frame that is too long, decoded or stored. Stored it may have what its codec needs for
    /// the longest one: gzip makes longer what does not compress.
    pub(crate) fn check_len(&self, frame: &Frame, recipe: &Recipe) -> Result<(), FrameError> {
        let limit = self.limits.max_frame_len;
        let max_stored = recipe.decode.codec().max_stored_len(limit);
        if frame.len > limit || u64::from(frame.stored_len) > max_stored {
            let frame = *frame;
            return Err(FrameError::TooLong { frame, limit });
        }
        Ok(())
    }
}
