//! Comparing a layer with its index, all of it.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use gzip_index::{GzipIndex, KeptReader};
use image_model::{Limits, Progress};
use tar_stream::{LayerStream, StreamOptions};
use verify::Hasher;

use super::indexed::{Difference, LayerIndexError};

/// Number of decoded bytes to compare at once.
const PIECE: usize = 256 << 10;

/// Decodes `layer` from front to back and compares it with `index`: lengths, the digest of the layer, that of each
/// span, and what the index keeps of it.
pub(super) fn compare(
    index: &GzipIndex,
    layer: impl Read,
    limits: &Limits,
    progress: &mut dyn Progress,
) -> Result<(), LayerIndexError> {
    let digested = Digested {
        layer,
        hasher: Hasher::sha256(),
        len: 0,
    };
    let options = StreamOptions::from(limits).ignore_trailing(true);
    let mut stream = LayerStream::open(digested, &options)?;
    let mut spans = SpanDigests {
        index,
        nth: 0,
        hasher: Hasher::sha256(),
    };
    let mut kept = Kept {
        reader: index.kept(),
        ranges: Box::new(index.kept_ranges()),
        range: 0..0,
    };
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    loop {
        let read = stream.read(&mut piece).map_err(of_layer)?;
        progress.advance(stream.stored_position(), Some(index.stored_len()))?;
        if read == 0 {
            break;
        }
        spans.compare(at, &piece[..read])?;
        kept.compare(at, &piece[..read])?;
        at += read as u64;
    }
    let digested = stream.into_inner();
    let digest = digested.hasher.finish();
    let is_same = at == index.decoded_len()
        && digested.len == index.stored_len()
        && index
            .stored_digest()
            .is_none_or(|expected| expected == digest);
    match is_same {
        true => Ok(()),
        false => Err(LayerIndexError::Differs(Difference::Layer)),
    }
}

fn of_layer(error: io::Error) -> LayerIndexError {
    let error = error.downcast::<tar_stream::LayerError>();
    let error = error.unwrap_or_else(|source| tar_stream::LayerError::Io { source });
    LayerIndexError::Layer(error)
}

/// A layer whose bytes are digested on the way.
struct Digested<R> {
    layer: R,
    hasher: Hasher,
    len: u64,
}

impl<R: Read> Read for Digested<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.layer.read(buf)?;
        self.hasher.update(&buf[..read]);
        self.len += read as u64;
        Ok(read)
    }
}

/// The digest of the span that is decoded.
struct SpanDigests<'a> {
    index: &'a GzipIndex,
    nth: usize,
    hasher: Hasher,
}

impl SpanDigests<'_> {
    /// Compares the spans that end in `bytes`, which begin at `at`.
    fn compare(&mut self, mut at: u64, mut bytes: &[u8]) -> Result<(), LayerIndexError> {
        while !bytes.is_empty() {
            let Some(span) = self.index.spans().get(self.nth) else {
                return Err(LayerIndexError::Differs(Difference::Layer));
            };
            let left = span.decoded_end() - at;
            let len = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
            let (mine, rest) = bytes.split_at(len);
            self.hasher.update(mine);
            at += len as u64;
            bytes = rest;
            if at == span.decoded_end() {
                let hasher = std::mem::replace(&mut self.hasher, Hasher::sha256());
                if hasher.finish() != span.digest {
                    let index = self.nth as u64;
                    return Err(LayerIndexError::Differs(Difference::Span { index }));
                }
                self.nth += 1;
            }
        }
        Ok(())
    }
}

/// What the index keeps.
struct Kept<'a> {
    reader: KeptReader<'a>,
    ranges: Box<dyn Iterator<Item = Range<u64>> + 'a>,
    range: Range<u64>,
}

impl Kept<'_> {
    /// Compares what is kept of `bytes`, which begin at `at`.
    fn compare(&mut self, at: u64, bytes: &[u8]) -> Result<(), LayerIndexError> {
        let end = at + bytes.len() as u64;
        loop {
            let (from, to) = (self.range.start.max(at), self.range.end.min(end));
            if from < to {
                let bytes = &bytes[(from - at) as usize..(to - at) as usize];
                let mut kept = vec![0; bytes.len()];
                let read = self.reader.seek(SeekFrom::Start(from));
                let read = read.and_then(|_| self.reader.read_exact(&mut kept));
                if read.is_err() || kept != bytes {
                    let header = Difference::Header { offset: from };
                    return Err(LayerIndexError::Differs(header));
                }
            }
            if self.range.end > end {
                return Ok(());
            }
            match self.ranges.next() {
                Some(range) => self.range = range,
                None => return Ok(()),
            }
        }
    }
}
