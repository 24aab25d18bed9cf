//! Whole images in generated layouts and archives.
#![allow(clippy::unwrap_used, reason = "a test that unwraps has failed")]

mod archives;
mod containers;
#[cfg(feature = "gzip")]
mod docker_archives;
mod layouts;
#[cfg(all(feature = "registry", feature = "gzip"))]
mod lazy_gzip;
mod lazy_layers;
#[cfg(feature = "registry")]
mod registries;
mod support;
#[cfg(unix)]
mod targets;
#[cfg(feature = "gzip")]
mod toc_images;
mod written_archives;
