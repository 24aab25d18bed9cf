//! Comparing a layer with its index, all of it.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use blob_io::{ReadAt, Sequential};
use gzip_index::KeptReader;
use image_model::{Digest, Limits, Progress};
use soci_ztoc::Ztoc;
use tar_stream::{LayerError, LayerStream, StreamOptions, TarReadOptions};
use verify::Hasher;

use super::spans::SpanStream;
use super::ztoc::{first_difference, list};
use super::{Difference, LayerIndex, LayerIndexError, REQUEST};

/// Number of decoded bytes to compare at once.
const PIECE: usize = 256 << 10;

/// Decodes `layer` from front to back and by the spans of `index`, and compares both, and what the index says of the
/// layer and its tar.
pub(super) fn compare(
    index: &LayerIndex,
    layer: &Arc<dyn ReadAt>,
    limits: &Limits,
    progress: &mut dyn Progress,
) -> Result<(), LayerIndexError> {
    let sequential = Sequential::new(&**layer)?;
    if sequential.len() != index.stored_len() {
        return Err(LayerIndexError::Differs(Difference::Layer));
    }
    let digested = Digested {
        layer: BufReader::with_capacity(REQUEST, sequential),
        hasher: index.gzip().map(|_| Hasher::sha256()),
    };
    let options = StreamOptions::from(limits).ignore_trailing(true);
    let spans = index.spans_of(layer, 1).map_err(of_layer)?;
    let mut both = Both {
        stream: LayerStream::open(digested, &options)?,
        index,
        spans,
        piece: Vec::new(),
        at: 0,
        progress,
    };
    if let Some(ztoc) = index.ztoc() {
        return compare_files(ztoc, both, limits);
    }
    let Some(gzip) = index.gzip() else {
        return Ok(());
    };
    let mut kept = Kept {
        reader: gzip.kept(),
        ranges: Box::new(gzip.kept_ranges()),
        range: 0..0,
    };
    let mut piece = vec![0; PIECE];
    loop {
        let at = both.at;
        let read = both.read(&mut piece).map_err(of_layer)?;
        if read == 0 {
            break;
        }
        kept.compare(at, &piece[..read])?;
    }
    let is_all = both.at == gzip.decoded_len();
    let digest = both.stream.into_inner().finish();
    let is_same = gzip
        .stored_digest()
        .is_none_or(|expected| digest == Some(expected));
    match is_all && is_same {
        true => Ok(()),
        false => Err(LayerIndexError::Differs(Difference::Layer)),
    }
}

/// Compares the files of the tar that `both` give with those of `ztoc`.
fn compare_files(ztoc: &Ztoc, both: Both<'_>, limits: &Limits) -> Result<(), LayerIndexError> {
    // Whoever opened the layer has decided what is refused.
    let options = TarReadOptions::default()
        .lenient(true)
        .limits(limits.clone());
    let listed = list(both, &options, &mut || Ok(()));
    let (files, end, _) = listed.map_err(of_both)?;
    let differs = |difference| Err(LayerIndexError::Differs(difference));
    if let Some(nth) = first_difference(&files, &ztoc.files) {
        return differs(Difference::File { index: nth as u64 });
    }
    match files.len() == ztoc.files.len() && end == ztoc.uncompressed_len {
        true => Ok(()),
        false => differs(Difference::End),
    }
}

/// The error that reading both gave, if that was it.
fn of_both(error: LayerIndexError) -> LayerIndexError {
    match error {
        LayerIndexError::Tar(tar_stream::TarError::Io { source, .. }) => of_layer(source),
        error => error,
    }
}

fn of_layer(error: io::Error) -> LayerIndexError {
    let error = match error.downcast::<Found>() {
        Ok(Found(difference)) => return LayerIndexError::Differs(difference),
        Err(error) => error,
    };
    let error = match error.downcast::<image_model::Cancelled>() {
        Ok(cancelled) => return cancelled.into(),
        Err(error) => error,
    };
    let error = error.downcast::<LayerError>();
    let error = error.unwrap_or_else(|source| LayerError::Io { source });
    LayerIndexError::Layer(error)
}

/// A difference inside an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Found(Difference);

/// A layer whose bytes are digested on the way.
struct Digested<R> {
    layer: R,
    hasher: Option<Hasher>,
}

impl<R> Digested<R> {
    fn finish(self) -> Option<Digest> {
        self.hasher.map(Hasher::finish)
    }
}

impl<R: Read> Read for Digested<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.layer.read(buf)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buf[..read]);
        }
        Ok(read)
    }
}

/// The tar as the layer gives it from front to back, which is compared with what its spans give.
struct Both<'a> {
    stream: LayerStream<Digested<BufReader<Sequential<&'a dyn ReadAt>>>>,
    index: &'a LayerIndex,
    spans: SpanStream,
    piece: Vec<u8>,
    at: u64,
    progress: &'a mut dyn Progress,
}

impl Both<'_> {
    /// The difference in the span of byte `offset`.
    fn span_at(&self, offset: u64) -> io::Error {
        let index = self.index.span_at(offset);
        io::Error::other(Found(match index {
            Some(index) => Difference::Span { index },
            None => Difference::Layer,
        }))
    }
}

impl Read for Both<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buf)?;
        let stored = self.stream.stored_position();
        let advanced = self.progress.advance(stored, Some(self.index.stored_len()));
        advanced.map_err(io::Error::other)?;
        // An index need not know what comes after the tar.
        let left = self.index.decoded_len().saturating_sub(self.at);
        let known = usize::try_from(left).map_or(read, |left| left.min(read));
        self.piece.resize(known, 0);
        let mut same = 0;
        while same < known {
            let decoded = self.spans.read(&mut self.piece[same..]);
            let len = match decoded {
                Ok(len) if len > 0 => len,
                _ => return Err(self.span_at(self.at + same as u64)),
            };
            let (ours, theirs) = (&self.piece[same..same + len], &buf[same..same + len]);
            if let Some(first) = ours.iter().zip(theirs).position(|(a, b)| a != b) {
                return Err(self.span_at(self.at + (same + first) as u64));
            }
            same += len;
        }
        if known < read && self.index.ztoc().is_none() {
            return Err(io::Error::other(Found(Difference::Layer)));
        }
        self.at += read as u64;
        Ok(read)
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
