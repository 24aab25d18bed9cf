//! The documents of OCI images, and the annotations of lazy formats.
//!
//! | module | holds |
//! |---|---|
//! | [`media_type`] | what an object is: the types of OCI and Docker |
//! | [`document`] | telling an index from a manifest |
//! | [`index`], [`manifest`], [`config`] | the documents of an image; unknown fields are preserved |
//! | [`platform`] | what an image runs on |
//! | [`descriptor`] | type, digest, size and annotations of an object; unknown fields are preserved |
//! | [`annotations`] | annotations, and their errors |
//! | [`runtime`] | from the configuration of an image to that of a container |
//! | [`estargz`], [`zstd_chunked`], [`nydus`] | the annotations of lazy formats as typed values |
//!
//! The crate knows the documents and the names in them, but nothing about TOCs or bootstraps.
//!
//! ```
//! use lazyoci_oci_image::{Descriptor, EstargzLayer};
//!
//! let descriptor: Descriptor = serde_json::from_str(r#"{
//!     "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
//!     "digest": "sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b",
//!     "size": 32654,
//!     "annotations": {
//!         "containerd.io/snapshot/stargz/toc.digest":
//!             "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
//!     }
//! }"#)?;
//! let layer = EstargzLayer::read(&descriptor.annotations)?.expect("it is an eStargz layer");
//! assert_eq!(layer.uncompressed_size, None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `Map` and `Value` of the crate serde_json are part of the interface.
#![forbid(unsafe_code)]

pub mod annotations;
pub mod config;
pub mod descriptor;
pub mod document;
pub mod estargz;
pub mod index;
mod json;
pub mod manifest;
pub mod media_type;
pub mod nydus;
pub mod platform;
pub mod runtime;
pub mod zstd_chunked;

pub use annotations::{AnnotationError, Annotations};
pub use config::{History, ImageConfig, RootFs};
pub use descriptor::Descriptor;
pub use document::{Document, DocumentError};
pub use estargz::{EstargzLayer, ExternalToc};
pub use index::Index;
pub use manifest::Manifest;
pub use media_type::{Family, LayerCompression, LayerType, MediaType, UnknownMediaType};
pub use nydus::NydusLayer;
pub use platform::{ParsePlatformError, Platform};
pub use zstd_chunked::ZstdChunkedLayer;

// Crates whose types stand in signatures here.
pub use image_model as model;
pub use serde_json;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
