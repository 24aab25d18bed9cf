//! What reading an image costs at the least.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use lazyoci::blob_io::ReadAt;
use lazyoci::frame_codec::Decoder;
use lazyoci::model::{Chunk, ChunkedImage, Decode, Frame};
use lazyoci::verify::{self, Hasher};

/// Most stored bytes that are read at once.
const REQUEST_LEN: u64 = 1 << 20;

/// A frame, how it is decoded, and its chunk.
type Stored = (Frame, Decode, Chunk);

/// The frames of an image with a single blob, one chunk in each, and nothing else of it.
#[derive(Debug)]
pub struct Bare {
    /// In the order in which they are stored.
    frames: Vec<Stored>,
    /// Those that are read together.
    requests: Vec<Range<usize>>,
}

impl Bare {
    /// The frames of `image`, of which every chunk has one of its own.
    ///
    /// # Panics
    /// If that is not so, or there are several blobs.
    #[must_use]
    pub fn of(image: &ChunkedImage) -> Self {
        assert_eq!(image.blobs.len(), 1);
        assert_eq!(image.frames.len(), image.chunks.len());
        let frame = |chunk: &Chunk| {
            let frame = image.frames[chunk.frame.0 as usize];
            assert_eq!((chunk.offset_in_frame, chunk.len), (0, frame.len));
            let decode = image.recipes[frame.recipe.0 as usize].decode.clone();
            (frame, decode, *chunk)
        };
        let mut frames: Vec<_> = image.chunks.iter().map(frame).collect();
        frames.sort_by_key(|(frame, ..)| frame.offset);
        let mut requests: Vec<Range<usize>> = Vec::new();
        for (index, (frame, ..)) in frames.iter().enumerate() {
            let end = frame.offset + u64::from(frame.stored_len);
            match requests.last_mut() {
                Some(last) if end - frames[last.start].0.offset <= REQUEST_LEN => {
                    last.end = index + 1;
                }
                _ => requests.push(index..index + 1),
            }
        }
        Self { frames, requests }
    }

    /// Bytes of all frames, decoded.
    #[must_use]
    pub fn len(&self) -> u64 {
        let lens = self.frames.iter().map(|(frame, ..)| u64::from(frame.len));
        lens.sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Reads, decodes, digests and checks all frames on so many threads, and does nothing else.
    ///
    /// # Panics
    /// If the blob is damaged.
    pub fn check(&self, blob: &dyn ReadAt, threads: usize) {
        let next = AtomicUsize::new(0);
        self.work(threads, |stored| {
            let request = next.fetch_add(1, Ordering::Relaxed);
            self.read(blob, request, stored)
        });
    }

    /// As [`check`](Self::check), and computes SHA-256 of all frames as they are stored, of what was
    /// read for them: one thread after the other.
    ///
    /// # Panics
    /// If the blob is damaged.
    pub fn check_and_digest(&self, blob: &dyn ReadAt, threads: usize) {
        let next = Mutex::new((0, Hasher::sha256()));
        self.work(threads, |stored| {
            let mut next = next.lock().expect("nobody panics");
            let (request, hasher) = &mut *next;
            let frames = self.read(blob, *request, stored)?;
            *request += 1;
            hasher.update(stored);
            Some(frames)
        });
    }

    /// Reads the frames of a request, if there is one of this number.
    fn read(&self, blob: &dyn ReadAt, request: usize, stored: &mut Vec<u8>) -> Option<&[Stored]> {
        let frames = &self.frames[self.requests.get(request)?.clone()];
        let start = frames[0].0.offset;
        let end = frames.iter().map(|(frame, ..)| frame.stored_end());
        let end = end.max().flatten().expect("it is not empty");
        stored.resize((end - start) as usize, 0);
        blob.read_at(start, stored).expect("it is there");
        Some(frames)
    }

    /// Decodes and checks what `next` reads, on so many threads.
    fn work<'a>(&self, threads: usize, next: impl Fn(&mut Vec<u8>) -> Option<&'a [Stored]> + Sync) {
        let work = || {
            let (mut decoder, mut stored, mut plain) = (Decoder::new(), Vec::new(), Vec::new());
            while let Some(frames) = next(&mut stored) {
                let start = frames[0].0.offset;
                for (frame, decode, chunk) in frames {
                    let at = (frame.offset - start) as usize;
                    let stored = &stored[at..at + frame.stored_len as usize];
                    plain.resize(frame.len as usize, 0);
                    let decoded = decoder.decode_frame(decode, stored, &mut plain);
                    decoded.expect("the blob is sound");
                    let checked = verify::check_chunk(&plain, chunk.digest.as_ref(), chunk.crc32c);
                    checked.expect("the blob is sound");
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
    }
}
