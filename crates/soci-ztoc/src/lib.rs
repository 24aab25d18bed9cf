//! zTOCs of the SOCI snapshotter: what lies beside an untouched layer, so that it can be read lazily. A zTOC lists the
//! files of the layer, and says where its decompression can begin.
//!
//! | type | is |
//! |---|---|
//! | [`Ztoc`] | a zTOC, decoded and encoded; [`dump`](Ztoc::dump) prints one |
//! | [`FileMetadata`] | a file of the layer: what its tar headers say, and where its payload is |
//! | [`Zinfo`] | the spans: [`GzipZinfo`] of a gzip layer, with the window of each; [`TarZinfo`] of a plain tar |
//! | [`Span`] | one span: where it is on either side, and the digest of its stored bytes |
//!
//! Bytes come out as `soci` 0.4.1 writes them. What is decoded was checked, but not compared with a layer.
#![forbid(unsafe_code)]

mod budget;
mod checkpoints;
mod dump;
mod error;
mod file;
mod flatbuffer;
mod tar_zinfo;
mod time;
mod write;
mod ztoc;

pub use checkpoints::{Checkpoint, GzipZinfo, WINDOW_LEN};
pub use error::{CheckpointFault, FileFault, TooLong, ZtocError};
pub use file::{FileMetadata, FileType, PaxRecord};
pub use flatbuffer::Malformed;
pub use tar_zinfo::TarZinfo;
pub use ztoc::{Span, Zinfo, Ztoc};

// Crates whose types stand in signatures here.
pub use bytes;
pub use image_model as model;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
