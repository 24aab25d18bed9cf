//! The same tar, compressed otherwise.

use std::io::Write;

use image_model::Progress;
use tar_stream::{LayerStream, TarReader, TarWriter};

use super::TarOptions;
use super::compress::compress;
use crate::report::Report;
use crate::{ConvertError, Streaming};

const BUFFER_LEN: usize = 128 << 10;

/// Writes the tar of `layer` to `out`, byte for byte, compressed as `options` say: the layer keeps
/// its DiffID. The tar is read member by member on the way, so that one that is cut or that readers
/// disagree on is refused ([`Streaming::lenient`] accepts the latter).
///
/// ```
/// use frame_codec::Compression;
/// use lazyoci_image_convert::{Streaming, TarOptions, recompress};
/// let empty_layer = [0; 10_240];
/// let mut out = Vec::new();
/// recompress(Streaming::new(&empty_layer[..]), &mut out, &TarOptions::default(), &mut ())?;
/// assert_eq!(out, empty_layer);
/// # Ok::<(), lazyoci_image_convert::ConvertError>(())
/// ```
///
/// # Errors
/// [`ConvertError`]; `out` has got a part of the tar then.
pub fn recompress(
    layer: Streaming<'_>,
    out: &mut dyn Write,
    options: &TarOptions,
    progress: &mut dyn Progress,
) -> Result<Report, ConvertError> {
    options.check()?;
    let mut report = Report::default();
    report.bytes_out = compress(out, options.compression, options.threads, |out| {
        let stream = LayerStream::open(layer.layer, &layer.limits)?;
        let reader_options = tar_stream::Options {
            lenient: layer.lenient,
            limits: layer.limits,
        };
        let mut reader = TarReader::new(stream, reader_options);
        let mut writer = TarWriter::new(out);
        let mut buffer = vec![0; BUFFER_LEN];
        while let Some(entry) = reader.next_entry()? {
            report.inodes += 1;
            report.content_bytes += entry.payload_len;
            writer.append_raw(entry.raw(), entry.payload_len)?;
            loop {
                progress.advance(reader.position(), None)?;
                match reader.read_payload(&mut buffer)? {
                    0 => break,
                    len => writer.write_all(&buffer[..len])?,
                }
            }
        }
        if let Some(mut trailer) = reader.trailer() {
            writer.finish_raw(&mut trailer)?;
        }
        reader.finish()?;
        Ok(())
    })?;
    Ok(report)
}
