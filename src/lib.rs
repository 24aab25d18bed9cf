//! Encode, decode, verify and convert lazily-loadable container images.
//!
//! This facade re-exports the crates of the workspace as modules; a tool that needs less depends on
//! the crate that it needs. Every format is read through one narrow trait, [`model::Image`].
//!
//! # A tour in five lines each
//!
//! Make an image out of a directory, open it again, read a file lazily and verified:
//!
//! ```
//! # #[cfg(feature = "convert")] {
//! use lazyoci::convert::{RafsOptions, Seekable, to_rafs_v6};
//! use lazyoci::read::open;
//! # let dir = tempfile::tempdir()?;
//! # let (source, output) = (dir.path().join("source"), dir.path().join("image"));
//! # std::fs::create_dir(&source)?;
//! # std::fs::write(source.join("motd"), "hello")?;
//!
//! let source = open(&source, &Default::default())?;
//! to_rafs_v6(Seekable::opened(&source)?, &output, &RafsOptions::default(), &mut ())?;
//! let image = open(&output.join("image.boot"), &Default::default())?;
//! assert_eq!(image.read(b"/motd", 1 << 20)?, b"hello");
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Whatever holds a tree, its digest is the same:
//!
//! ```
//! use lazyoci::{read::open, verify};
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path();
//! # std::fs::write(path.join("motd"), "hello")?;
//! let image = open(path, &Default::default())?;
//! let profile = verify::Profile::Content;
//! let digest = verify::tree_digest(image.image(), &mut image.frames(), profile, &mut ())?;
//! assert!(digest.to_string().starts_with("tree1:"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A tool that reads metadata only needs no file at all: formats are bytes in, values out.
//!
//! ```
//! use lazyoci::{model::Limits, rafs_format::v6::Bootstrap};
//! let truncated = bytes::Bytes::from_static(&[0; 4096]);
//! let error = Bootstrap::open(truncated, &Limits::default()).unwrap_err();
//! println!("{error}");
//! ```
#![forbid(unsafe_code)]

pub use blob_io;
pub use chunk_dedup;
pub use estargz_toc;
pub use frame_codec;
#[cfg(feature = "convert")]
pub use image_convert as convert;
pub use image_model as model;
pub use image_read as read;
pub use oci_image;
pub use rafs_format;
pub use tar_stream;
pub use verify;

/// Compiles the snippets of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
