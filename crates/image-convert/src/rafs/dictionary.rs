//! Chunks in the blobs of other images.

use chunk_dedup::{ChunkTable, Dictionary};
use image_model::{BlobId, ChunkId, Digest};
use rafs_format::BlobPool;
use rafs_format::v6::BlobEntry;

use super::RafsOptions;
use super::bootstrap::layout_options;
use crate::ConvertError;

/// Chunks of images that are there already: an image that is made with it refers to their blobs, and
/// stores only what it does not find there.
///
/// A chunk is found by digest and length. Where several blobs have it, the one that came first into the
/// pool is referred to. Nobody looks into the blobs: that they hold what the bootstraps say is checked by
/// whoever reads the image.
///
/// ```
/// use std::sync::Arc;
/// use blob_io::{MemoryOutput, ObjectRole};
/// use image_model::Limits;
/// use lazyoci_image_convert::{ChunkDictionary, RafsOptions, Streaming, to_rafs};
/// use rafs_format::{BlobPool, Bootstrap};
///
/// # use tar_stream::TarWriter;
/// # let mut tar = TarWriter::new(Vec::new());
/// # let (path, node) = (image_model::ImagePath::clean(b"file")?, image_model::Node::File { size: 3, content: () });
/// # tar.append(&path, &Default::default(), &node)?;
/// # std::io::Write::write_all(&mut tar, b"abc")?;
/// # let layer = tar.finish()?;
/// let options = RafsOptions::default();
/// let mut first = MemoryOutput::default();
/// let made = to_rafs(Streaming::new(&layer[..]), &mut first, &options, &mut ())?;
/// let bootstrap = first.object(ObjectRole::Bootstrap).expect("it was written").bytes.clone();
///
/// let mut pool = BlobPool::default();
/// pool.add(&Bootstrap::open(bootstrap, &Limits::default())?, None)?;
/// let options = options.dictionary(Some(Arc::new(ChunkDictionary::from(pool))));
/// let again = to_rafs(Streaming::new(&layer[..]), &mut MemoryOutput::default(), &options, &mut ())?;
/// assert_eq!((again.blobs.len(), again.report.chunks.reused), (0, 1));
/// assert_eq!(again.reused_blobs[0].as_str(), made.blobs[0].object.digest.hex());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ChunkDictionary {
    pool: BlobPool,
    /// Chunks of the blobs to which images may refer.
    table: ChunkTable,
    /// Which blobs of the pool these are.
    usable: Vec<bool>,
}

impl ChunkDictionary {
    /// The chunks of those blobs of `pool` that `may_use` says.
    #[must_use]
    pub fn of_blobs(pool: BlobPool, may_use: impl FnMut(&BlobEntry) -> bool) -> Self {
        let usable: Vec<bool> = pool.entries().iter().map(may_use).collect();
        let mut table = ChunkTable::default();
        for (id, frame) in (0..).map(ChunkId::new).zip(pool.frames()) {
            if usable.get(frame.blob.0 as usize) == Some(&true) {
                table.insert(pool.chunks(), id);
            }
        }
        Self {
            pool,
            table,
            usable,
        }
    }

    /// The blobs, and all chunks that are known of them.
    #[must_use]
    pub fn pool(&self) -> &BlobPool {
        &self.pool
    }

    /// Number of different chunks that can be found.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Refuses options with which an image cannot refer to these blobs.
    pub(super) fn check(&self, options: &RafsOptions) -> Result<(), ConvertError> {
        let mut mismatch = (self.pool).mismatch(options.version, &layout_options(options)?);
        let mut placed = self.pool.frames().iter().zip(self.pool.places());
        if options.aligned && !placed.all(|(frame, place)| frame.offset == place.address) {
            mismatch.get_or_insert("placement of chunks");
        }
        match mismatch {
            Some(what) => Err(ConvertError::Dictionary { what }),
            None => Ok(()),
        }
    }

    /// Those of the blobs of an image that are its own.
    pub(super) fn used(&self, entries: &[BlobEntry]) -> Vec<BlobId> {
        let is_ours = |entry: &&BlobEntry| self.pool.entries().contains(entry);
        let used = entries.iter().filter(is_ours);
        used.map(|entry| entry.id.clone()).collect()
    }
}

/// All chunks of the pool.
impl From<BlobPool> for ChunkDictionary {
    fn from(pool: BlobPool) -> Self {
        Self::of_blobs(pool, |_| true)
    }
}

impl Dictionary for ChunkDictionary {
    fn find(&self, digest: &Digest, len: u32) -> Option<ChunkId> {
        self.table.find(self.pool.chunks(), digest, len)
    }
}

impl PartialEq for ChunkDictionary {
    fn eq(&self, other: &Self) -> bool {
        (&self.pool, &self.usable) == (&other.pool, &other.usable)
    }
}

impl Eq for ChunkDictionary {}
