//! Any source as a zstd:chunked layer, of either dialect.

mod bounded;
mod containers;
mod options;
mod report;

use std::io::{Seek, SeekFrom};

use blob_io::{Output, WriterOutput};
use estargz_toc::footer::skippable;
use image_model::{Progress, StoredPiece};

use crate::estargz::{Ending, write_estargz};
use crate::layer::LayerWriter;
use crate::source::{KeptFrames, Kind};
use crate::tar::{TarOptions, to_tar};
use crate::{ConvertError, Source, Streaming};

pub use options::{ZstdChunkedDialect, ZstdChunkedOptions};
pub use report::ZstdChunkedReport;

/// Writes `source` as a zstd:chunked layer to `output`.
///
/// In dialect A, that of stargz-snapshotter, it is what [`to_estargz`](crate::to_estargz) writes, in zstd frames and
/// with the TOC behind the tar.
///
/// In dialect B, that of containers/storage, the tar of a [`Streaming`] layer is kept byte for byte, and with it the
/// DiffID; of any other source the tar is first written to an unnamed temporary file, as by
/// [`to_tar`](crate::to_tar). Files are cut where containers/storage cuts them ([`chunk_dedup::rollsum`]); a chunk of
/// more than 8 MiB, which it does not bound, becomes several. Every chunk is one frame; headers and padding are in
/// frames of their own, and so is the end of the tar. The TOC names its entries in the order of the tar, with times in
/// UTC. A tar that a partial pull could not put together again is refused ([`KeptTarFault`](crate::KeptTarFault)).
///
/// The bytes depend on source and options alone, not on the number of threads or the time zone. `progress` counts the
/// bytes of the content.
///
/// Memory: some 24 MiB of content under way, plain and compressed; the compressed TOC and tar-split; 32 bytes for each
/// name.
///
/// ```
/// use blob_io::WriterOutput;
/// use lazyoci_image_convert::{Streaming, ZstdChunkedOptions, to_zstd_chunked};
///
/// let empty_layer = [0; 1024];
/// let mut layer = Vec::new();
/// let source = Streaming::new(&empty_layer[..]);
/// let mut output = WriterOutput::new(&mut layer);
/// let report = to_zstd_chunked(source, &mut output, &ZstdChunkedOptions::default(), &mut ())?;
/// assert_eq!(report.blob.len, layer.len() as u64);
/// assert_eq!(report.diff_id, verify::sha256(&empty_layer));
/// # Ok::<(), lazyoci_image_convert::ConvertError>(())
/// ```
///
/// # Errors
/// [`ConvertError`].
pub fn to_zstd_chunked<'a>(
    source: impl Into<Source<'a>>,
    output: &mut dyn Output,
    options: &ZstdChunkedOptions,
    progress: &mut dyn Progress,
) -> Result<ZstdChunkedReport, ConvertError> {
    options.check()?;
    let source = source.into();
    if options.dialect == ZstdChunkedDialect::Stargz {
        let written = write_estargz(
            source,
            output,
            &options.estargz(),
            Ending::ZstdChunked,
            progress,
        )?;
        return Ok(written.into_zstd_chunked());
    }
    let kept = KeptFrames::of(&source, options.compression, true);
    let kept = kept.as_ref();
    let Source { kind, limits, .. } = source;
    let layer = match kind {
        Kind::Streaming(layer) => Ok(layer),
        kind => kept.and_then(KeptFrames::tar).ok_or(kind),
    };
    let kind = match layer {
        Ok(layer) => {
            let layer = layer.limits(limits);
            return containers::convert((layer, kept), output, options, progress);
        }
        Err(kind) => kind,
    };
    let directory = std::env::temp_dir();
    let mut file =
        tempfile::tempfile().map_err(|source| ConvertError::Spool { directory, source })?;
    let tar = TarOptions::default()
        .lossy(options.lossy)
        .threads(options.threads);
    let image = Source::new(kind).with_limits(limits.clone());
    let written = to_tar(image, &mut WriterOutput::new(&mut file), &tar, progress)?;
    file.seek(SeekFrom::Start(0))?;
    let layer = Streaming::new(file).limits(limits);
    let mut done = containers::convert((layer, kept), output, options, progress)?;
    done.report.inodes = written.report.inodes;
    done.report.losses = written.report.losses;
    done.report.losses_untold = written.report.losses_untold;
    done.report.advisories = written.report.advisories;
    Ok(done)
}

/// Writes a skippable frame with `stored` at byte `offset` of the blob; says where its content is.
pub(crate) fn skippable_piece(
    layer: &mut LayerWriter<'_>,
    offset: u64,
    stored: &[u8],
    len: u64,
) -> Result<StoredPiece, ConvertError> {
    // Bounded: readers accept far less.
    let stored_len = stored.len() as u32;
    layer.write(&[], &skippable::header(stored_len))?;
    layer.write(&[], stored)?;
    Ok(StoredPiece::new(
        offset + skippable::HEADER_LEN as u64,
        stored_len.into(),
        len,
    ))
}
