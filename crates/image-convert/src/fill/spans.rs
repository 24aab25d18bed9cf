//! The content of files, by the places of their data regions in a tar.

use image_model::tree::Span;
use tar_stream::TarReader;

use crate::ConvertError;
use crate::stage::{Stage, Target};

/// Has a file of `size` bytes stored, whose data regions come out of `reader`, straight into the batch.
pub(super) fn store_spans<R: std::io::Read, T: Target>(
    spans: &[Span],
    size: u64,
    reader: &mut TarReader<R>,
    stage: &mut Stage<'_, '_, T>,
) -> Result<(), ConvertError> {
    let mut at = 0;
    for span in spans {
        stage.fill_zeros(span.file_offset - at)?;
        stage.fill(span.len, &mut |place| Ok(reader.read_payload_exact(place)?))?;
        at = span.file_offset + span.len;
    }
    stage.fill_zeros(size.saturating_sub(at))
}

/// Has a file of `size` bytes stored, whose data regions workers fetch from the origin.
pub(super) fn fetch_spans<T: Target>(
    spans: &[Span],
    size: u64,
    stage: &mut Stage<'_, '_, T>,
) -> Result<(), ConvertError> {
    let mut at = 0;
    for span in spans {
        stage.fill_zeros(span.file_offset - at)?;
        stage.fetch(span.len, span.source_offset)?;
        at = span.file_offset + span.len;
    }
    stage.fill_zeros(size.saturating_sub(at))
}
