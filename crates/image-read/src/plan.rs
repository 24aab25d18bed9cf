//! Reading a range of a file, as a machine that asks for stored bytes.

use std::collections::{HashSet, VecDeque};
use std::ops::{ControlFlow, Range};

use blob_io::coalesce;
use image_model::{BlobIndex, Extent, ExtentSource, Frame, Image, Ino};
use verify::{ExtentBytes, ExtentError};

use crate::cache::FrameCache;
use crate::error::ReadError;
use crate::options::ReadOptions;

/// Most extents that are planned at once, however short they are.
const MAX_EXTENTS: usize = 4096;

/// Bytes of a blob that a [`ReadPlan`] needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoredRange {
    /// The blob.
    pub blob: BlobIndex,
    /// First byte, from the start of the blob.
    pub offset: u64,
    /// Bytes; not 0.
    pub len: u64,
}

/// What a [`ReadPlan`] says next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// It needs these stored bytes: [`supply`](ReadPlan::supply) them in any order, then step again.
    Need(Vec<StoredRange>),
    /// The next piece of the range, in file order, without gap.
    Ready {
        /// First byte in the file.
        file_offset: u64,
        /// The bytes.
        bytes: ExtentBytes<'a>,
    },
    /// All has been handed out.
    Done,
}

/// Reads a range of a file without doing any I/O: it asks for stored bytes and hands out the
/// file's, verified.
///
/// It goes through the range window by window: takes the extents of the next [`ReadOptions::window`]
/// bytes, finds the distinct frames that hold them and are not in the [`FrameCache`] yet, and asks
/// for them, near ones by one [`StoredRange`]. Supplied frames are decoded at once; extents are
/// compared with their digest (or else CRC-32C), cut to the range and handed out. Memory is bounded
/// by the window, not by the range, and no more is fetched than the frames that hold the range (and
/// [`ReadOptions::gap`]).
///
/// Synchronous callers use [`Frames`](crate::Frames), which drives this machine. Asynchronous ones
/// drive it themselves; `fetch` stands for what they would await:
///
/// ```
/// use std::convert::Infallible;
/// use image_model::{Image, Ino};
/// use lazyoci_image_read::{FrameCache, ReadError, ReadOptions, ReadPlan, Step, StoredRange};
/// use verify::ExtentBytes;
///
/// async fn read<F: Future<Output = Vec<u8>>>(
///     image: &(dyn Image + Sync),
///     ino: Ino,
///     fetch: impl Fn(StoredRange) -> F,
/// ) -> Result<Vec<u8>, ReadError> {
///     let options = ReadOptions::default();
///     let mut cache = FrameCache::new(options.window);
///     let mut plan = ReadPlan::new(image, ino, 0..u64::MAX, &options, &mut cache)?;
///     let mut content = Vec::new();
///     loop {
///         match plan.step()? {
///             Step::Need(ranges) => {
///                 for range in ranges {
///                     let stored = fetch(range).await;
///                     plan.supply(range.blob, range.offset, &stored)?;
///                 }
///             }
///             Step::Ready { bytes: ExtentBytes::Data(bytes), .. } => content.extend_from_slice(bytes),
///             Step::Ready { bytes: ExtentBytes::Zeros(len), .. } => {
///                 content.resize(content.len() + len as usize, 0);
///             }
///             Step::Done => return Ok(content),
///         }
///     }
/// }
/// ```
///
/// After an error the plan may go on: a frame that was damaged, or whose bytes are wrong, is asked
/// for again, so that another source can be tried.
#[derive(Debug)]
pub struct ReadPlan<'a, I: ?Sized> {
    image: &'a I,
    cache: &'a mut FrameCache,
    options: ReadOptions,
    verify: bool,
    ino: Ino,
    range: Range<u64>,
    /// Where the extents that were planned end.
    planned: u64,
    /// Planned and not handed out yet.
    extents: VecDeque<Extent>,
    /// Needed by `extents` and not supplied yet, by blob and offset.
    missing: Vec<Frame>,
}

impl<'a, I: Image + ?Sized> ReadPlan<'a, I> {
    /// Plans to read `range` of the file `ino`, cut off at the file's end; everything is verified.
    ///
    /// # Errors
    /// [`ReadError::Image`] if there is no such inode.
    pub fn new(
        image: &'a I,
        ino: Ino,
        range: Range<u64>,
        options: &ReadOptions,
        cache: &'a mut FrameCache,
    ) -> Result<Self, ReadError> {
        let size = image.attributes(ino)?.size;
        // Only files have extents; this finds out what else it may be.
        image.extents(ino, 0..0, &mut |_| ControlFlow::Break(()))?;
        let end = range.end.min(size);
        let start = range.start.min(end);
        Ok(Self {
            image,
            cache,
            options: options.clone(),
            verify: true,
            ino,
            range: start..end,
            planned: start,
            extents: VecDeque::new(),
            missing: Vec::new(),
        })
    }

    /// The same plan, with digests and checksums ignored.
    #[must_use]
    pub fn unverified(mut self) -> Self {
        self.verify = false;
        self
    }

    /// What is left of the range to hand out, in bytes of the file.
    #[must_use]
    pub fn remaining(&self) -> Range<u64> {
        let next = self.extents.front().map_or(self.planned, |extent| {
            extent.file_offset.max(self.range.start)
        });
        next..self.range.end
    }

    /// Says what comes next.
    ///
    /// # Errors
    /// [`ReadError`] if the image is damaged, goes beyond the limits, or if bytes are not what their
    /// digest says.
    pub fn step(&mut self) -> Result<Step<'_>, ReadError> {
        if self.extents.is_empty() && self.planned < self.range.end {
            self.plan_window()?;
        }
        // What takes no bytes is never supplied.
        while let Some(frame) = self.missing.iter().find(|frame| frame.stored_len == 0) {
            let Frame { blob, offset, .. } = *frame;
            self.supply(blob, offset, &[])?;
        }
        if !self.missing.is_empty() {
            return Ok(Step::Need(self.needed_ranges()));
        }
        let Some(extent) = self.extents.pop_front() else {
            return Ok(Step::Done);
        };
        let checked = if self.verify {
            self.cache.verify_extent(&extent)
        } else {
            self.cache.extent(&extent).map(drop)
        };
        if let Err(source) = checked {
            return Err(self.wrong_extent(extent, source));
        }
        let bytes = self
            .cache
            .extent(&extent)
            .map_err(|source| ReadError::Extent {
                ino: self.ino,
                file_offset: extent.file_offset,
                source,
            })?;
        let start = extent.file_offset.max(self.range.start);
        let end = (extent.file_offset + extent.len).min(self.range.end);
        let bytes = match bytes {
            ExtentBytes::Zeros(_) => ExtentBytes::Zeros(end - start),
            ExtentBytes::Data(data) => {
                let skip = (start - extent.file_offset) as usize;
                ExtentBytes::Data(&data[skip..][..(end - start) as usize])
            }
        };
        Ok(Step::Ready {
            file_offset: start,
            bytes,
        })
    }

    /// Takes the bytes of `blob` from byte `offset` on, and decodes the needed frames in them.
    ///
    /// Any bytes that hold needed frames whole will do, not only the ranges asked for.
    ///
    /// # Errors
    /// [`ReadError::Decode`] if a frame is damaged, [`ReadError::Unneeded`] if none is in the bytes.
    pub fn supply(&mut self, blob: BlobIndex, offset: u64, bytes: &[u8]) -> Result<(), ReadError> {
        let end = offset.saturating_add(bytes.len() as u64);
        let before = self.missing.len();
        let mut failed = None;
        let cache = &mut *self.cache;
        self.missing.retain(|frame| {
            let inside = frame.blob == blob && offset <= frame.offset && stored_end(frame) <= end;
            if !inside || failed.is_some() {
                return true;
            }
            let start = (frame.offset - offset) as usize;
            let stored = &bytes[start..][..frame.stored_len as usize];
            match cache.decode(frame, stored) {
                Ok(()) => false,
                Err(source) => {
                    failed = Some((*frame, source));
                    true
                }
            }
        });
        match failed {
            Some((frame, source)) => Err(ReadError::Decode { frame, source }),
            None if self.missing.len() == before => Err(ReadError::Unneeded {
                blob,
                offset,
                len: bytes.len() as u64,
            }),
            None => Ok(()),
        }
    }

    /// Takes the next extents and finds out which frames are missing.
    fn plan_window(&mut self) -> Result<(), ReadError> {
        let mut window = Window {
            options: &self.options,
            next: self.planned,
            end: self.range.end,
            cost: 0,
            extents: VecDeque::new(),
            frames: HashSet::new(),
        };
        let mut refused = None;
        let rest = self.planned..self.range.end;
        self.image.extents(
            self.ino,
            rest,
            &mut |extent| match window.take(extent, self.ino) {
                Ok(flow) => flow,
                Err(error) => {
                    refused = Some(error);
                    ControlFlow::Break(())
                }
            },
        )?;
        if let Some(error) = refused {
            return Err(error);
        }
        if window.extents.is_empty() {
            return Err(ReadError::Uncovered {
                ino: self.ino,
                file_offset: self.planned,
            });
        }
        let missing = window.frames.iter().filter(|f| !self.cache.holds(f));
        self.missing = missing.copied().collect();
        self.missing.sort_unstable_by_key(|f| (f.blob, f.offset));
        let more = self.missing.iter().map(|f| u64::from(f.len)).sum();
        self.cache.make_room(more, &window.frames);
        self.planned = window.next;
        self.extents = window.extents;
        Ok(())
    }

    /// The missing frames as ranges of their blobs.
    fn needed_ranges(&self) -> Vec<StoredRange> {
        let ReadOptions {
            gap, max_request, ..
        } = self.options;
        let mut ranges = Vec::new();
        for frames in self.missing.chunk_by(|a, b| a.blob == b.blob) {
            let stored: Vec<_> = frames.iter().map(|f| f.offset..stored_end(f)).collect();
            let fetches = coalesce(&stored, gap, max_request);
            ranges.extend(fetches.into_iter().map(|fetch| StoredRange {
                blob: frames[0].blob,
                offset: fetch.range.start,
                len: fetch.range.end - fetch.range.start,
            }));
        }
        ranges
    }

    /// Takes back what cannot be handed out, so that its frame is asked for again.
    fn wrong_extent(&mut self, extent: Extent, source: ExtentError) -> ReadError {
        if let ExtentSource::Chunk { frame, .. } = extent.source {
            self.cache.remove(&frame);
            self.missing.push(frame);
        }
        self.extents.push_front(extent);
        ReadError::Extent {
            ino: self.ino,
            file_offset: extent.file_offset,
            source,
        }
    }
}

/// The extents that are read at once.
struct Window<'a> {
    options: &'a ReadOptions,
    /// Where the extents end so far.
    next: u64,
    /// Where the range ends.
    end: u64,
    /// Bytes that the frames take, stored or decoded, whichever is more.
    cost: u64,
    extents: VecDeque<Extent>,
    frames: HashSet<Frame>,
}

impl Window<'_> {
    /// Takes `extent` unless that is too much; breaks when no more is wanted.
    fn take(&mut self, extent: Extent, ino: Ino) -> Result<ControlFlow<()>, ReadError> {
        let begins = match self.extents.is_empty() {
            true => extent.file_offset <= self.next,
            false => extent.file_offset == self.next,
        };
        let end = extent.file_offset.checked_add(extent.len);
        let Some(end) = end.filter(|&end| begins && end > self.next) else {
            return Err(ReadError::Uncovered {
                ino,
                file_offset: self.next,
            });
        };
        if let ExtentSource::Chunk { frame, .. } = extent.source
            && !self.frames.contains(&frame)
        {
            if frame.offset.checked_add(frame.stored_len.into()).is_none() {
                return Err(ReadError::FrameOutside { frame });
            }
            self.options.check_len(&frame)?;
            let cost = frame.len.max(frame.stored_len);
            let full = self.cost + u64::from(cost) > self.options.window;
            if full && !self.extents.is_empty() {
                return Ok(ControlFlow::Break(()));
            }
            self.cost += u64::from(cost);
            self.frames.insert(frame);
        }
        self.extents.push_back(extent);
        self.next = end.min(self.end);
        if self.next < self.end && self.extents.len() < MAX_EXTENTS {
            Ok(ControlFlow::Continue(()))
        } else {
            Ok(ControlFlow::Break(()))
        }
    }
}

/// One past the last stored byte of `frame`.
fn stored_end(frame: &Frame) -> u64 {
    frame.offset.saturating_add(frame.stored_len.into())
}
