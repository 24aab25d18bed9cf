//! Converts container images between OCI layers, directories and lazily loadable formats.
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a test that unwraps has failed")
)]

mod compress;
mod error;
mod names;
pub mod pipeline;
mod report;
pub mod unpack;

pub use error::ConvertError;
pub use report::{ChunkCounts, Loss, LossKind, Report, XattrReason};
pub use unpack::{Ownership, UnpackOptions, unpack};
