//! What reading an image costs at the least.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use lazyoci::blob_io::ReadAt;
use lazyoci::frame_codec::Decoder;
use lazyoci::model::{Chunk, ChunkedImage, Decode, Frame};
use lazyoci::verify;

/// Most stored bytes that are read at once.
const REQUEST_LEN: u64 = 1 << 20;

/// The frames of an image with a single blob, one chunk in each, and nothing else of it.
#[derive(Debug)]
pub struct Bare {
    /// Each with its decoding and its chunk, in the order in which they are stored.
    frames: Vec<(Frame, Decode, Chunk)>,
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
        let work = || {
            let (mut decoder, mut stored, mut plain) = (Decoder::new(), Vec::new(), Vec::new());
            while let Some(request) = self.requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                let frames = &self.frames[request.clone()];
                let start = frames[0].0.offset;
                let end = frames.iter().map(|(frame, ..)| frame.stored_end());
                let end = end.max().flatten().expect("it is not empty");
                stored.resize((end - start) as usize, 0);
                blob.read_at(start, &mut stored).expect("it is there");
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
