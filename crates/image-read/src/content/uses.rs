//! Which frames are needed again.

use std::collections::HashMap;

use image_model::{ExtentSource, FrameId};

use super::want::Want;

/// How often each frame of a sequence of wants is needed, of those that are needed more than once:
/// they are worth keeping until then.
#[derive(Debug, Default)]
pub(crate) struct FrameUses(HashMap<FrameId, u32>);

impl FrameUses {
    /// Counts what `wants` need. Memory: some 16 bytes for each frame, while it counts.
    pub(crate) fn count<E>(wants: impl Iterator<Item = Result<Want, E>>) -> Self {
        let mut uses: HashMap<FrameId, u32> = HashMap::new();
        for want in wants.flatten() {
            if let ExtentSource::Chunk { frame, .. } = want.extent.source {
                let count = uses.entry(frame).or_default();
                *count = count.saturating_add(1);
            }
        }
        uses.retain(|_, count| *count > 1);
        uses.shrink_to_fit();
        Self(uses)
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
