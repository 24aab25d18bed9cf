//! Converts container images between OCI layers, directories and lazily loadable formats.
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a test that unwraps has failed")
)]

mod content;
mod error;
pub mod pipeline;
mod rafs;
mod report;
mod source;
mod tar;
mod tree;
pub mod unpack;

pub use error::ConvertError;
pub use rafs::{RafsOptions, to_rafs_v6};
pub use report::{ChunkCounts, Loss, LossKind, Report};
pub use source::{Seekable, Source, Streaming};
pub use tar::{TarOptions, recompress, to_tar};
pub use unpack::{Ownership, UnpackOptions, unpack};
