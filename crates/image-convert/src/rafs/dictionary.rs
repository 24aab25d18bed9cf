//! Chunks in the blobs of other images.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet};
use std::io::{Read, Seek, Write};
use std::sync::Arc;

use bytes::Bytes;
use chunk_dedup::{
    BlobRecord, Dictionary, DictionaryBuilder, DictionaryError, DictionaryFile, Entry, Policy,
    Refusal,
};
use image_model::{BlobId, ChunkId, Digest, Frame};
use rafs_format::merge::MergeError;
use rafs_format::v6::{BlobEntry, ChunkPlace};
use rafs_format::{BlobPool, Shape};

use super::RafsOptions;
use super::bootstrap::layout_options;
use super::dictionary_part::{Part, Stored};
use crate::ConvertError;

/// Chunks of images that are there already: an image that is made with it refers to their blobs, and
/// stores only what it does not find there. They come from bootstraps and from dictionary files.
///
/// A chunk is found by digest and length. Where several blobs have it, the one that came first is referred
/// to. Nobody looks into the blobs: that they hold what the bootstraps or files say is checked by
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChunkDictionary {
    shape: Option<Shape>,
    /// In the order in which they are asked.
    parts: Vec<Part>,
    /// Of all parts, each once.
    blobs: Vec<KnownBlob>,
    blob_of: HashMap<BlobId, u32>,
    min_chunk: u32,
}

/// A blob of a dictionary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KnownBlob {
    pub(super) entry: BlobEntry,
    origin: String,
    /// Whether images may refer to it.
    usable: bool,
}

/// A chunk of a dictionary.
pub(super) struct Found {
    /// In a blob of the dictionary.
    pub(super) frame: Frame,
    pub(super) place: ChunkPlace,
    /// Of the plain bytes, if it is known.
    pub(super) crc32c: Option<u32>,
}

impl ChunkDictionary {
    /// The chunks of those blobs of `pool` that `may_use` says.
    #[must_use]
    pub fn of_blobs(pool: BlobPool, mut may_use: impl FnMut(&BlobEntry) -> bool) -> Self {
        let mut dictionary = Self::from(pool);
        dictionary.restrict(|blob| may_use(&blob.entry));
        dictionary
    }

    /// The same dictionary, which asks for chunks of the pool after everything else.
    ///
    /// # Errors
    /// [`ConvertError::Dictionary`] if images of the pool are made otherwise than those that are there, and
    /// [`ConvertError::Pool`] if they contradict the others about a blob.
    pub fn and_pool(mut self, pool: BlobPool) -> Result<Self, ConvertError> {
        if let Some(shape) = pool.shape() {
            self.fit(*shape)?;
        }
        if pool.entries().is_empty() {
            return Ok(self);
        }
        let mut blobs = Vec::with_capacity(pool.entries().len());
        for entry in pool.entries() {
            blobs.push(self.add_blob(entry.clone(), String::new())?);
        }
        self.add_part(Part::of_pool(Arc::new(pool), blobs))?;
        Ok(self)
    }

    fn fit(&mut self, shape: Shape) -> Result<(), ConvertError> {
        match self.shape.get_or_insert(shape).mismatch(&shape) {
            Some(what) => Err(ConvertError::Dictionary { what }),
            None => Ok(()),
        }
    }

    /// The same dictionary, which asks the file after everything else.
    ///
    /// # Errors
    /// [`ConvertError::DictionaryFile`] if the file is damaged, [`ConvertError::DictionaryContent`] if it is not one
    /// of RAFS images, [`ConvertError::Dictionary`] if these are made otherwise than those that are there, and
    /// [`ConvertError::Pool`] if the file contradicts the others about a blob.
    pub fn and_file(mut self, file: DictionaryFile<Bytes>) -> Result<Self, ConvertError> {
        let shape = Shape::from_bytes(file.profile())?;
        self.fit(shape)?;
        let mut blobs = Vec::new();
        for index in 0..file.blob_count() {
            let record = file.blob_record(image_model::BlobIndex(index))?;
            let entry = blob_entry(&record, &shape)?;
            blobs.push(self.add_blob(entry, record.origin)?);
        }
        self.add_part(Part::of_file(file, blobs))?;
        Ok(self)
    }

    /// The same dictionary, of which only those chunks are used that `policy` allows. What an image would share with
    /// each blob is another question: see [`plan_reuse`](crate::plan_reuse).
    #[must_use]
    pub fn policy(mut self, policy: &Policy) -> Self {
        self.min_chunk = policy.min_chunk;
        self.restrict(|blob| {
            let record = BlobRecord::new(blob.entry.id.clone());
            policy.allows(&record.origin(blob.origin.as_str()))
        });
        self
    }

    /// The same dictionary, of which only these blobs are used.
    #[must_use]
    pub fn only(mut self, blobs: &[BlobId]) -> Self {
        let blobs: HashSet<&BlobId> = blobs.iter().collect();
        self.restrict(|blob| blobs.contains(&blob.entry.id));
        self
    }

    /// Rules out blobs of which `may_use` is not true.
    fn restrict(&mut self, mut may_use: impl FnMut(&KnownBlob) -> bool) {
        let mut changed = false;
        for blob in &mut self.blobs {
            let usable = blob.usable && may_use(blob);
            changed |= usable != blob.usable;
            blob.usable = usable;
        }
        // Otherwise the tables are as they should be.
        if !changed {
            return;
        }
        let blobs = &self.blobs;
        for part in &mut self.parts {
            part.index(&|blob| is_usable(blobs, blob));
        }
    }

    fn add_blob(&mut self, entry: BlobEntry, origin: String) -> Result<u32, ConvertError> {
        let next = u32::try_from(self.blobs.len());
        let next = next.map_err(|_| MergeError::TooMany { what: "blobs" })?;
        match self.blob_of.entry(entry.id.clone()) {
            Slot::Vacant(slot) => {
                self.blobs.push(KnownBlob {
                    entry,
                    origin,
                    usable: true,
                });
                Ok(*slot.insert(next))
            }
            Slot::Occupied(slot) if self.blobs[*slot.get() as usize].entry == entry => {
                Ok(*slot.get())
            }
            Slot::Occupied(_) => Err(MergeError::Contradiction {
                layer: self.parts.len(),
                id: entry.id,
            }
            .into()),
        }
    }

    fn add_part(&mut self, mut part: Part) -> Result<(), ConvertError> {
        let before: u64 = self.parts.iter().map(|part| u64::from(part.len())).sum();
        let first = u32::try_from(before).ok();
        // Every chunk has a number.
        let first =
            first.filter(|first| first.checked_add(part.len()).is_some_and(|n| n < u32::MAX));
        part.first = first.ok_or(MergeError::TooMany { what: "chunks" })?;
        let blobs = &self.blobs;
        part.index(&|blob| is_usable(blobs, blob));
        self.parts.push(part);
        Ok(())
    }

    /// Number of chunks, some of which may be in several blobs.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.parts.iter().map(|part| u64::from(part.len())).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What bootstraps say of the blobs, whether or not they may be used.
    pub fn entries(&self) -> impl Iterator<Item = &BlobEntry> {
        self.blobs.iter().map(|blob| &blob.entry)
    }

    /// What images have to have in common to share these blobs; `None` of an empty dictionary.
    #[must_use]
    pub fn shape(&self) -> Option<&Shape> {
        self.shape.as_ref()
    }

    /// Refuses options with which an image cannot refer to these blobs.
    pub(super) fn check(&self, options: &RafsOptions) -> Result<(), ConvertError> {
        let Some(shape) = &self.shape else {
            return Ok(());
        };
        let ours = Shape::new(options.version, &layout_options(options)?);
        let mut mismatch = shape.mismatch(&ours);
        if options.aligned {
            for part in &self.parts {
                if !part.is_aligned()? {
                    mismatch.get_or_insert("placement of chunks");
                }
            }
        }
        match mismatch {
            Some(what) => Err(ConvertError::Dictionary { what }),
            None => Ok(()),
        }
    }

    /// A blob by its number.
    pub(super) fn blob(&self, blob: u32) -> Option<&BlobEntry> {
        self.blobs.get(blob as usize).map(|blob| &blob.entry)
    }

    /// The chunk `id`, which was found.
    pub(super) fn get(&self, id: ChunkId) -> Result<Option<Found>, ConvertError> {
        let number = id.index() as u32;
        let after = self.parts.partition_point(|part| part.first <= number);
        let part = after.checked_sub(1).and_then(|last| self.parts.get(last));
        match part {
            Some(part) => part.get(number - part.first, |blob| self.blob(blob)),
            None => Ok(None),
        }
    }

    fn find_stored(&self, digest: &Digest, len: u32) -> Result<Stored, DictionaryError> {
        let mut refused = Stored::Nowhere;
        for part in &self.parts {
            match part.find(digest, len, &|blob| is_usable(&self.blobs, blob))? {
                Stored::At(id) => return Ok(Stored::At(part.first + id)),
                Stored::Refused => refused = Stored::Refused,
                Stored::Nowhere => {}
            }
        }
        Ok(refused)
    }
}

fn is_usable(blobs: &[KnownBlob], blob: u32) -> bool {
    blobs.get(blob as usize).is_some_and(|blob| blob.usable)
}

/// All chunks of the pool.
impl From<BlobPool> for ChunkDictionary {
    fn from(pool: BlobPool) -> Self {
        let alone = Self::default().and_pool(pool);
        alone.expect("a pool has each blob once, and numbers its chunks, too")
    }
}

impl Dictionary for ChunkDictionary {
    fn find(&self, digest: &Digest, len: u32) -> Result<Option<ChunkId>, DictionaryError> {
        if len < self.min_chunk {
            return Ok(None);
        }
        match self.find_stored(digest, len)? {
            Stored::At(number) => Ok(Some(ChunkId::new(number))),
            Stored::Refused | Stored::Nowhere => Ok(None),
        }
    }

    fn refusal(&self, digest: &Digest, len: u32) -> Result<Option<Refusal>, DictionaryError> {
        match self.find_stored(digest, len)? {
            Stored::Refused => Ok(Some(Refusal::Blob)),
            Stored::At(_) if len < self.min_chunk => Ok(Some(Refusal::Short)),
            Stored::At(_) | Stored::Nowhere => Ok(None),
        }
    }
}

/// Adds the blobs of `pool`, which can be found in the repository `origin`, and their chunks to a dictionary file.
/// The file's [profile](chunk_dedup::BuildOptions::profile) has to be the [shape](BlobPool::shape) of the pool.
///
/// # Errors
/// [`ConvertError::DictionaryFile`] if the builder refuses them.
pub fn add_to_dictionary<T: Read + Write + Seek>(
    pool: &BlobPool,
    origin: &str,
    builder: &mut DictionaryBuilder<T>,
) -> Result<(), ConvertError> {
    let mut blobs = Vec::with_capacity(pool.entries().len());
    for entry in pool.entries() {
        let record = BlobRecord::new(entry.id.clone()).origin(origin);
        blobs.push(builder.add_blob(record.detail(entry.to_bytes(0)))?);
    }
    let stored = pool.chunks().iter().zip(pool.frames()).zip(pool.places());
    for ((chunk, frame), place) in stored {
        let Some(digest) = chunk.digest else { continue };
        // Native recipes have the numbers that dictionaries give them.
        let frame = Frame {
            blob: blobs[frame.blob.0 as usize],
            ..*frame
        };
        builder.push(Entry {
            digest,
            len: chunk.len,
            placement: chunk_dedup::Placement {
                frame,
                offset_in_frame: chunk.offset_in_frame,
                index: place.index,
                address: place.address,
            },
        })?;
    }
    Ok(())
}

/// What a dictionary file says of a blob, as a bootstrap has it.
fn blob_entry(record: &BlobRecord, shape: &Shape) -> Result<BlobEntry, ConvertError> {
    let entry = shape.blob_entry(&record.detail)?;
    if entry.id != record.id {
        let id = record.id.clone();
        return Err(DictionaryError::Contradiction { id }.into());
    }
    Ok(entry)
}
