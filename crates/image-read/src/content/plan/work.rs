//! How much a plan decodes.

use image_model::walk::InoSet;
use image_model::{Frame, FrameId, Ino};

use crate::content::error::{AGAIN_RATIO, FrameError};

/// What was decoded, and what for: an image may have every file lie in another frame than the one
/// before.
#[derive(Debug, Default)]
pub(super) struct DecodeWork {
    /// Frames that were needed, and their decoded bytes.
    seen: InoSet,
    fresh: u64,
    /// Decoded bytes of frames that were needed before.
    again: u64,
    /// Bytes that were handed out.
    pub(super) handed_out: u64,
}

impl DecodeWork {
    /// Takes note that a frame is to be decoded.
    pub(super) fn decode(&mut self, id: FrameId, frame: &Frame) -> Result<(), FrameError> {
        let len = u64::from(frame.len);
        if self.seen.insert(Ino(id.0.into())) {
            self.fresh = self.fresh.saturating_add(len);
            return Ok(());
        }
        let earned = self.fresh.saturating_add(self.handed_out);
        if self.again > earned.saturating_mul(AGAIN_RATIO) {
            return Err(FrameError::Again {
                frame: *frame,
                decoded: self.again,
            });
        }
        self.again = self.again.saturating_add(len);
        Ok(())
    }
}
