//! The tar in a gzip layer, and where the layer can be entered.

use std::io::{self, Read};

use gzip_index::{BuildError, IndexBuilder, IndexOptions};
use image_model::Limits;
use rafs_format::blob::MAX_CONTEXT_LEN;
use tar_stream::TarError;

use super::ZranOptions;
use super::reference_layer::{TarOfLayer, Tee};
use super::zran_entries::{Checkpoint, Entries};
use crate::ConvertError;
use crate::object::DigestedObject;

/// The tar in a gzip layer.
pub(super) struct GzipTar<'o, R> {
    builder: IndexBuilder<Tee<'o, R>>,
    checkpoints: Vec<Checkpoint>,
}

impl<'o, R: Read> GzipTar<'o, R> {
    /// That of `layer`, by the rules of `lenient` and the limits.
    pub(super) fn new(
        layer: Tee<'o, R>,
        (lenient, limits): (bool, &Limits),
        options: &ZranOptions,
    ) -> Self {
        let (max_stored, max_decoded) = options.spans();
        let max_frame_len = limits.max_frame_len.min(MAX_CONTEXT_LEN);
        let index_options = IndexOptions::default()
            .max_stored_span(max_stored)
            .max_decoded_span(max_decoded)
            .ignore_trailing(lenient)
            .stored_digest(false)
            .threads(options.threads)
            .limits(limits.clone().max_frame_len(max_frame_len));
        Self {
            builder: IndexBuilder::new(layer, &index_options),
            checkpoints: Vec::new(),
        }
    }
}

impl<R: Read> Read for GzipTar<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.builder.read(buf)?;
        let (stored, decoded) = self.builder.reached();
        let last = self.checkpoints.last();
        if last.is_none_or(|last| last.decoded != decoded) {
            self.checkpoints.push(Checkpoint { decoded, stored });
        }
        Ok(len)
    }
}

impl<'o, R: Read> TarOfLayer<'o> for GzipTar<'o, R> {
    type Known = Entries;

    fn finish(self) -> Result<(DigestedObject<'o>, Entries), ConvertError> {
        let Self {
            mut builder,
            mut checkpoints,
        } = self;
        let mut rest = vec![0; 256 << 10];
        while builder.read(&mut rest).map_err(of_stream)? > 0 {}
        let (stored, decoded) = builder.reached();
        checkpoints.push(Checkpoint { decoded, stored });
        let shared_bytes = builder.shared_bytes().to_vec();
        let (index, layer) = builder.finish()?;
        let entries = Entries {
            index,
            shared_bytes,
            checkpoints,
        };
        Ok((layer.object, entries))
    }

    fn of_layer(error: ConvertError) -> ConvertError {
        match error {
            ConvertError::Tar(TarError::Io { offset, source }) => {
                match source.downcast::<BuildError>() {
                    Ok(error) => error.into(),
                    Err(source) => TarError::Io { offset, source }.into(),
                }
            }
            error => error,
        }
    }
}

fn of_stream(error: io::Error) -> BuildError {
    let error = error.downcast::<BuildError>();
    error.unwrap_or_else(BuildError::from)
}
