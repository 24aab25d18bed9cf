//! Reading images: by plan and by store, from RAFS, layers and directories.
#![allow(clippy::unwrap_used)]

mod bounds;
mod check;
mod claims;
mod copies;
mod damage;
mod detect;
mod directory;
mod directory_changes;
#[cfg(feature = "gzip")]
mod erofs;
mod estargz;
#[cfg(feature = "gzip")]
mod estargz_flips;
mod handle;
#[cfg(feature = "gzip-index")]
mod indexed;
mod layer;
mod lies;
#[cfg(all(feature = "gzip", feature = "zstd"))]
mod long_chunks;
#[cfg(feature = "gzip-index")]
mod lying_index;
mod model;
mod open;
mod plan;
mod requests;
mod resolve;
mod runtimes;
mod sharing;
mod stack;
mod support;
mod tree_image;
#[cfg(all(feature = "lz4", feature = "zstd", feature = "blake3"))]
mod v7;
#[cfg(feature = "gzip-index")]
mod ztoc;
#[cfg(feature = "gzip-index")]
mod ztoc_files;
#[cfg(feature = "gzip-index")]
mod ztoc_spans;
