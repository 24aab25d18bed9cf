//! Image conversions between layouts.
#![cfg(all(feature = "gzip", feature = "zstd", feature = "blake3"))]
#![allow(clippy::unwrap_used, reason = "a test that unwraps has failed")]

mod images;
#[cfg(feature = "gzip-index")]
mod kept;
mod known;
mod platforms;
mod support;
mod toc_image;
mod work;
