//! Parts of an index that are one zstd frame.

use std::io::{self, Read as _};

use bytes::Bytes;
use image_model::width::u64_from;
use zstd::stream::{read::Decoder, write::Encoder};

/// Level of zstd for windows and ranges: beyond it they become a hundredth shorter, and take several times as long.
const LEVEL: i32 = 6;

/// Largest window of zstd to decompress with, as a power of two: 8 MiB. Those that are written have half of that.
pub(crate) const MAX_WINDOW_LOG: u32 = 23;

/// Writes a frame to memory.
pub(crate) fn encoder() -> io::Result<Encoder<'static, Vec<u8>>> {
    Encoder::new(Vec::new(), LEVEL)
}

/// The frame of `bytes`.
pub(crate) fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    zstd::encode_all(bytes, LEVEL)
}

/// Exactly `expected` bytes, out of one frame that is all of `stored`.
pub(crate) fn decompress(stored: &[u8], expected: u64) -> Option<Bytes> {
    let mut decoder = Decoder::with_buffer(stored).ok()?.single_frame();
    decoder.window_log_max(MAX_WINDOW_LOG).ok()?;
    let mut out = Vec::new();
    let most = expected.saturating_add(1);
    decoder.by_ref().take(most).read_to_end(&mut out).ok()?;
    (u64_from(out.len()) == expected && decoder.finish().is_empty()).then(|| out.into())
}
