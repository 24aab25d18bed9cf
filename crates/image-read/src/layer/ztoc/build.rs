//! Building the zTOC of a layer, in one pass.

use std::cell::Cell;
use std::io::{self, BufRead as _, BufReader, Read};

use gzip_index::{CheckpointBuilder, CheckpointOptions};
use image_model::{Digest, Progress};
use soci_ztoc::{Checkpoint, FileMetadata, GzipZinfo, TarZinfo, Zinfo, Ztoc};
use tar_stream::{Compression, TarReadOptions, TarReader};
use verify::Hasher;

use super::{ZtocOptions, files};
use crate::layer::own_index::{of_stream, of_tar};
use crate::layer::{LayerIndexError, REQUEST};

/// Builds the zTOC of the layer that `layer` gives.
pub(in crate::layer) fn build(
    layer: impl Read,
    options: &ZtocOptions,
    tar: &TarReadOptions,
    progress: &mut dyn Progress,
) -> Result<Ztoc, LayerIndexError> {
    let taken = Cell::new(0);
    let counted = Counted {
        source: layer,
        taken: &taken,
    };
    let mut layer = BufReader::with_capacity(REQUEST, counted);
    let start = layer.fill_buf().map_err(of_stream)?;
    let advance = &mut || Ok(progress.advance(taken.get(), None)?);
    match Compression::detect(start) {
        Compression::Gzip => gzip(layer, options, tar, advance),
        Compression::None => plain(layer, options, tar, advance),
        compression => Err(LayerIndexError::Compression { compression }),
    }
}

type Advance<'a> = &'a mut dyn FnMut() -> Result<(), LayerIndexError>;

fn gzip(
    layer: impl Read,
    options: &ZtocOptions,
    tar: &TarReadOptions,
    advance: Advance<'_>,
) -> Result<Ztoc, LayerIndexError> {
    let limits = options.limits.clone();
    let checkpoints = CheckpointOptions::default()
        .span_size(options.span_size)
        .threads(options.threads)
        .limits(limits);
    let builder = CheckpointBuilder::new(layer, &checkpoints);
    let (files, end, builder) = list(builder, tar, advance)?;
    let (found, _) = builder.finish()?;
    let digests = found.points.iter().map(|point| point.digest).collect();
    let points = found.points.into_iter().map(|point| {
        Checkpoint::new(point.stored_offset, point.decoded_offset, point.bits).window(point.window)
    });
    let points = points.collect::<Vec<_>>();
    let zinfo = Zinfo::Gzip(GzipZinfo::new(options.span_size, &points));
    Ok(Ztoc::new(zinfo, digests, found.stored_len, end).files(files))
}

fn plain(
    layer: impl Read,
    options: &ZtocOptions,
    tar: &TarReadOptions,
    advance: Advance<'_>,
) -> Result<Ztoc, LayerIndexError> {
    let spans = PlainSpans {
        source: layer,
        span_size: options.span_size.max(1),
        len: 0,
        hasher: Hasher::sha256(),
        digests: Vec::new(),
    };
    let (files, end, spans) = list(spans, tar, advance)?;
    let PlainSpans { len, span_size, .. } = spans;
    // A tar has at least a block, or the end of one.
    let zinfo = TarZinfo::new(span_size, len).ok_or(LayerIndexError::Empty)?;
    let digests = spans.finish();
    Ok(Ztoc::new(Zinfo::Tar(zinfo), digests, len, end).files(files))
}

/// The files of the tar that `source` gives, the end of it, and the source, all of which was read.
pub(in crate::layer) fn list<R: Read>(
    source: R,
    tar: &TarReadOptions,
    advance: Advance<'_>,
) -> Result<(Vec<FileMetadata>, u64, R), LayerIndexError> {
    let mut reader = TarReader::new(source, tar.clone());
    let mut listed = Vec::new();
    while let Some(entry) = reader.next_entry().map_err(of_tar)? {
        listed.push(files::file(&entry)?);
        advance()?;
    }
    let end = reader.position();
    let source = reader.finish().map_err(of_tar)?;
    Ok((listed, end, source))
}

/// Whether both lists say the same of each file; the first that differs.
pub(in crate::layer) fn first_difference(a: &[FileMetadata], b: &[FileMetadata]) -> Option<usize> {
    a.iter().zip(b).position(|(a, b)| !files::is_same(a, b))
}

/// A source that counts what is taken from it.
struct Counted<'a, R> {
    source: R,
    taken: &'a Cell<u64>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buf)?;
        self.taken.set(self.taken.get() + read as u64);
        Ok(read)
    }
}

/// A plain tar whose spans are digested on the way.
struct PlainSpans<R> {
    source: R,
    span_size: u64,
    len: u64,
    hasher: Hasher,
    digests: Vec<Digest>,
}

impl<R> PlainSpans<R> {
    fn finish(mut self) -> Vec<Digest> {
        if !self.len.is_multiple_of(self.span_size) {
            self.digests.push(self.hasher.finish());
        }
        self.digests
    }
}

impl<R: Read> Read for PlainSpans<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.span_size - self.len % self.span_size;
        let len = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let read = self.source.read(&mut buf[..len])?;
        self.hasher.update(&buf[..read]);
        self.len += read as u64;
        if read as u64 == left {
            let hasher = std::mem::replace(&mut self.hasher, Hasher::sha256());
            self.digests.push(hasher.finish());
        }
        Ok(read)
    }
}
