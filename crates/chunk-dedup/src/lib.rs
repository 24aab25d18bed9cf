//! Cutting content into chunks, and finding chunks that are already stored.
//!
//! | module | holds |
//! |---|---|
//! | [`chunker`] | where to cut a file's content, however it arrives |
//! | [`rollsum`] | where containers/storage cuts files: a rolling checksum, and holes |
//! | [`content_defined`] | where the content says to cut |
//! | [`dictionary`] | chunks that are already stored, by digest and length |
//! | [`disk`] | the same as a file: of more chunks than fit in memory, built, merged and queried |
//! | [`image`] | an image of any format as a dictionary |
//! | [`placement`] | where a chunk is stored |
//! | [`policy`] | which stored chunks an image may refer to |
//! | [`table`] | finding a chunk by digest: one lookup for each chunk of a conversion |
//! The crate knows digests, lengths and the names of blobs, but no codecs, no bytes of blobs, and no paths. It does no I/O:
//! files are bytes, readers and writers of the caller.
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
pub mod content_defined;
pub mod dictionary;
pub mod disk;
pub mod error;
pub mod image;
pub mod placement;
pub mod policy;
pub mod rollsum;
pub mod table;
mod zeros;

pub use chunker::{Chunker, FixedSize};
pub use content_defined::{ChunkSizesError, FastCdc};
pub use dictionary::{ChunkList, Dictionary, Key, PlacedDictionary, Refusal};
pub use disk::{BuildOptions, DictionaryBuilder, DictionaryFile, Summary, is_dictionary, merge};
pub use error::DictionaryError;
pub use image::ImageDictionary;
pub use placement::{BlobRecord, Entry, Placement, recipe_number, recipes};
pub use policy::{BlobUse, Policy};
pub use table::ChunkTable;
pub use zeros::is_zero;

// Crates whose types stand in signatures here.
pub use image_model as model;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
