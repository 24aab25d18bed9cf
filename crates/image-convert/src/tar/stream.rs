//! A stream as frames of equal plain length, compressed in parallel.

use std::io::{self, Write};

use blob_io::Output;
use chunk_dedup::FixedSize;
use frame_codec::Compression;
use image_model::{ChunkId, Codec, Progress};
use oci_image::LayerCompression;
use tar_stream::WriteError;

use super::{TarOptions, TarReport};
use crate::ConvertError;
use crate::described::DescribedObject;
use crate::layer::{LayerWriter, WrittenLayer};
use crate::report::Report;
use crate::stage::{self, Piece, Rules, Setup, Stage, Stored, Target};

/// Plain bytes of a frame; the last one has fewer.
const FRAME_LEN: usize = 1 << 20;

/// Takes a tar, byte for byte.
pub(super) struct TarStream<'s, 'p, 'd, 'o> {
    stage: &'s mut Stage<'p, 'd, Frames<'o>>,
    begun: bool,
}

/// Has `body` write a tar, which goes to `output` compressed: a gzip member or zstd frame for every
/// mebibyte, one empty one for an empty stream. The bytes do not depend on the threads.
pub(super) fn write(
    output: &mut dyn Output,
    options: &TarOptions,
    progress: &mut dyn Progress,
    body: impl FnOnce(&mut TarStream<'_, '_, '_, '_>, &mut Report) -> Result<(), ConvertError>,
) -> Result<TarReport, ConvertError> {
    let compression = options.compression;
    let mut report = Report::default();
    let layer = LayerWriter::begin(output, compression != Compression::None)?;
    let setup = Setup {
        rules: Rules {
            compression,
            plain_if_shorter: false,
            digest: None,
            dictionary: None,
            foreign: None,
            room_behind: 0,
            grouped_below: 0,
            origin: None,
            frames: None,
        },
        chunker: &mut FixedSize::new(std::num::NonZeroU32::MAX),
        max_chunks: 0,
        threads: options.threads,
        before: Stored::default(),
        progress,
    };
    let ((), Frames(layer), _) = stage::run(setup, Frames(layer), |stage| {
        let mut stream = TarStream {
            stage,
            begun: false,
        };
        body(&mut stream, &mut report)?;
        match stream.begun {
            true => Ok(()),
            false => stream.stage.begin_piece(0),
        }
    })?;
    let WrittenLayer { blob, diff_id } = layer.finish()?;
    output.commit()?;
    report.bytes_out = blob.len;
    let compression = match options.compression.codec() {
        Codec::Gzip => LayerCompression::Gzip,
        Codec::Zstd => LayerCompression::Zstd,
        _ => LayerCompression::None,
    };
    Ok(TarReport {
        report,
        blob: DescribedObject::layer(blob, compression, |_| ()),
        diff_id,
    })
}

/// Writes frames one after the other.
struct Frames<'o>(LayerWriter<'o>);

impl Target for Frames<'_> {
    fn store(&mut self, piece: &Piece<'_>) -> Result<Option<ChunkId>, ConvertError> {
        self.0.write(piece.plain, piece.stored)?;
        Ok(None)
    }
}

impl TarStream<'_, '_, '_, '_> {
    fn append(&mut self, bytes: &[u8]) -> Result<usize, ConvertError> {
        if !self.begun || self.stage.growing_len() == FRAME_LEN {
            self.begun = true;
            self.stage.begin_piece(FRAME_LEN)?;
        }
        let len = bytes.len().min(FRAME_LEN - self.stage.growing_len());
        self.stage.append(&bytes[..len])?;
        Ok(len)
    }
}

/// Errors are [`ConvertError`]s in `io::Error`s: see [`failure`].
impl Write for TarStream<'_, '_, '_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes).map_err(io::Error::other)
    }

    /// Does nothing: frames end where they are full.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why a tar cannot be written to a [`TarStream`].
pub(super) fn failure(error: WriteError) -> ConvertError {
    match error {
        WriteError::Io(error) => error
            .downcast()
            .unwrap_or_else(|error| WriteError::Io(error).into()),
        other => other.into(),
    }
}
