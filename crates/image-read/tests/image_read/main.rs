//! Reading images: by plan and by store, from RAFS, layers and directories.
#![allow(clippy::unwrap_used)]

mod damage;
mod directory;
mod directory_changes;
#[cfg(feature = "gzip")]
mod estargz;
#[cfg(feature = "gzip")]
mod estargz_flips;
mod layer;
mod open;
mod plan;
mod requests;
mod resolve;
mod support;
mod tree_image;
