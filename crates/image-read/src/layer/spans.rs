//! The tar of a layer that has an index, decoded by several threads.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use blob_io::ReadAt;
use frame_codec::Decoder;
use image_model::{FrameId, RecipeId, Vouched};
use tar_stream::{Compression, Corruption, LayerError};
use verify::check;

use crate::tree_image::FrameTable;

/// A span to decode, and where the result goes.
type Task = (u32, SyncSender<io::Result<Vec<u8>>>);

/// Reads the tar of a layer by its index: several threads decode spans ahead, each of which is verified by its
/// digest. The bytes are the same with any number of threads. Memory: three spans for each thread.
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
    tasks: Sender<Task>,
    /// The next span to hand out, and the results of those before, in order.
    next: u32,
    ahead: usize,
    /// Buffers that were read, for what is decoded next.
    spare: Arc<Mutex<Vec<Vec<u8>>>>,
    results: VecDeque<Receiver<io::Result<Vec<u8>>>>,
    current: Vec<u8>,
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
        let (tasks, given) = channel();
        let given = Arc::new(Mutex::new(given));
        let spans = frames.count();
        let spare = Arc::default();
        for _ in 0..threads.min(spans as usize) {
            let mut worker = Worker {
                frames: Arc::clone(frames),
                compression,
                layer: Arc::clone(layer),
                given: Arc::clone(&given),
                spare: Arc::clone(&spare),
                decoder: Decoder::new(),
            };
            thread::Builder::new().spawn(move || worker.work())?;
        }
        Ok(Self {
            spans,
            tasks,
            next: 0,
            ahead: threads.saturating_mul(2),
            spare,
            results: VecDeque::new(),
            current: Vec::new(),
            taken: 0,
            failed: false,
        })
    }

    /// The next span; `None` after the last one.
    fn next_span(&mut self) -> Option<io::Result<Vec<u8>>> {
        while self.results.len() < self.ahead && self.next < self.spans {
            let (sender, result) = sync_channel(1);
            // They listen as long as this can send.
            if self.tasks.send((self.next, sender)).is_err() {
                return Some(Err(lost()));
            }
            self.results.push_back(result);
            self.next += 1;
        }
        let result = self.results.pop_front()?;
        Some(result.recv().unwrap_or_else(|_| Err(lost())))
    }
}

/// A thread has panicked.
fn lost() -> io::Error {
    io::Error::other("a thread that decodes spans has ended")
}

/// A thread that decodes spans.
struct Worker {
    frames: Arc<dyn FrameTable>,
    compression: Compression,
    layer: Arc<dyn ReadAt>,
    given: Arc<Mutex<Receiver<Task>>>,
    spare: Arc<Mutex<Vec<Vec<u8>>>>,
    decoder: Decoder,
}

impl Worker {
    /// Decodes spans until nobody wants any.
    fn work(&mut self) {
        loop {
            let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
            let task = given.recv();
            drop(given);
            let Ok((nth, sender)) = task else { return };
            // If nobody reads any more, nobody has to know.
            let _ = sender.send(self.decode(nth));
        }
    }

    fn decode(&mut self, nth: u32) -> io::Result<Vec<u8>> {
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
        let mut decoded = spare.unwrap_or_default();
        decoded.resize(frame.len as usize, 0);
        self.decoder
            .decode_frame(&recipe.decode, &bytes, &mut decoded)
            .map_err(|_| corrupt(Corruption::Deflate))?;
        Ok(decoded)
    }
}

/// The tar. A span that is damaged fails with a [`LayerError`] inside the [`io::Error`]; after an error nothing is read.
impl Read for SpanStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.current.len() && !buf.is_empty() {
            if self.failed {
                return Err(LayerError::Failed.into());
            }
            let Some(span) = self.next_span() else {
                return Ok(0);
            };
            self.failed = span.is_err();
            let read = std::mem::replace(&mut self.current, span?);
            let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
            spare.push(read);
            self.taken = 0;
        }
        let left = &self.current[self.taken..];
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
