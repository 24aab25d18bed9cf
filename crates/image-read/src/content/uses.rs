//! Which frames are needed again.

use std::collections::HashMap;

use image_model::{Digest, DigestAlgorithm, ExtentSource, FrameId, Image};
use verify::{ExtentBytes, Hasher};

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
    /// Bytes that are the same as others: of each frame what is wanted beyond [`FREE_USES`] times its
    /// length, unless they are known to be zeros.
    pub(crate) repeated: u64,
}

/// How often a frame may be wanted as a whole before it counts as repeated.
const FREE_USES: u64 = 8;

/// What is wanted of a frame.
#[derive(Debug, Default)]
struct FrameUse {
    count: u32,
    /// Decoded bytes of the frame.
    frame_len: u32,
    /// Bytes that are wanted.
    len: u64,
}

impl FrameUse {
    /// Counts a use; how much of it is too much.
    fn add(&mut self, len: u64) -> u64 {
        self.count = self.count.saturating_add(1);
        self.len = self.len.saturating_add(len);
        let free = u64::from(self.frame_len) * FREE_USES;
        self.len.saturating_sub(free).min(len)
    }
}

/// Digests of zeros, to know chunks of them before they are read. There are no more than
/// [`MAX`](Self::MAX), each computed once: images have such chunks of one length, that of most chunks.
#[derive(Debug, Default)]
struct Zeros(Vec<(DigestAlgorithm, u64, Option<Digest>)>);

impl Zeros {
    const MAX: usize = 4;

    fn digest(&mut self, algorithm: DigestAlgorithm, len: u64) -> Option<Digest> {
        let mut known = self.0.iter();
        if let Some(&(.., digest)) = known.find(|known| (known.0, known.1) == (algorithm, len)) {
            return digest;
        }
        if self.0.len() == Self::MAX {
            return None;
        }
        let digest = Hasher::new(algorithm).ok().map(|mut hasher| {
            ExtentBytes::Zeros(len)
                .slices()
                .for_each(|zeros| hasher.update(zeros));
            hasher.finish()
        });
        self.0.push((algorithm, len, digest));
        digest
    }
}

impl FrameUses {
    /// Counts what `wants` need, of frames of at most `max_frame_len` bytes: longer ones are refused
    /// when they are read. Memory: some 24 bytes for each frame, while it counts.
    pub(crate) fn count<E>(
        image: &(impl Image + ?Sized),
        max_frame_len: u32,
        wants: impl Iterator<Item = Result<Want, E>>,
    ) -> (Self, Volume) {
        let mut volume = Volume::default();
        let add = |sum: &mut u64, len| *sum = sum.saturating_add(len);
        let mut uses: HashMap<FrameId, FrameUse> = HashMap::new();
        let mut zeros = Zeros::default();
        for want in wants.flatten() {
            let len = want.range.end - want.range.start;
            add(&mut volume.len, len);
            match want.extent.source {
                ExtentSource::Zeros => {}
                ExtentSource::Plain { .. } => add(&mut volume.stored, len),
                ExtentSource::Chunk { frame, digest, .. } => {
                    let used = uses.entry(frame).or_default();
                    if used.count == 0 {
                        // A missing one is reported when it is read.
                        used.frame_len = image.frame(frame).map_or(0, |frame| frame.len);
                        add(&mut volume.stored, used.frame_len.into());
                    }
                    let excess = used.add(len);
                    let is_zeros = |digest: Digest| {
                        let chunk_len = want.extent.len;
                        chunk_len <= used.frame_len.min(max_frame_len).into()
                            && zeros.digest(digest.algorithm(), chunk_len) == Some(digest)
                    };
                    if excess > 0 && !digest.is_some_and(is_zeros) {
                        add(&mut volume.repeated, excess);
                    }
                }
            }
        }
        let several =
            |(frame, used): (FrameId, FrameUse)| (used.count > 1).then_some((frame, used.count));
        let uses = Self(uses.into_iter().filter_map(several).collect());
        (uses, volume)
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
