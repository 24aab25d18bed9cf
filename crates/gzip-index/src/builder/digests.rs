//! The digests of a stream and of its spans, computed here or by another thread.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use image_model::width::{u64_from, usize_up_to};
use image_model::{Digest, DigestAlgorithm};
use sha2::{Digest as _, Sha256};

/// Tasks that wait for the thread, at most.
const WAITING: usize = 16;
/// Pieces whose memory may be used again: those that wait, and some that are held for what is not settled.
const KEPT: usize = WAITING + 4;

/// Stored bytes of a stream.
pub(crate) type Piece = Arc<Vec<u8>>;

/// What is to be done. Offsets are those of stored bytes.
enum Task {
    /// The next bytes of the stream are these.
    Take(Piece),
    /// The open span goes up to here at least, and no other one begins more than a byte before.
    Settle(u64),
    /// A span begins here. If one is open, it is none.
    Begin(u64),
    /// The open span ends here.
    End(u64),
}

/// Takes the bytes of a stream, and is told where in them spans begin and end.
pub(crate) struct Digests {
    place: Place,
    /// Pieces that were taken, the oldest first.
    taken: VecDeque<Piece>,
}

enum Place {
    Here(Box<Work>),
    There {
        tasks: SyncSender<Task>,
        thread: JoinHandle<Work>,
    },
}

/// The digests of a stream.
pub(crate) struct Digested {
    /// Of all of it, if that was asked for.
    pub(crate) stream: Option<[u8; 32]>,
    /// Of its spans, in the order in which they ended.
    pub(crate) spans: Vec<Digest>,
}

impl Digests {
    /// Digests of spans, and of the whole stream if it is to have one; by another thread, if there are to be several.
    pub(crate) fn new(of_stream: bool, of_spans: DigestAlgorithm, threads: usize) -> Self {
        let work = || Work::new(of_stream, of_spans);
        let there = (threads > 1).then(|| Place::there(work())).flatten();
        Self {
            place: there.unwrap_or_else(|| Place::Here(Box::new(work()))),
            taken: VecDeque::new(),
        }
    }

    /// Memory of a piece that nobody needs any more, or fresh memory.
    pub(crate) fn memory(&mut self) -> Vec<u8> {
        let is_free = |oldest: &mut Piece| Arc::get_mut(oldest).is_some();
        if self.taken.len() < KEPT && !self.taken.front_mut().is_some_and(is_free) {
            return Vec::new();
        }
        let oldest = self.taken.pop_front().and_then(Arc::into_inner);
        oldest.unwrap_or_default()
    }

    /// Takes the next bytes of the stream.
    pub(crate) fn take(&mut self, piece: &Piece) {
        self.taken.push_back(Arc::clone(piece));
        self.hand(Task::Take(Arc::clone(piece)));
    }

    /// The open span goes up to `offset` at least, and no other one begins more than a byte before.
    pub(crate) fn settle(&mut self, offset: u64) {
        self.hand(Task::Settle(offset));
    }

    /// A span begins at `offset`. If one is open, it is none.
    pub(crate) fn begin(&mut self, offset: u64) {
        self.hand(Task::Begin(offset));
    }

    /// The open span ends at `offset`.
    pub(crate) fn end(&mut self, offset: u64) {
        self.hand(Task::End(offset));
    }

    fn hand(&mut self, task: Task) {
        match &mut self.place {
            Place::Here(work) => work.work(task),
            // A thread that has ended has panicked, which `join` reports.
            Place::There { tasks, .. } => drop(tasks.send(task)),
        }
    }

    pub(crate) fn finish(self) -> Digested {
        let work = match self.place {
            Place::Here(work) => *work,
            Place::There { tasks, thread } => {
                drop(tasks);
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
        };
        Digested {
            stream: work.stream.map(|stream| stream.finalize().into()),
            spans: work.done,
        }
    }
}

impl Place {
    /// A thread that ends when its builder does; `None` if it cannot be started.
    fn there(mut work: Work) -> Option<Self> {
        let (tasks, handed) = sync_channel(WAITING);
        let thread = Builder::new().spawn(move || {
            handed.into_iter().for_each(|task| work.work(task));
            work
        });
        let thread = thread.ok()?;
        Some(Self::There { tasks, thread })
    }
}

/// The digests so far.
struct Work {
    stream: Option<Sha256>,
    /// Bytes that spans may still need, with their offsets.
    held: VecDeque<(u64, Piece)>,
    /// Bytes of the stream that were taken.
    taken: u64,
    /// Of the open span, up to `reached`.
    span: Option<SpanHasher>,
    reached: u64,
    of_spans: DigestAlgorithm,
    done: Vec<Digest>,
}

impl Work {
    fn new(of_stream: bool, of_spans: DigestAlgorithm) -> Self {
        Self {
            stream: of_stream.then(Sha256::default),
            held: VecDeque::new(),
            taken: 0,
            span: None,
            reached: 0,
            of_spans,
            done: Vec::new(),
        }
    }

    fn work(&mut self, task: Task) {
        match task {
            Task::Take(piece) => {
                if let Some(stream) = &mut self.stream {
                    stream.update(piece.as_slice());
                }
                let offset = self.taken;
                self.taken = offset.saturating_add(u64_from(piece.len()));
                self.held.push_back((offset, piece));
            }
            Task::Settle(offset) => {
                self.reach(offset);
                while let Some((start, piece)) = self.held.front() {
                    // A span may begin in the byte before.
                    if start.saturating_add(u64_from(piece.len())) >= offset {
                        break;
                    }
                    self.held.pop_front();
                }
            }
            Task::Begin(offset) => {
                self.span = Some(SpanHasher::new(self.of_spans));
                self.reached = offset;
            }
            Task::End(offset) => {
                self.reach(offset);
                if let Some(span) = self.span.take() {
                    self.done.push(span.finish());
                }
            }
        }
    }

    /// Digests the open span up to `offset`.
    fn reach(&mut self, offset: u64) {
        let Some(span) = &mut self.span else { return };
        let from = self.reached;
        for (start, piece) in &self.held {
            // Both are within the piece, or at its ends.
            let within = |offset: u64| usize_up_to(offset.saturating_sub(*start)).min(piece.len());
            span.update(&piece[within(from)..within(offset.max(from))]);
        }
        self.reached = offset.max(from);
    }
}

/// The digest of a span so far.
enum SpanHasher {
    Sha256(Sha256),
    Blake3(Box<blake3::Hasher>),
}

impl SpanHasher {
    fn new(algorithm: DigestAlgorithm) -> Self {
        match algorithm {
            DigestAlgorithm::Sha256 => Self::Sha256(Sha256::default()),
            _ => Self::Blake3(Box::default()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Blake3(hasher) => {
                hasher.update(bytes);
            }
        }
    }

    fn finish(self) -> Digest {
        match self {
            Self::Sha256(hasher) => Digest::new(DigestAlgorithm::Sha256, hasher.finalize().into()),
            Self::Blake3(hasher) => Digest::new(DigestAlgorithm::Blake3, hasher.finalize().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256(bytes: &[u8]) -> [u8; 32] {
        Sha256::digest(bytes).into()
    }

    #[test]
    fn spans_are_digested_however_the_stream_is_cut() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|at| (at ^ at >> 7) as u8).collect();
        for (threads, piece_len) in [(1, 1), (1, 1000), (2, 7), (2, 30_000), (2, 100_000)] {
            let algorithm = match piece_len {
                1000 | 30_000 => DigestAlgorithm::Sha256,
                _ => DigestAlgorithm::Blake3,
            };
            let mut digests = Digests::new(true, algorithm, threads);
            let mut taken = 0;
            for piece in bytes.chunks(piece_len) {
                let mut memory = digests.memory();
                memory.clear();
                memory.extend_from_slice(piece);
                digests.settle(taken);
                digests.take(&Arc::new(memory));
                let end = taken + piece.len() as u64;
                for at in taken..end {
                    match at {
                        10 => digests.begin(10),
                        // This one never was one.
                        20 => digests.begin(20),
                        // The next one begins in the last byte of this one.
                        50_000 => {
                            digests.end(50_000);
                            digests.begin(49_999);
                        }
                        99_999 => digests.end(99_999),
                        _ => {}
                    }
                }
                taken = end;
            }
            let found = digests.finish();
            let spans = [&bytes[20..50_000], &bytes[49_999..99_999]].map(|span| match algorithm {
                DigestAlgorithm::Sha256 => Digest::new(algorithm, sha256(span)),
                _ => Digest::new(algorithm, blake3::hash(span).into()),
            });
            assert_eq!(found.spans, spans, "pieces of {piece_len} bytes");
            assert_eq!(found.stream, Some(sha256(&bytes)));
        }
    }

    #[test]
    fn nothing_is_digested_unasked() {
        for threads in [1, 2] {
            let mut digests = Digests::new(false, DigestAlgorithm::Blake3, threads);
            digests.take(&Arc::new(vec![1; 10]));
            let found = digests.finish();
            assert_eq!((found.stream, found.spans), (None, Vec::new()));
        }
    }
}
