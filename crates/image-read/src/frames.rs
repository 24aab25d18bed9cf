//! Reading files and frames from a store.

use std::collections::HashSet;
use std::io::{self, Write};
use std::ops::Range;

use image_model::{Frame, Image, Ino};
use verify::{ContentError, ExtentBytes, FrameSource};

use crate::cache::FrameCache;
use crate::error::ReadError;
use crate::options::ReadOptions;
use crate::plan::{ReadPlan, Step, StoredRange};
use crate::store::BlobStore;

/// Zeros to write for holes.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// Reads an image's files and frames from its blobs.
///
/// Holds a decoder with its contexts, buffers, and the frames read last: keep it for many reads,
/// and have one per thread. Memory: about three [windows](ReadOptions::window).
///
/// As a [`FrameSource`] it serves digests and audits of the same image.
#[derive(Debug)]
pub struct Frames<'a, I: ?Sized = dyn Image + Send + Sync> {
    image: &'a I,
    store: &'a BlobStore,
    options: ReadOptions,
    cache: FrameCache,
    stored: Vec<u8>,
}

impl<'a, I: Image + ?Sized> Frames<'a, I> {
    /// Reads `image`, whose blobs are those of `store`.
    #[must_use]
    pub fn new(image: &'a I, store: &'a BlobStore, options: ReadOptions) -> Self {
        Self {
            image,
            store,
            cache: FrameCache::new(options.window),
            options,
            stored: Vec::new(),
        }
    }

    /// Writes `range` of the file `ino`, cut off at the file's end, to `out`; returns how many bytes
    /// that are. Every chunk is verified before any of its bytes is written.
    ///
    /// # Errors
    /// [`ReadError`]; what comes before the fault has been written by then.
    pub fn read_range(
        &mut self,
        ino: Ino,
        range: Range<u64>,
        out: &mut (impl Write + ?Sized),
    ) -> Result<u64, ReadError> {
        let plan = ReadPlan::new(self.image, ino, range, &self.options, &mut self.cache)?;
        run(plan, self.store, &mut self.stored, out)
    }

    /// Like [`read_range`](Self::read_range), with digests and checksums ignored.
    ///
    /// # Errors
    /// [`ReadError`]; what comes before the fault has been written by then.
    pub fn read_range_unverified(
        &mut self,
        ino: Ino,
        range: Range<u64>,
        out: &mut (impl Write + ?Sized),
    ) -> Result<u64, ReadError> {
        let plan = ReadPlan::new(self.image, ino, range, &self.options, &mut self.cache)?;
        run(plan.unverified(), self.store, &mut self.stored, out)
    }

    /// Makes sure that the cache holds `frame`.
    fn hold(&mut self, frame: &Frame) -> Result<(), ReadError> {
        if self.cache.holds(frame) {
            return Ok(());
        }
        self.options.check_len(frame)?;
        let range = StoredRange {
            blob: frame.blob,
            offset: frame.offset,
            len: frame.stored_len.into(),
        };
        let stored = fetch(self.store, range, &mut self.stored)?;
        self.cache.make_room(frame.len.into(), &HashSet::new());
        self.cache
            .decode(frame, stored)
            .map_err(|source| ReadError::Decode {
                frame: *frame,
                source,
            })
    }
}

impl<I: Image + ?Sized> FrameSource for Frames<'_, I> {
    fn frame(&mut self, frame: &Frame) -> Result<&[u8], ContentError> {
        self.hold(frame).map_err(ContentError::new)?;
        self.cache.frame(frame)
    }
}

/// Drives `plan` to its end.
fn run<I: Image + ?Sized>(
    mut plan: ReadPlan<'_, I>,
    store: &BlobStore,
    buf: &mut Vec<u8>,
    out: &mut (impl Write + ?Sized),
) -> Result<u64, ReadError> {
    let mut written = 0;
    loop {
        match plan.step()? {
            Step::Need(ranges) => {
                for range in ranges {
                    let stored = fetch(store, range, buf)?;
                    plan.supply(range.blob, range.offset, stored)?;
                }
            }
            Step::Ready { bytes, .. } => {
                written += write(bytes, out).map_err(ReadError::Write)?;
            }
            Step::Done => return Ok(written),
        }
    }
}

/// The stored bytes of `range`, in `buf`, which only grows.
fn fetch<'b>(
    store: &BlobStore,
    range: StoredRange,
    buf: &'b mut Vec<u8>,
) -> Result<&'b [u8], ReadError> {
    let StoredRange { blob, offset, len } = range;
    let len = usize::try_from(len).expect("ranges are as long as a window, or a frame");
    if buf.len() < len {
        buf.resize(len, 0);
    }
    let stored = &mut buf[..len];
    store
        .blob(blob)?
        .read_at(offset, stored)
        .map_err(|source| match store.id(blob) {
            Ok(id) => ReadError::Blob {
                id: id.clone(),
                source,
            },
            Err(error) => error.into(),
        })?;
    Ok(stored)
}

fn write(bytes: ExtentBytes<'_>, out: &mut (impl Write + ?Sized)) -> io::Result<u64> {
    match bytes {
        ExtentBytes::Data(data) => {
            out.write_all(data)?;
            Ok(data.len() as u64)
        }
        ExtentBytes::Zeros(len) => {
            let mut left = len;
            while left > 0 {
                let now = left.min(ZEROS.len() as u64);
                out.write_all(&ZEROS[..now as usize])?;
                left -= now;
            }
            Ok(len)
        }
    }
}
