//! Whole container images into other formats.
//!
//! | module | holds |
//! |---|---|
//! | [`options`] | [`ImageFormat`], what to make; how |
//! | [`mod@transcode`] | [`transcode`](transcode()), images out of images |
//! | [`before`] | [`made_before`], which finds what need not be done again |
//! | [`known`] | [`KnownImages`], whose chunks are not stored again |
//! | [`report`] | what became of it |
//! | [`error`] | why it could not be done |
//!
//! Each layer streams from where it is to where it is to be: no layer is held in memory, and on disk, in
//! the directory for temporary files, are a layer that an eStargz layer is made of, the bootstrap of a
//! nydus image that is made, and the layer that holds that of one that is read. Content comes from the source only with the digest that it should have.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use lazyoci_image_transcode::store::{ImageStore, Layout, LayoutWriter, resolve_all};
//! use lazyoci_image_transcode::{ImageFormat, TranscodeOptions, transcode};
//!
//! let store: Arc<dyn ImageStore> = Arc::new(Layout::open("images")?);
//! let images = resolve_all(&*store, Some("v1"))?;
//! let target = LayoutWriter::open("lazy-images")?;
//! let options = TranscodeOptions::new(ImageFormat::Nydus(Default::default()));
//! let done = transcode(&images, &store, &target, Some("v1"), &options, &mut ())?;
//! println!("{} for {} platforms", done.published.digest, done.images.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod before;
pub mod error;
pub mod known;
mod layers;
mod nydus;
pub mod options;
mod output;
mod publication;
pub mod report;
pub mod transcode;

pub use before::made_before;
pub use error::TranscodeError;
pub use known::KnownImages;
pub use options::{ImageFormat, TranscodeOptions};
pub use report::{TranscodeReport, Transcoded, TranscodedLayer};
pub use transcode::transcode;

// Crates whose types stand in signatures here.
pub use image_convert as convert;
pub use image_model as model;
pub use image_read as read;
pub use image_store as store;
pub use oci_image;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
