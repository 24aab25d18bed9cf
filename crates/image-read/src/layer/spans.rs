//! The tar of a layer that has an index, decoded by several threads.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use blob_io::ReadAt;
use frame_codec::Decoder;
use image_model::{FrameId, RecipeId, Vouched};
use tar_stream::{Compression, Corruption, LayerError};
use verify::check;

use crate::tree_image::FrameTable;

/// A span to decode, and where the result goes.
type Task = (u32, SyncSender<io::Result<Decoded>>);

/// A span that was decoded. Memory is used again as it is: what is behind the span means nothing.
#[derive(Default)]
struct Decoded {
    memory: Vec<u8>,
    len: usize,
}

/// Spans that nobody has begun. The lock is held for a moment only, so that whoever reads finds every one that there is.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    tasks: VecDeque<Task>,
    /// Nobody wants any more.
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, task: Task) {
        self.lock().tasks.push_back(task);
        self.changed.notify_one();
    }

    /// The next one, if there is one now.
    fn take(&self) -> Option<Task> {
        self.lock().tasks.pop_front()
    }

    /// The next one; `None` if nobody wants any more.
    fn wait(&self) -> Option<Task> {
        let more = |waiting: &mut Waiting| waiting.tasks.is_empty() && !waiting.closed;
        let waiting = self.changed.wait_while(self.lock(), more);
        let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        match waiting.closed {
            true => None,
            false => waiting.tasks.pop_front(),
        }
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

/// Reads the tar of a layer by its index: several threads decode spans ahead, each of which is verified by its
/// digest; the thread that reads is one of them, instead of waiting. The bytes are the same with any number of threads.
/// Memory: three spans for each thread.
///
/// ```
/// use std::io::Read;
/// use std::sync::Arc;
/// use lazyoci_image_read::LayerIndex;
///
/// # let tar = tar_stream::TarWriter::new(Vec::new()).finish()?;
/// # let mut layer = Vec::new();
/// # frame_codec::Encoder::new(frame_codec::Compression::Gzip { level: 6 })?.encode_frame(&tar, &mut layer)?;
/// let index = LayerIndex::build(&layer[..], &Default::default(), &Default::default(), &mut ())?;
/// let layer: Arc<dyn blob_io::ReadAt> = Arc::new(bytes::Bytes::from(layer));
/// let mut stream = index.stream(&layer, 2)?;
/// let mut decoded = Vec::new();
/// stream.read_to_end(&mut decoded)?;
/// assert_eq!(decoded, tar);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SpanStream {
    spans: u32,
    queue: Arc<Queue>,
    /// Works on the thread that reads.
    worker: Worker,
    /// The next span to hand out, and the results of those before, in order.
    next: u32,
    ahead: usize,
    /// Buffers that were read, for what is decoded next.
    spare: Arc<Mutex<Vec<Vec<u8>>>>,
    results: VecDeque<Receiver<io::Result<Decoded>>>,
    current: Decoded,
    taken: usize,
    failed: bool,
}

impl SpanStream {
    pub(super) fn new(
        frames: &Arc<dyn FrameTable>,
        compression: Compression,
        layer: &Arc<dyn ReadAt>,
        threads: usize,
    ) -> io::Result<Self> {
        let threads = threads.clamp(1, 256);
        let spans = frames.count();
        let spare = Arc::default();
        let worker = || Worker {
            frames: Arc::clone(frames),
            compression,
            layer: Arc::clone(layer),
            spare: Arc::clone(&spare),
            decoder: Decoder::new(),
        };
        let stream = Self {
            spans,
            queue: Arc::default(),
            worker: worker(),
            next: 0,
            ahead: threads.saturating_mul(2),
            spare: Arc::clone(&spare),
            results: VecDeque::new(),
            current: Decoded::default(),
            taken: 0,
            failed: false,
        };
        for _ in 1..threads.min(spans as usize) {
            let (mut worker, queue) = (worker(), Arc::clone(&stream.queue));
            thread::Builder::new().spawn(move || worker.work(&queue))?;
        }
        Ok(stream)
    }

    /// The next span; `None` after the last one.
    fn next_span(&mut self) -> Option<io::Result<Decoded>> {
        while self.results.len() < self.ahead && self.next < self.spans {
            let (sender, result) = sync_channel(1);
            self.queue.push((self.next, sender));
            self.results.push_back(result);
            self.next += 1;
        }
        let result = self.results.pop_front()?;
        loop {
            match result.try_recv() {
                Ok(span) => return Some(span),
                Err(TryRecvError::Disconnected) => return Some(Err(lost())),
                Err(TryRecvError::Empty) => {}
            }
            match self.queue.take() {
                Some(task) => self.worker.run(task),
                None => return Some(result.recv().unwrap_or_else(|_| Err(lost()))),
            }
        }
    }
}

/// Lets the threads end.
impl Drop for SpanStream {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// A thread has panicked.
fn lost() -> io::Error {
    io::Error::other("a thread that decodes spans has ended")
}

/// Decodes spans.
struct Worker {
    frames: Arc<dyn FrameTable>,
    compression: Compression,
    layer: Arc<dyn ReadAt>,
    spare: Arc<Mutex<Vec<Vec<u8>>>>,
    decoder: Decoder,
}

impl Worker {
    /// Decodes spans until nobody wants any.
    fn work(&mut self, queue: &Queue) {
        while let Some(task) = queue.wait() {
            self.run(task);
        }
    }

    fn run(&mut self, (nth, sender): Task) {
        // If nobody reads any more, nobody has to know.
        let _ = sender.send(self.decode(nth));
    }

    fn decode(&mut self, nth: u32) -> io::Result<Decoded> {
        let frame = self.frames.frame(FrameId(nth));
        let recipe = self.frames.recipe(RecipeId(nth));
        let (Some(frame), Some(recipe)) = (frame, recipe) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let corrupt = |source| LayerError::Corrupt {
            compression: self.compression,
            stored: frame.offset,
            decoded: self.frames.start(FrameId(nth)),
            source,
        };
        let bytes = self
            .layer
            .read_bytes(frame.offset, frame.stored_len as usize)?;
        if let Vouched::Stored(digest) = &recipe.vouched
            && check(digest, &bytes).is_err()
        {
            return Err(corrupt(Corruption::Checksum).into());
        }
        let spare = self
            .spare
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let len = frame.len as usize;
        let mut memory = spare.unwrap_or_default();
        if memory.len() < len {
            memory.resize(len, 0);
        }
        self.decoder
            .decode_frame(&recipe.decode, &bytes, &mut memory[..len])
            .map_err(|_| corrupt(Corruption::Deflate))?;
        Ok(Decoded { memory, len })
    }
}

/// The tar. A span that is damaged fails with a [`LayerError`] inside the [`io::Error`]; after an error nothing is read.
impl Read for SpanStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.current.len && !buf.is_empty() {
            if self.failed {
                return Err(LayerError::Failed.into());
            }
            let Some(span) = self.next_span() else {
                return Ok(0);
            };
            self.failed = span.is_err();
            let read = std::mem::replace(&mut self.current, span?);
            let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
            spare.push(read.memory);
            self.taken = 0;
        }
        let left = &self.current.memory[self.taken..self.current.len];
        let len = left.len().min(buf.len());
        buf[..len].copy_from_slice(&left[..len]);
        self.taken += len;
        Ok(len)
    }
}

impl fmt::Debug for SpanStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanStream")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
