//! Whole container images: found in layouts and archives, checked, and opened as one file tree.
//!
//! | module | holds |
//! |---|---|
//! | [`store`] | [`ImageStore`], a source of images, and objects compared with their digests |
//! | [`layout`], [`docker_archive`] | sources: OCI layouts and archives of them, archives of `docker save` |
//! | [`target`] | [`ImageTarget`], a destination of images |
//! | [`layout_writer`], [`oci_archive_writer`], [`docker_archive_writer`] | destinations: layouts and archives of either kind |
//! | `registry_store`, `registry_target` | registries, read and written (feature `registry`) |
//! | [`location`] | names of images on command lines |
//! | [`mod@resolve`], [`platforms`] | from a name to a manifest, or to the manifests of all platforms |
//! | [`open`] | from a manifest to an [`OpenImage`](read::OpenImage), and to the configuration of a container |
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

mod archive_file;
mod bootstrap_layer;
pub mod docker_archive;
pub mod docker_archive_writer;
mod error;
mod files;
pub mod layout;
pub mod layout_writer;
pub mod location;
mod objects;
pub mod oci_archive_writer;
pub mod open;
pub mod platforms;
mod reference;
#[cfg(feature = "registry")]
pub mod registry_store;
#[cfg(feature = "registry")]
pub mod registry_target;
pub mod resolve;
mod runtime;
mod spool;
pub mod store;
pub mod target;
pub mod toc_image;

pub use bootstrap_layer::BootstrapLayer;
pub use docker_archive::DockerArchive;
pub use docker_archive_writer::DockerArchiveWriter;
pub use error::ImageStoreError;
pub use layout::Layout;
pub use layout_writer::LayoutWriter;
pub use location::{Location, Transport};
pub use oci_archive_writer::OciArchiveWriter;
pub use platforms::{ResolvedImages, resolve_all};
#[cfg(feature = "registry")]
pub use registry_store::RegistryStore;
#[cfg(feature = "registry")]
pub use registry_target::{PushStats, RegistryTarget};
pub use resolve::{ResolvedImage, resolve};
pub use store::{ImageStore, check, fetch};
pub use target::{
    Arrival, ImageTarget, copy, copy_image, describe_document, put_bytes, put_document,
};
pub use toc_image::TocImage;

// Crates whose types appear in public signatures.
pub use blob_io;
pub use bytes;
pub use image_model as model;
pub use image_read as read;
pub use oci_image;
pub use serde_json;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
