//! A stream into a temporary file.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;

use blob_io::LocalFile;
use image_model::Limits;
use image_read::{LayerImage, LayerImageError, LayerImageOptions};
use tar_stream::{LayerError, LayerStream};

use super::Streaming;
use crate::ConvertError;

/// Bytes that are decoded at once.
const PIECE_LEN: usize = 256 << 10;

/// Decodes all of `source` into an unnamed temporary file, and makes an image of it.
pub(super) fn spool(source: Streaming<'_>, limits: &Limits) -> Result<LayerImage, ConvertError> {
    let Streaming { layer, lenient } = source;
    let file = tempfile::tempfile().map_err(LayerImageError::Spool)?;
    copy(LayerStream::open(layer, limits)?, &file)?;
    let options = LayerImageOptions {
        lenient,
        limits: limits.clone(),
        ..LayerImageOptions::default()
    };
    Ok(LayerImage::open(Arc::new(LocalFile::from(file)), &options)?)
}

fn copy(mut stream: LayerStream<impl Read>, mut file: &File) -> Result<(), ConvertError> {
    let mut piece = vec![0; PIECE_LEN];
    loop {
        let read = stream.read(&mut piece).map_err(|error| {
            error
                .downcast::<LayerError>()
                .unwrap_or_else(|source| LayerError::Io { source })
        })?;
        if read == 0 {
            return Ok(());
        }
        let written = file.write_all(&piece[..read]);
        written.map_err(LayerImageError::Spool)?;
    }
}
