//! Conversions of whole container images.
//!
//! | module | holds |
//! |---|---|
//! | [`options`] | [`ImageFormat`] and the other options |
//! | [`mod@transcode`] | [`transcode`](transcode()), which converts images |
//! | [`before`] | [`made_before`], which recognises earlier conversions |
//! | [`known`] | [`KnownImages`], whose chunks are not stored again |
//! | [`progress`] | [`ImageProgress`], told how far the layers are |
//! | [`report`] | results, and the work for each layer |
//! | [`error`] | errors |
//!
//! All content from the source is compared with its digest.
//!
//! # Memory and disk
//!
//! Each layer is streamed from the source to the target: no layer is held in memory.
//!
//! | to | at the same time | memory | temporary files |
//! |---|---|---|---|
//! | eStargz, zstd:chunked, plain | [several layers](TranscodeOptions::layers_at_once), 2 by default | for each, some 24 MiB | for each, the tar of a streamed layer to eStargz or zstd:chunked |
//! | nydus over layers as they are | one layer | some 24 MiB, and all places at which the layer can be entered | none |
//! | nydus | one layer is fetched up to 8 MiB ahead, one converted, the blob of one finished | some 32 MiB | the bootstrap |
//!
//! To that come the contexts of compressors, and 200 to 300 bytes for each inode and chunk: of the layers that are
//! converted, or to nydus of all. A registry as a target keeps each new layer in a temporary file until it is sent,
//! since only its digest tells whether the registry has it: as many as are converted at the same time, and to nydus two.
//! The bootstrap layer of a nydus image that is read is decoded into a temporary file.
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

mod ahead;
mod at_once;
pub mod before;
mod conversion;
pub mod error;
#[cfg(feature = "gzip-index")]
mod kept;
pub mod known;
mod layers;
mod nydus;
pub mod options;
mod output;
pub mod progress;
mod publication;
pub mod report;
mod tally;
mod toc_image;
pub mod transcode;

pub use before::made_before;
pub use error::TranscodeError;
pub use known::KnownImages;
pub use options::{ImageFormat, TranscodeOptions};
pub use progress::{ImageProgress, LayerProgress, LayersProgress};
pub use report::{LayerWork, TranscodeReport, Transcoded, TranscodedLayer};
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
