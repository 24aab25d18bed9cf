//! Cutting content into chunks, and finding chunks that are already stored.
//!
//! | module | holds |
//! |---|---|
//! | [`chunker`] | where to cut a file's content, however it arrives |
//! | [`rollsum`] | where containers/storage cuts files: a rolling checksum, and holes |
//! | [`dictionary`] | chunks that are already stored, by digest and length |
//! | [`table`] | finding a chunk by digest: one lookup for each chunk of a conversion |
//! The crate knows digests and lengths, but no codecs, blobs or paths.
//!
//! ```
//! use std::num::NonZeroU32;
//! use lazyoci_chunk_dedup::{Chunker, FixedSize};
//!
//! let mut chunker = FixedSize::new(NonZeroU32::new(4).expect("not 0"));
//! assert_eq!(chunker.feed(b"abc"), None);
//! assert_eq!(chunker.feed(b"defgh"), Some(1)); // "abc" + "d"
//! assert_eq!(chunker.feed(b"efgh"), Some(4));
//! ```
#![forbid(unsafe_code)]

pub mod chunker;
pub mod dictionary;
pub mod rollsum;
pub mod table;
mod zeros;

pub use chunker::{Chunker, FixedSize};
pub use dictionary::{ChunkList, Dictionary};
pub use table::ChunkTable;
pub use zeros::is_zero;

// Crates whose types stand in signatures here.
pub use image_model as model;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
