//! Which frames are needed again.

use std::collections::HashMap;

use image_model::{ExtentSource, FrameId, Image};

use super::want::Want;

/// How often each frame of a sequence of wants is needed, of those that are needed more than once:
/// they are worth keeping until then.
#[derive(Debug, Default)]
pub(crate) struct FrameUses(HashMap<FrameId, u32>);

/// How much is wanted, and what is stored for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Volume {
    /// Bytes that are wanted.
    pub(crate) len: u64,
    /// Decoded bytes of the frames that hold them, each counted once, and bytes that lie plain.
    pub(crate) stored: u64,
}

impl FrameUses {
    /// Counts what `wants` need. Memory: some 16 bytes for each frame, while it counts.
    pub(crate) fn count<E>(
        image: &(impl Image + ?Sized),
        wants: impl Iterator<Item = Result<Want, E>>,
    ) -> (Self, Volume) {
        let mut volume = Volume::default();
        let mut add = |stored: u64| volume.stored = volume.stored.saturating_add(stored);
        let mut uses: HashMap<FrameId, u32> = HashMap::new();
        let mut total = 0u64;
        for want in wants.flatten() {
            let len = want.range.end - want.range.start;
            total = total.saturating_add(len);
            match want.extent.source {
                ExtentSource::Zeros => {}
                ExtentSource::Plain { .. } => add(len),
                ExtentSource::Chunk { frame, .. } => {
                    let count = uses.entry(frame).or_default();
                    if *count == 0 {
                        // One that is not there is told of when it is read.
                        add(image.frame(frame).map_or(0, |frame| frame.len.into()));
                    }
                    *count = count.saturating_add(1);
                }
            }
        }
        volume.len = total;
        uses.retain(|_, count| *count > 1);
        uses.shrink_to_fit();
        (Self(uses), volume)
    }

    /// Takes note of a use; whether there will be more.
    pub(super) fn used(&mut self, frame: FrameId) -> bool {
        let Some(left) = self.0.get_mut(&frame) else {
            return false;
        };
        *left -= 1;
        if *left > 0 {
            return true;
        }
        self.0.remove(&frame);
        false
    }
}
