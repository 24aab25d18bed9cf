//! The tar of a gzip layer, decoded by several threads.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use blob_io::ReadAt;
use frame_codec::Decoder;
use gzip_index::GzipIndex;
use image_model::Vouched;
use tar_stream::{Compression, Corruption, LayerError};
use verify::check;

/// A span to decode, and where the result goes.
type Task = (usize, SyncSender<io::Result<Vec<u8>>>);

/// Reads the tar of a gzip layer by its index: several threads decode spans ahead, each of which is verified by its
/// digest. The bytes are the same with any number of threads. Memory: two spans for each thread.
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
    index: Arc<GzipIndex>,
    tasks: Sender<Task>,
    /// The next span to hand out, and the results of those before, in order.
    next: usize,
    ahead: usize,
    results: VecDeque<Receiver<io::Result<Vec<u8>>>>,
    current: Vec<u8>,
    taken: usize,
    failed: bool,
}

impl SpanStream {
    pub(super) fn new(
        index: &Arc<GzipIndex>,
        layer: &Arc<dyn ReadAt>,
        threads: usize,
    ) -> io::Result<Self> {
        let threads = threads.clamp(1, 256);
        let (tasks, given) = channel();
        let given = Arc::new(Mutex::new(given));
        for _ in 0..threads.min(index.spans().len()) {
            let (index, layer, given) = (Arc::clone(index), Arc::clone(layer), Arc::clone(&given));
            thread::Builder::new().spawn(move || work(&index, &*layer, &given))?;
        }
        Ok(Self {
            index: Arc::clone(index),
            tasks,
            next: 0,
            ahead: threads.saturating_mul(2),
            results: VecDeque::new(),
            current: Vec::new(),
            taken: 0,
            failed: false,
        })
    }

    /// The next span; `None` after the last one.
    fn next_span(&mut self) -> Option<io::Result<Vec<u8>>> {
        while self.results.len() < self.ahead && self.next < self.index.spans().len() {
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

/// Decodes spans until nobody wants any.
fn work(index: &GzipIndex, layer: &dyn ReadAt, given: &Mutex<Receiver<Task>>) {
    let mut decoder = Decoder::new();
    loop {
        let task = given.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((nth, sender)) = task else { return };
        let decoded = decode(index, layer, nth, &mut decoder);
        // If nobody reads any more, nobody has to know.
        let _ = sender.send(decoded);
    }
}

fn decode(
    index: &GzipIndex,
    layer: &dyn ReadAt,
    nth: usize,
    decoder: &mut Decoder,
) -> io::Result<Vec<u8>> {
    let (Some(span), Some(recipe)) = (index.spans().get(nth), index.recipe(nth)) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let corrupt = |source| LayerError::Corrupt {
        compression: Compression::Gzip,
        stored: span.stored_offset,
        decoded: span.decoded_offset,
        source,
    };
    let stored = layer.read_bytes(span.stored_offset, span.stored_len as usize)?;
    let mut decoded = vec![0; span.decoded_len as usize];
    decoder
        .decode_frame(&recipe.decode, &stored, &mut decoded)
        .map_err(|_| corrupt(Corruption::Deflate))?;
    if let Vouched::Decoded(digest) = &recipe.vouched
        && check(digest, &decoded).is_err()
    {
        return Err(corrupt(Corruption::Checksum).into());
    }
    Ok(decoded)
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
            self.current = span?;
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
