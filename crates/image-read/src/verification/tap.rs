//! Digests of a blob, made of the bytes that are read from it anyway.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blob_io::{ReadAt, ReadError};
use bytes::Bytes;
use image_model::{Blob, BlobIndex, Cancelled};

use super::sinks::{Digests, Sinks};
use crate::blobs::{BlobStore, OpenBlob, StoreError};
use crate::reader::Reader;

/// Bytes that are read at once where nobody else reads them.
const FILL_LEN: u64 = 1 << 20;

/// A blob whose bytes go by in their order, each once, however they are read.
///
/// What is read in order costs nothing; what was left out is read when something after it is, and
/// what nobody read in [`finish`](Self::finish). What is read again is passed by.
pub(super) struct Tap {
    reader: Reader,
    blob: BlobIndex,
    /// `None` if nobody wants the bytes.
    state: Option<Mutex<State>>,
}

struct State {
    /// First byte that did not go by yet.
    position: u64,
    sinks: Sinks,
    /// Whether bytes could not be read: nothing goes by any more.
    lost: bool,
}

impl Tap {
    /// A tap on blob number `blob` of `reader`.
    pub(super) fn new(reader: &Reader, blob: BlobIndex, sinks: Option<Sinks>) -> Self {
        let state = |sinks| State {
            position: 0,
            sinks,
            lost: false,
        };
        Self {
            reader: reader.clone(),
            blob,
            state: sinks.map(state).map(Mutex::new),
        }
    }

    /// Whether somebody wants the bytes.
    pub(super) fn is_wanted(&self) -> bool {
        self.state.is_some()
    }

    /// Reads what has not gone by, and returns what was read. `advance` is called now and then.
    ///
    /// # Errors
    /// [`ReadError`] if it cannot be read.
    pub(super) fn finish(
        &self,
        advance: &mut dyn FnMut() -> Result<(), Cancelled>,
    ) -> Result<Result<Digests, ReadError>, Cancelled> {
        let Some(mut state) = self.state() else {
            return Ok(Ok(Digests::default()));
        };
        let len = match self.len() {
            Ok(len) => len,
            Err(error) => return Ok(Err(error)),
        };
        while state.position < len {
            advance()?;
            let end = len.min(state.position + FILL_LEN);
            if let Err(error) = self.fill(&mut state, end) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(std::mem::take(&mut state.sinks).finish()))
    }

    fn source(&self) -> Result<&dyn ReadAt, ReadError> {
        self.reader.blobs().blob(self.blob).map_err(|error| {
            let source = std::io::Error::other(error);
            ReadError::Len { source }
        })
    }

    /// Bytes that were read at `offset` go by.
    fn pass(&self, offset: u64, bytes: &[u8]) {
        let Some(mut state) = self.state() else {
            return;
        };
        let end = offset + bytes.len() as u64;
        while state.position < offset && !state.lost {
            let to = offset.min(state.position + FILL_LEN);
            state.lost = self.fill(&mut state, to).is_err();
        }
        if state.position < end && !state.lost {
            // Less than the length of `bytes`.
            let passed = (state.position - offset) as usize;
            state.take(&bytes[passed..]);
        }
    }

    /// Reads up to `end`, which is near.
    fn fill(&self, state: &mut State, end: u64) -> Result<(), ReadError> {
        let len = (end - state.position) as usize;
        let bytes = self.source()?.read_bytes(state.position, len)?;
        state.take(&bytes);
        Ok(())
    }

    fn state(&self) -> Option<MutexGuard<'_, State>> {
        let state = self.state.as_ref()?;
        Some(state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn take(&mut self, bytes: &[u8]) {
        self.sinks.take(self.position, bytes);
        self.position += bytes.len() as u64;
    }
}

/// The blobs of an image, each with its tap.
pub(super) struct Taps {
    pub(super) reader: Reader,
    /// By blob; `None` for those that cannot be opened, which was told.
    pub(super) taps: Vec<Option<Arc<Tap>>>,
}

impl Taps {
    /// A reader of the same image whose reads go by all taps, with this number of threads.
    pub(super) fn tapped(self, threads: Option<usize>) -> Reader {
        let mut options = self.reader.options().clone();
        options.threads = threads.unwrap_or(options.threads);
        // Nothing is read twice.
        options.cache = 0;
        if self.taps.iter().flatten().any(|tap| tap.is_wanted()) {
            // All of it is read anyway: in order rather than in two parts.
            options.gap = u64::MAX;
        }
        let reader = self.reader.with_options(options);
        let blobs = BlobStore::new(reader.image().blobs(), self);
        reader.with_blobs(blobs)
    }
}

impl OpenBlob for Taps {
    fn open_blob(&self, index: BlobIndex, blob: &Blob) -> Result<Arc<dyn ReadAt>, StoreError> {
        match self.taps.get(index.0 as usize) {
            Some(Some(tap)) => Ok(Arc::clone(tap) as _),
            _ => Err(StoreError::Missing {
                id: blob.id.clone(),
            }),
        }
    }
}

/// Nothing is lent from memory: what is not read does not go by.
impl ReadAt for Tap {
    fn len(&self) -> Result<u64, ReadError> {
        self.source()?.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        self.source()?.read_at(offset, buf)?;
        self.pass(offset, buf);
        Ok(())
    }

    fn read_bytes(&self, offset: u64, len: usize) -> Result<Bytes, ReadError> {
        let bytes = self.source()?.read_bytes(offset, len)?;
        self.pass(offset, &bytes);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use verify::sha256;

    use super::*;
    use crate::options::ReadOptions;
    use crate::tree_image::TreeImage;

    fn content() -> Bytes {
        (0..3_000_000u32)
            .map(|n| (n.wrapping_mul(n) >> 7) as u8)
            .collect()
    }

    fn tap(content: &Bytes, sinks: Sinks) -> Tap {
        let id = image_model::BlobId::new(b"blob").expect("a valid id");
        let tree = image_model::Tree::new(image_model::Metadata::implied_directory());
        let image = TreeImage::new(tree, id, content.len() as u64);
        let blobs = BlobStore::single(Arc::new(content.clone()));
        let reader = Reader::new(Arc::new(image), blobs, ReadOptions::default());
        Tap::new(&reader, BlobIndex(0), Some(sinks))
    }

    #[test]
    fn digests_are_those_of_the_ranges_however_they_are_read() {
        let content = content();
        let reads: [&[Range<u64>]; 4] = [
            &[],
            &[0..1_000_000, 1_000_000..3_000_000],
            // Overlapping, repeated and out of order.
            &[10..20, 15..500, 400_000..900_000, 0..5, 899_999..900_001],
            &[2_999_998..2_999_999, 2_999_999..3_000_000],
        ];
        for ranges in reads {
            let mut sinks = Sinks::sha256();
            sinks.want_front(400_512);
            sinks.want_without(500_000..600_000);
            let tap = tap(&content, sinks);
            for range in ranges {
                let mut buffer = vec![0; (range.end - range.start) as usize];
                tap.read_at(range.start, &mut buffer).unwrap();
                assert_eq!(
                    buffer,
                    content[range.start as usize..range.end as usize],
                    "{range:?}"
                );
            }
            let digests = tap.finish(&mut || Ok(())).unwrap().unwrap();
            assert_eq!(digests.whole, [sha256(&content)]);
            assert_eq!(digests.front, Some(sha256(&content[..400_512])));
            let rest = [&content[..500_000], &content[600_000..]].concat();
            assert_eq!(digests.without, Some(sha256(&rest)));
        }
    }

    #[test]
    fn each_byte_is_read_once() {
        let content = content();
        let tap = tap(&content, Sinks::sha256());
        tap.read_bytes(0, 1000).unwrap();
        tap.read_bytes(1000, 1_500_000).unwrap();
        tap.finish(&mut || Ok(())).unwrap().unwrap();
        assert_eq!(tap.reader.blobs().stats().bytes, 3_000_000);
    }

    #[cfg(feature = "blake3")]
    #[test]
    fn another_digest_may_be_wanted_alone() {
        let content = content();
        let mut sinks = Sinks::default();
        sinks.want(image_model::DigestAlgorithm::Blake3).unwrap();
        let digests = tap(&content, sinks)
            .finish(&mut || Ok(()))
            .unwrap()
            .unwrap();
        let expected = verify::digest(image_model::DigestAlgorithm::Blake3, &content).unwrap();
        assert_eq!(digests.whole, [expected]);
    }

    #[test]
    fn an_end_that_lies_at_the_end_is_found() {
        let content = content();
        let mut sinks = Sinks::sha256();
        sinks.want_front(3_000_000);
        sinks.want_without(0..2_000_000);
        let digests = tap(&content, sinks)
            .finish(&mut || Ok(()))
            .unwrap()
            .unwrap();
        assert_eq!(digests.front, Some(digests.whole[0]));
        assert_eq!(digests.without, Some(sha256(&content[2_000_000..])));
    }
}
