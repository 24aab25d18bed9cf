//! Random access to gzip streams as they are. An index says where a stream can be entered, which bytes before that
//! place are referred to, and the digest of each span up to the next one. So any part can be read without what is before
//! it, and spans can be decoded by several threads.
//!
//! | type | is |
//! |---|---|
//! | [`IndexBuilder`] | reads a stream of any number of members once, and builds its index on the way |
//! | [`GzipIndex`] | the index: [spans](Span), how each is decoded, and parts of the stream that are kept in it; [`dump`](GzipIndex::dump) prints it |
//! | [`CheckpointBuilder`] | finds places with full windows, which formats of others have: no index of its own |
//! | [`KeptReader`] | those parts, such as the headers of a tar |
//!
//! Spans begin where members do, or at boundaries of deflate blocks. [`GzipIndex::recipe`] says how one is decoded, by
//! [`frame_codec::Decoder`]. Of the 32 KiB before a span the index holds those bytes that the span refers to.
#![forbid(unsafe_code)]

mod builder;
mod checkpoints;
mod error;
pub mod format;
mod frame;
mod header;
mod index;
mod kept;
mod span;
mod varint;
mod windows;

pub use builder::{IndexBuilder, IndexOptions};
pub use checkpoints::{Checkpoint, CheckpointBuilder, CheckpointOptions, Checkpoints};
pub use error::{BuildError, Corruption, DecodeError, SpanFault};
pub use header::member_header_len;
pub use index::GzipIndex;
pub use kept::{KeptReader, NotKept};
pub use span::Span;

// Crates whose types stand in signatures here.
pub use bytes;
pub use frame_codec;
pub use image_model as model;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
