//! Whole container images: found in layouts and archives, checked, and opened as one file tree.
//!
//! | module | holds |
//! |---|---|
//! | [`store`] | [`ImageStore`], a place with images in it, and objects compared with their digests |
//! | [`layout`], [`docker_archive`] | the places: OCI layouts and archives of them, archives of `docker save` |
//! | [`target`], [`layout_writer`] | [`ImageTarget`], a place that takes images; layouts that do |
//! | `registry_store`, `registry_target` | registries, read and written (feature `registry`) |
//! | [`location`] | how images are named on command lines |
//! | [`mod@resolve`] | from a name to a manifest |
//! | [`open`] | from a manifest to an [`OpenImage`](read::OpenImage) |
//!
//! ```no_run
//! use lazyoci_image_store::{Location, resolve};
//!
//! let location = Location::parse("oci:images:v1").expect("a location");
//! let store = location.open(&Default::default())?;
//! let image = resolve(&*store, location.name.as_deref(), None)?;
//! let opened = image.open(&store, &Default::default(), &mut ())?;
//! println!("{}", String::from_utf8_lossy(&opened.read("/etc/os-release", 1 << 16)?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a test that unwraps has failed")
)]

pub mod docker_archive;
mod error;
mod files;
pub mod layout;
pub mod layout_writer;
pub mod location;
pub mod open;
#[cfg(feature = "registry")]
pub mod registry_store;
#[cfg(feature = "registry")]
pub mod registry_target;
pub mod resolve;
pub mod store;
pub mod target;

pub use docker_archive::DockerArchive;
pub use error::ImageStoreError;
pub use layout::Layout;
pub use layout_writer::LayoutWriter;
pub use location::{Location, Transport};
#[cfg(feature = "registry")]
pub use registry_store::RegistryStore;
#[cfg(feature = "registry")]
pub use registry_target::{PushStats, RegistryTarget};
pub use resolve::{ResolvedImage, resolve};
pub use store::{ImageStore, check, fetch};
pub use target::{ImageTarget, copy, put_bytes, put_document};

// Crates whose types stand in signatures here.
pub use blob_io;
pub use bytes;
pub use image_model as model;
pub use image_read as read;
pub use oci_image;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
