//! Conversions of whole container images.
//!
//! | module | holds |
//! |---|---|
//! | [`options`] | [`ImageFormat`] and the other options |
//! | [`mod@transcode`] | [`transcode`](transcode()), which converts images |
//! | [`before`] | [`made_before`], which recognises earlier conversions |
//! | [`known`] | [`KnownImages`], whose chunks are not stored again |
//! | [`report`] | results |
//! | [`error`] | errors |
//!
//! Each layer is streamed from the source to the target: no layer is held in memory. Temporary files hold only the
//! source layer of an eStargz layer, the bootstrap of a nydus image that is written, and the bootstrap layer of one
//! that is read. All content from the source is compared with its digest.
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

// Crates whose types appear in public signatures.
pub use image_convert as convert;
pub use image_model as model;
pub use image_read as read;
pub use image_store as store;
pub use oci_image;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
