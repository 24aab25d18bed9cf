//! OCI layer tars, lossless: members to entries and back, over plain, gzip and zstd streams.
//!
//! | module | holds |
//! |---|---|
//! | [`layer`] | [`LayerStream`]: the tar bytes of a layer of any compression; [`LayerDecoder`]: the same without I/O |
//! | [`read`] | [`TarReader`]: the members of a tar in one pass; the caller reads payloads |
//! | [`entry`] | [`Entry`]: one member, its raw header bytes and what they mean |
//! | [`member`] | [`Member`]: what an entry does to a file tree |
//! | [`mod@write`] | [`TarWriter`]: entries back to the same bytes, or new members from the model |
//! | [`block`], [`pax`], [`sparse`] | the structures of a tar, one each |
//! | [`error`] | [`TarError`]: what is wrong and at which byte; [`Refusal`]: what strict reading refuses |
//! # Strict and lenient
//! Tar readers disagree: what one of them skips, another unpacks. The default is *strict*: anything that GNU tar,
//! bsdtar and Go's `archive/tar` (and with it containerd, podman, Docker, the stargz tools) read differently is refused
//! with a [`Refusal`], which names them, and its offset. Oddities that they read alike are accepted, and noted in
//! [`Entry::oddities`]. [`TarReadOptions::lenient`] follows Go 1.25 instead. The parser is our own state machine over
//! the field layout of `tar-core`; [`read`] says why.
//!
//! # Lossless
//! A tar is split into segments: the raw bytes before each payload ([`Entry::raw`]), the payloads,
//! and the trailer. Concatenated they are the tar again, so that converting a layer to entries and
//! back preserves its digest.
//!
//! ```
//! use image_model::{Metadata, Node, ImagePath};
//! use lazyoci_tar_stream::{TarReadOptions, TarReader, TarWriter};
//! use std::io::Write;
//!
//! let mut tar = TarWriter::new(Vec::new());
//! let file = Node::File { size: 5, content: () };
//! tar.append(&ImagePath::clean(b"etc/motd")?, &Metadata::default(), &file)?;
//! tar.write_all(b"hello")?;
//! let bytes = tar.finish()?;
//!
//! let mut reader = TarReader::open_layer(&bytes[..], TarReadOptions::default())?;
//! while let Some(entry) = reader.next_entry()? {
//!     assert_eq!(entry.path, b"etc/motd");
//!     let mut content = vec![0; entry.payload_len as usize];
//!     reader.read_payload_exact(&mut content)?;
//!     assert_eq!(content, b"hello");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(clippy::arithmetic_side_effects, clippy::as_conversions)
)]

#[cfg(feature = "tar")]
pub mod block;
#[cfg(feature = "tar")]
pub mod entry;
#[cfg(feature = "tar")]
pub mod error;
pub mod layer;
#[cfg(feature = "tar")]
pub mod member;
#[cfg(feature = "tar")]
pub mod pax;
#[cfg(feature = "tar")]
pub mod read;
#[cfg(feature = "tar")]
pub mod sparse;
#[cfg(feature = "tar")]
pub mod write;

#[cfg(feature = "tar")]
pub use entry::{Entry, EntryKind};
#[cfg(feature = "tar")]
pub use error::{Refusal, TarError};
pub use layer::{
    Compression, Corruption, LayerDecoder, LayerError, LayerStream, LayerSummary, Side, Step,
    StreamOptions, ZstdDecoder,
};
#[cfg(feature = "tar")]
pub use member::{Member, MemberError, MemberFault};
#[cfg(feature = "tar")]
pub use read::{TarReadOptions, TarReader};
#[cfg(feature = "tar")]
pub use write::{TarWriter, WriteError};

// Crates whose types stand in signatures here.
pub use image_model as model;
#[cfg(feature = "tokio")]
pub use tokio;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
