//! Layers of gzip members.

use std::io::{self, Read};

use flate2::bufread::MultiGzDecoder;

use super::{Compression, LayerError, source::Source};

#[derive(Debug)]
pub(crate) struct Gzip<R: Read>(MultiGzDecoder<Source<R>>);

impl<R: Read> Gzip<R> {
    pub(crate) fn new(source: Source<R>) -> Self {
        Self(MultiGzDecoder::new(source))
    }

    pub(crate) fn source(&self) -> &Source<R> {
        self.0.get_ref()
    }

    /// Decodes into `buf`; `decoded` bytes came before.
    pub(crate) fn read(&mut self, buf: &mut [u8], decoded: u64) -> io::Result<usize> {
        self.0.read(buf).map_err(|source| {
            let (compression, stored) = (Compression::Gzip, self.source().position());
            if self.source().has_failed() {
                return source;
            }
            let error = match source.kind() {
                io::ErrorKind::UnexpectedEof => LayerError::Cut {
                    compression,
                    stored,
                    decoded,
                },
                _ => LayerError::Corrupt {
                    compression,
                    stored,
                    decoded,
                    source,
                },
            };
            error.into()
        })
    }
}
