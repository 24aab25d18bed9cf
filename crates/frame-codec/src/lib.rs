//! Compression of frames: none, LZ4 block, zstd and gzip. An [`Encoder`] and a [`Decoder`] own the
//! contexts of their codec and should be kept: one per thread, for frame after frame. Their output
//! depends only on the frame, not on earlier ones. Neither knows blobs, images or files. Decoding
//! fills a buffer sized by the caller: no allocation depends on what the input declares, and a
//! frame that holds more or less than the caller expects is corrupt.
//!
//! ```
//! # #[cfg(feature = "zstd")] {
//! use lazyoci_frame_codec::{Compression, Decoder, Encoder};
//! use image_model::Codec;
//!
//! let plain = b"lazy ".repeat(100);
//! let mut stored = Vec::new();
//! let codec = Encoder::new(Compression::Zstd { level: 3 })?.encode(&plain, &mut stored)?;
//! assert_eq!(codec, Codec::Zstd);
//!
//! let mut decoded = vec![0; plain.len()];
//! Decoder::new().decode(codec, &stored, &mut decoded)?;
//! assert_eq!(decoded, plain);
//! # }
//! # Ok::<(), lazyoci_frame_codec::CodecError>(())
//! ```
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `lz4` | LZ4 blocks, in Rust |
//! | `zstd` | zstd frames, by the C library |
//! | `gzip` | gzip members, in Rust |
//! | `encryption` | frames encrypted by AES-128-XTS, as nydus does it: [`xts`], in Rust |
//! | `libdeflate` | [`Compression::Libdeflate`], gzip members written by the C library; reading does not change |
//! All types exist without any feature; missing codecs return [`CodecError::Unsupported`].
#![forbid(unsafe_code)]

mod compression;
mod decoder;
mod encoder;
mod error;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
mod writer;
#[cfg(feature = "encryption")]
pub mod xts;
#[cfg(feature = "zstd")]
mod zstd;

pub use compression::{Compression, ParseCompressionError};
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use error::CodecError;
pub use writer::FrameWriter;

// Crates whose types stand in signatures here.
pub use image_model as model;

/// Compiles the example of the README.
#[cfg(all(doctest, feature = "zstd"))]
#[doc = include_str!("../README.md")]
struct Readme;
