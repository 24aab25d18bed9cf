//! How ranges are read.

use image_model::{Frame, Limits};

use crate::error::ReadError;

/// How a [`ReadPlan`](crate::ReadPlan) reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// Bytes of frames (stored or decoded, whichever is more) that are asked for before the first
    /// of them is handed out. One frame is always taken, even if it alone is larger. Default:
    /// 4 MiB.
    pub window: u64,
    /// Bytes between two frames that are rather fetched in vain than by two requests. Default: 0,
    /// right for local files; a registry deserves some 64 KiB.
    pub gap: u64,
    /// Longest range in bytes that is asked for at once; a single longer frame is not cut. Default:
    /// 4 MiB.
    pub max_request: u64,
    /// Longest frame in decoded bytes that is not refused. Stored it may have what its codec needs
    /// for that ([`Codec::max_stored_len`](image_model::Codec::max_stored_len)): gzip makes longer
    /// what does not compress. Default: that of [`Limits`].
    pub max_frame_len: u32,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self::new(&Limits::default())
    }
}

impl ReadOptions {
    /// Refuses a frame that is too long, decoded or stored.
    pub(crate) fn check_len(&self, frame: &Frame) -> Result<(), ReadError> {
        let limit = self.max_frame_len;
        if frame.len > limit || u64::from(frame.stored_len) > frame.codec.max_stored_len(limit) {
            let frame = *frame;
            return Err(ReadError::FrameTooLong { frame, limit });
        }
        Ok(())
    }

    /// The defaults under `limits`.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            window: 4 << 20,
            gap: 0,
            max_request: 4 << 20,
            max_frame_len: limits.max_frame_len,
        }
    }
}
