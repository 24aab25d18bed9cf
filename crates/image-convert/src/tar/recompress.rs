//! The same tar, compressed otherwise.

use std::io::{self, Write};

use blob_io::Output;
use image_model::{ImagePath, Progress};
use tar_stream::{TarReader, TarWriter, WriteError};

use super::stream::{self, failure};
use super::{TarOptions, TarReport};
use crate::{ConvertError, Streaming};

const BUFFER_LEN: usize = 128 << 10;

/// Writes the tar of `layer` to `output`, byte for byte, compressed as `options` say: the layer keeps
/// its DiffID. The tar is read member by member on the way, so that one that is cut or that readers
/// disagree on is refused ([`Streaming::lenient`] accepts the latter).
///
/// ```
/// use blob_io::WriterOutput;
/// use lazyoci_image_convert::{Streaming, TarOptions, recompress};
/// let empty_layer = [0; 10_240];
/// let mut out = Vec::new();
/// let layer = Streaming::new(&empty_layer[..]);
/// recompress(layer, &mut WriterOutput::new(&mut out), &TarOptions::default(), &mut ())?;
/// assert_eq!(out, empty_layer);
/// # Ok::<(), lazyoci_image_convert::ConvertError>(())
/// ```
///
/// # Errors
/// [`ConvertError`].
pub fn recompress(
    layer: Streaming<'_>,
    output: &mut dyn Output,
    options: &TarOptions,
    progress: &mut dyn Progress,
) -> Result<TarReport, ConvertError> {
    options.check()?;
    let limits = layer.limits;
    stream::write(output, options, progress, |out, report| {
        let reader_options = tar_stream::TarReadOptions::default()
            .lenient(layer.lenient)
            .limits(limits);
        let mut reader = TarReader::open_layer(layer.layer, reader_options)?;
        let mut writer = TarWriter::new(out);
        let mut buffer = vec![0; BUFFER_LEN];
        let written = |error: io::Error| failure(WriteError::Io(error));
        while let Some(entry) = reader.next_entry()? {
            report.inodes += 1;
            let path = ImagePath::clean(&entry.path).ok();
            let oddities = entry.oddities.iter().cloned();
            report.advisories.add_all(path.as_ref(), oddities);
            report.content_bytes += entry.payload_len;
            let raw = entry.raw();
            writer.append_raw(raw, entry.payload_len).map_err(failure)?;
            loop {
                let len = reader.read_payload(&mut buffer)?;
                if len == 0 {
                    break;
                }
                writer.write_all(&buffer[..len]).map_err(written)?;
            }
        }
        if let Some(mut trailer) = reader.trailer() {
            writer.finish_raw(&mut trailer).map_err(failure)?;
        }
        let oddities = reader.oddities().iter().cloned();
        report.advisories.add_all(None, oddities);
        reader.finish()?;
        Ok(())
    })
}
