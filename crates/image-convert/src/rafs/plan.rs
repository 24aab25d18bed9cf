//! What an image would share with others, before it is made.

use std::sync::{PoisonError, RwLock};

use chunk_dedup::{BlobUse, ChunkList};
use frame_codec::Compression;
use image_model::{Chunk, ChunkId, FrameId, Progress};

use super::blob::Placed;
use super::{ChunkDictionary, Layers, RafsOptions};
use crate::report::{ChunkCounts, Report};
use crate::stage::{Piece, PieceChunk, Stored, Target};
use crate::{ConvertError, Source};

/// What becomes of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Planned {
    /// The image refers to another's blob.
    Reuse,
    /// It is written to a blob of the image.
    Store,
    /// The same, and it has nothing but zeros.
    Zeros,
}

/// What becomes of the different chunks of an image, in the order in which they come.
///
/// ```
/// use lazyoci_image_convert::{RafsOptions, Streaming, plan_reuse};
/// let empty_layer = [0; 1024];
/// let plan = plan_reuse(Streaming::new(&empty_layer[..]), &RafsOptions::default(), &mut ())?;
/// assert_eq!((plan.chunks.len(), plan.counts.reused), (0, 0));
/// # Ok::<(), lazyoci_image_convert::ConvertError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ReusePlan {
    /// Plain bytes of each chunk, and what becomes of it.
    pub chunks: Vec<(u32, Planned)>,
    /// The same in numbers, and why chunks are not shared. No chunk is compressed, so that
    /// [`stored_bytes`](ChunkCounts::stored_bytes) are plain ones.
    pub counts: ChunkCounts,
    /// What the image would use of each blob of the dictionary.
    pub uses: Vec<BlobUse>,
}

impl ReusePlan {
    /// Plain bytes of all chunks of which `what` becomes.
    #[must_use]
    pub fn bytes(&self, what: Planned) -> u64 {
        let chunks = self.chunks.iter().filter(|(_, planned)| *planned == what);
        chunks.map(|(len, _)| u64::from(*len)).sum()
    }
}

/// Predicts what an image that is written with `options` shares with the blobs of its
/// [dictionary](RafsOptions::dictionary). All content is read and digested, and nothing is compressed or written.
///
/// From the plan a [policy](chunk_dedup::Policy::choose) chooses blobs, to which [`ChunkDictionary::only`] keeps.
///
/// # Errors
/// [`ConvertError`], as the conversion itself.
pub fn plan_reuse<'a>(
    source: impl Into<Source<'a>>,
    options: &RafsOptions,
    progress: &mut dyn Progress,
) -> Result<ReusePlan, ConvertError> {
    let source = source.into();
    if let Some(dictionary) = &options.dictionary {
        dictionary.check(options)?;
    }
    let plain = options.clone();
    let plain = plain.compression(Compression::None).batch_size(0);
    let known = RwLock::new(ChunkList::default());
    let mut layers = Layers {
        known: &known,
        options: &plain,
        stacked: source.is_stack(),
        stored: Stored::default(),
        tree: None,
        from_tar: true,
        report: Report::default(),
        chunks: Vec::new(),
    };
    let mut target = PlanTarget {
        known: &known,
        dictionary: options.dictionary.as_deref(),
        placed: Placed::default(),
        chunks: Vec::new(),
    };
    let (lower, top) = source.into_layers();
    for (position, layer) in lower.into_iter().chain([top]).enumerate() {
        target = layers.run(layer, position, target, progress)?;
    }
    Ok(ReusePlan {
        chunks: target.chunks,
        counts: layers.stored.counts,
        uses: target.placed.uses,
    })
}

/// Notes what would become of chunks.
struct PlanTarget<'k> {
    known: &'k RwLock<ChunkList>,
    dictionary: Option<&'k ChunkDictionary>,
    placed: Placed,
    chunks: Vec<(u32, Planned)>,
}

impl PlanTarget<'_> {
    fn push(&mut self, chunk: &PieceChunk, planned: Planned) -> ChunkId {
        self.chunks.push((chunk.len, planned));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.push(Chunk {
            digest: Some(chunk.digest),
            len: chunk.len,
            crc32c: None,
            frame: FrameId(0),
            offset_in_frame: 0,
        })
    }
}

impl Target for PlanTarget<'_> {
    fn store(&mut self, piece: &Piece<'_>) -> Result<Option<ChunkId>, ConvertError> {
        let planned = match chunk_dedup::is_zero(piece.plain) {
            true => Planned::Zeros,
            false => Planned::Store,
        };
        Ok(piece.chunk.map(|chunk| self.push(&chunk, planned)))
    }

    fn reuse(
        &mut self,
        foreign: ChunkId,
        chunk: &PieceChunk,
    ) -> Result<Option<ChunkId>, ConvertError> {
        let Some(dictionary) = self.dictionary else {
            return Ok(None);
        };
        if self.placed.refer(dictionary, foreign)?.is_none() {
            return Ok(None);
        }
        Ok(Some(self.push(chunk, Planned::Reuse)))
    }
}
