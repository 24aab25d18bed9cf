//! A stream as frames of equal plain length, compressed in parallel.

use std::io::{self, BufWriter, Write};
use std::mem;

use frame_codec::{CodecError, Compression, Encoder};

use crate::ConvertError;
use image_read::pipeline::{self, MAX_THREADS, Stage};

/// Plain bytes of a frame; the last one has fewer.
const FRAME_LEN: usize = 1 << 20;

struct Piece {
    plain: Vec<u8>,
    stored: Vec<u8>,
}

type Job = Result<Piece, CodecError>;

/// Bytes gathered before they are written.
const BUFFER_LEN: usize = 256 << 10;

/// Lets `body` write a stream, which goes to `out` compressed: a gzip member or zstd frame for
/// every mebibyte, one empty one for an empty stream. The bytes do not depend on `threads`. Returns
/// how many bytes `out` got.
pub(super) fn compress(
    out: &mut dyn Write,
    compression: Compression,
    threads: usize,
    body: impl FnOnce(&mut dyn Write) -> Result<(), ConvertError>,
) -> Result<u64, ConvertError> {
    let mut out = Counted { out, len: 0 };
    if compression == Compression::None {
        let mut buffered = BufWriter::with_capacity(BUFFER_LEN, &mut out);
        body(&mut buffered)?;
        buffered.flush()?;
        drop(buffered);
        return Ok(out.len);
    }
    let threads = threads.clamp(1, MAX_THREADS);
    let workers = (0..threads)
        .map(|_| Encoder::new(compression).map(worker))
        .collect::<Result<Vec<_>, _>>()?;
    pipeline::run(workers, 2 * threads + 2, |stage| {
        let mut frames = Frames {
            out: &mut out,
            stage,
            plain: Vec::with_capacity(FRAME_LEN),
            spare: Vec::new(),
            begun: false,
        };
        body(&mut frames)?;
        Ok::<_, ConvertError>(frames.finish()?)
    })?;
    Ok(out.len)
}

struct Counted<'a> {
    out: &'a mut dyn Write,
    len: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.out.write(buf)?;
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn worker(mut encoder: Encoder) -> impl FnMut(Piece) -> Job + Send {
    move |mut piece| {
        piece.stored.clear();
        encoder.encode_frame(&piece.plain, &mut piece.stored)?;
        Ok(piece)
    }
}

struct Frames<'a, W> {
    out: &'a mut dyn Write,
    stage: &'a mut Stage<Piece, Job, W>,
    plain: Vec<u8>,
    spare: Vec<Piece>,
    begun: bool,
}

impl<W: FnMut(Piece) -> Job> Frames<'_, W> {
    fn submit(&mut self) -> io::Result<()> {
        self.begun = true;
        let mut piece = self.spare.pop().unwrap_or_else(|| Piece {
            plain: Vec::with_capacity(FRAME_LEN),
            stored: Vec::new(),
        });
        mem::swap(&mut self.plain, &mut piece.plain);
        self.plain.clear();
        match self.stage.submit(piece) {
            Some(done) => self.take(done),
            None => Ok(()),
        }
    }

    fn take(&mut self, done: Job) -> io::Result<()> {
        let piece = done.map_err(io::Error::other)?;
        self.out.write_all(&piece.stored)?;
        self.spare.push(piece);
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        if !self.plain.is_empty() || !self.begun {
            self.submit()?;
        }
        while let Some(done) = self.stage.next() {
            self.take(done)?;
        }
        self.out.flush()
    }
}

impl<W: FnMut(Piece) -> Job> Write for Frames<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(FRAME_LEN - self.plain.len());
        self.plain.extend_from_slice(&bytes[..len]);
        if self.plain.len() == FRAME_LEN {
            self.submit()?;
        }
        Ok(len)
    }

    /// Does nothing: frames end where they are full.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
