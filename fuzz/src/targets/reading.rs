//! Opening images and reading them, as all targets do.

use std::sync::Arc;

use lazyoci::blob_io::ReadAt;
use lazyoci::model::{Image, Limits};
use lazyoci::read::{
    BlobStore, FrameError, Job, OpenOptions, Piece, ReadError, ReadOptions, ReadPlan, ReadStep,
    Reader, SharedImage, StoredRange, Want,
};
use lazyoci::verify::ExtentBytes;

/// Opens with small limits.
pub(super) fn open_options(lenient: bool, as_layer: bool) -> OpenOptions {
    OpenOptions::default()
        .lenient(lenient)
        .as_layer(as_layer)
        .limits(Limits::small())
        .read(read_options())
}

/// Reads with small limits, on this thread.
pub(super) fn read_options() -> ReadOptions {
    ReadOptions::new(&Limits::small()).threads(1)
}

/// Reads an image with a single blob.
pub(super) fn reader(image: &SharedImage, blob: impl ReadAt + 'static) -> Reader {
    let blobs = BlobStore::single(Arc::new(blob));
    Reader::new(Arc::clone(image), blobs, read_options())
}

/// Numbers that look arbitrary, and are the same in every run.
#[derive(Debug, Clone)]
pub(super) struct Chance(pub(super) u64);

impl Chance {
    /// A number below `n`, which is not 0.
    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0 = (self.0.wrapping_mul(6_364_136_223_846_793_005)).wrapping_add(1);
        (self.0 >> 33) as usize % n
    }
}

/// A plan whose needs are answered whenever it pleases, in any order, or not at all.
pub(super) struct ByHand<'a, W> {
    plan: ReadPlan<'a, W, dyn Image + Send + Sync>,
    blob: &'a [u8],
    /// What the plan waits for.
    pending: Vec<Pending>,
    /// Whether some of that never comes.
    faulty: bool,
    /// Whether another plan may decode what this one has asked for in part.
    shared: bool,
    /// Up to where the file was handed out.
    at: u64,
    /// What was handed out: bytes, or why there are none.
    pieces: Vec<Result<Vec<u8>, (u64, ReadError)>>,
}

enum Pending {
    Range(StoredRange),
    Job(Job),
}

impl<'a, W: Iterator<Item = Result<Want, ReadError>>> ByHand<'a, W> {
    /// Follows a plan for what begins at byte `start` of a file; all that is stored is in `blob`.
    pub(super) fn new(
        plan: ReadPlan<'a, W, dyn Image + Send + Sync>,
        blob: &'a [u8],
        start: u64,
    ) -> Self {
        Self {
            plan,
            blob,
            pending: Vec::new(),
            faulty: false,
            shared: false,
            at: start,
            pieces: Vec::new(),
        }
    }

    /// Has some requests fail, and loses some jobs.
    pub(super) fn faulty(mut self) -> Self {
        self.faulty = true;
        self
    }

    /// Has another plan decode the same frames.
    pub(super) fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// Takes a step, and answers some of what is pending. Whether there is more to do.
    pub(super) fn turn(&mut self, chance: &mut Chance) -> bool {
        let mut answers = chance.below(3);
        match self.plan.step().expect("there are extents") {
            ReadStep::Need(ranges) => self.pending.extend(ranges.into_iter().map(Pending::Range)),
            ReadStep::Work(job) => self.pending.push(Pending::Job(job)),
            ReadStep::Ready(piece) => self.take(piece),
            // Another plan is at work if nothing is pending.
            ReadStep::Wait => answers = 1,
            ReadStep::Done => {
                // Of a frame of which a part fails, or that another plan decodes, the rest is not needed
                // any more.
                let in_vain = !self.faulty && !self.shared && !self.pending.is_empty();
                assert!(!in_vain, "something was needed in vain");
                return false;
            }
        }
        while answers > 0 && !self.pending.is_empty() {
            let index = chance.below(self.pending.len());
            let fails = self.faulty && chance.below(4) == 0;
            let pending = self.pending.swap_remove(index);
            self.answer(pending, fails);
            answers -= 1;
        }
        true
    }

    fn answer(&mut self, pending: Pending, fails: bool) {
        match pending {
            Pending::Job(job) if fails => drop(job),
            Pending::Job(job) => self.plan.complete(job.run()),
            Pending::Range(range) => {
                let StoredRange { blob, offset, len } = range;
                let end = offset.saturating_add(len).try_into().ok();
                let stored = end.and_then(|end| self.blob.get(offset as usize..end));
                let answered = match stored.filter(|_| !fails) {
                    Some(stored) => self.plan.supply(blob, offset, stored.to_vec().into()),
                    None => {
                        let why = FrameError::Outside { blob, offset, len };
                        self.plan.fail(&range, why)
                    }
                };
                answered.expect("it was needed");
            }
        }
    }

    fn take(&mut self, piece: Piece) {
        assert_eq!(piece.file_offset, self.at, "pieces leave no gap");
        self.at += piece.len;
        self.pieces.push(match piece.bytes {
            Ok(bytes) => {
                assert_eq!(bytes.as_ref().len(), piece.len);
                Ok(match bytes.as_ref() {
                    ExtentBytes::Data(bytes) => bytes.to_vec(),
                    ExtentBytes::Zeros(len) => vec![0; len as usize],
                })
            }
            Err(error) => Err((piece.len, error)),
        });
    }

    /// What was handed out is `expected`, where it could be had.
    pub(super) fn check(self, expected: &[u8]) {
        let mut rest = expected;
        for piece in self.pieces {
            let len = match &piece {
                Ok(bytes) => bytes.len(),
                Err((len, error)) => {
                    assert!(self.faulty, "the blob is sound, but: {error}");
                    *len as usize
                }
            };
            let (now, behind) = rest.split_at(len);
            assert!(piece.map_or(true, |bytes| bytes == now));
            rest = behind;
        }
        assert!(rest.is_empty(), "all was handed out");
    }

    /// Goes on to the end; what was handed out.
    ///
    /// # Errors
    /// Why a piece cannot be had.
    pub(super) fn read(mut self, chance: &mut Chance) -> Result<Vec<u8>, ReadError> {
        while self.turn(chance) {}
        let pieces = self.pieces.into_iter();
        pieces
            .map(|piece| piece.map_err(|(_, error)| error))
            .collect::<Result<Vec<_>, _>>()
            .map(|pieces| pieces.concat())
    }
}
