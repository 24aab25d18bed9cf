//! Opening EROFS images.

use std::sync::{Arc, Mutex, PoisonError};

use blob_io::{Counted, ReadAt, ReadStats};
use bytes::Bytes;
use erofs_format::{ErofsImage, MetadataBytes, ReadFault};

use super::error::OpenError;
use super::options::OpenOptions;

/// Bytes that are read at once, from a multiple of as many on.
const WINDOW: u64 = 64 << 10;
/// Windows that are kept, at most.
const WINDOWS: usize = 128;

/// Opens the image that is all of `source`; returns what was read for that, too.
pub(super) fn open(
    source: &Arc<dyn ReadAt>,
    options: &OpenOptions,
) -> Result<(ErofsImage, ReadStats), OpenError> {
    let windows = Arc::new(Windows {
        source: Counted::new(Arc::clone(source)),
        len: source.len()?,
        kept: Mutex::new(vec![None; WINDOWS]),
    });
    let image = ErofsImage::open(Metadata(Arc::clone(&windows)), &options.limits)?;
    Ok((image, windows.source.stats()))
}

/// The metadata of an image, which lie anywhere in its file: windows of it, as many as are kept.
struct Metadata(Arc<Windows>);

struct Windows {
    source: Counted<Arc<dyn ReadAt>>,
    len: u64,
    /// Window n at n modulo their number, with its n.
    kept: Mutex<Vec<Option<(u64, Bytes)>>>,
}

impl Windows {
    /// Window number `window`, which the file has.
    fn window(&self, window: u64) -> Result<Bytes, blob_io::ReadError> {
        // Less than their number.
        let slot = (window % WINDOWS as u64) as usize;
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((number, bytes)) = &kept()[slot]
            && *number == window
        {
            return Ok(bytes.clone());
        }
        let offset = window * WINDOW;
        // At most a window.
        let len = WINDOW.min(self.len.saturating_sub(offset)) as usize;
        let bytes = self.source.read_bytes(offset, len)?;
        kept()[slot] = Some((window, bytes.clone()));
        Ok(bytes)
    }

    fn bytes(&self, offset: u64, len: usize) -> Result<Bytes, blob_io::ReadError> {
        if let Some(bytes) = self.source.in_memory(offset, len)? {
            return Ok(bytes);
        }
        if len as u64 > WINDOW {
            return self.source.read_bytes(offset, len);
        }
        let end = offset + len as u64;
        let mut gathered = Bytes::new();
        let mut at = offset;
        while at < end {
            let window = self.window(at / WINDOW)?;
            // Positions in a window.
            let from = (at % WINDOW) as usize;
            let to = window.len().min(from + (end - at) as usize);
            if to <= from {
                break;
            }
            let piece = window.slice(from..to);
            at += piece.len() as u64;
            gathered = match gathered.is_empty() {
                true => piece,
                false => [gathered, piece].concat().into(),
            };
        }
        Ok(gathered)
    }
}

impl MetadataBytes for Metadata {
    fn len(&self) -> Result<u64, ReadFault> {
        Ok(self.0.len)
    }

    fn bytes(&self, offset: u64, len: usize) -> Result<Bytes, ReadFault> {
        self.0.bytes(offset, len).map_err(ReadFault::new)
    }
}
