//! Encode, decode, verify and convert lazily-loadable container images.
//!
//! This facade re-exports the crates of the workspace; tools that need less depend on the one that
//! they need. Every format is read through one narrow trait, [`model::Image`].
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
