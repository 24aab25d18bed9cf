//! Ranged reads of blobs, and writes that leave complete files or none.
//!
//! The format crates do no I/O: they state which bytes of a blob they need. This crate reads those bytes
//! without interpreting them.
//!
//! | reading | |
//! |---|---|
//! | [`ReadAt`] | a blob that can be read at any offset: memory, [`LocalFile`], `Mapped` (feature `mmap`) |
//! | [`Checked`] | a third-party blob whose reads are length-checked |
//! | [`Section`] | part of a blob, such as a file in an archive |
//! | [`Sequential`] | a blob as a stream |
//! | [`Counted`] | a blob that counts requests and bytes |
//! | `registry` | a client of OCI registries (feature `registry`) |
//!
//! | writing | |
//! |---|---|
//! | [`Output`], [`ObjectWriter`] | destinations of output: [`DirectoryOutput`], [`FileOutput`], [`MemoryOutput`], [`WriterOutput`], or your own |
//! | [`AtomicFile`], [`AtomicDir`] | files and directories that appear whole or not at all |
//! | [`DigestWriter`] | SHA-256 and length of output |
//!
//! ```
//! use lazyoci_blob_io::{Counted, ReadAt};
//!
//! let blob = Counted::new(bytes::Bytes::from_static(b"header, frames, trailer"));
//! let mut frames = [0; 6];
//! blob.read_at(8, &mut frames)?;
//! assert_eq!(&frames, b"frames");
//! assert_eq!(blob.stats().bytes, 6);
//! # Ok::<(), lazyoci_blob_io::ReadError>(())
//! ```
//!
//! `Bytes` of the crate bytes is part of the public interface.
#![cfg_attr(not(feature = "mmap"), forbid(unsafe_code))]

mod atomic;
mod checked;
mod counted;
mod digest_writer;
mod file;
#[cfg(feature = "mmap")]
mod mapped;
mod output;
mod read;
#[cfg(feature = "registry")]
pub mod registry;
mod section;
mod sequential;

pub use atomic::{AtomicDir, AtomicFile, WriteError};
pub use checked::Checked;
pub use counted::{Counted, ReadStats};
pub use digest_writer::{DigestWriter, Written};
pub use file::LocalFile;
#[cfg(feature = "mmap")]
pub use mapped::Mapped;
pub use output::{
    DirectoryOutput, FileOutput, MemoryOutput, ObjectRole, ObjectWriter, Output, SingleOutput,
    StoredObject, WriterOutput,
};
pub use read::{ReadAt, ReadError};
pub use section::Section;
pub use sequential::Sequential;

// Crates whose types appear in public signatures.
pub use bytes;
pub use image_model as model;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
