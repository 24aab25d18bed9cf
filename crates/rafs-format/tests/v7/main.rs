//! RAFS v7: blobs of Nydus 3 beta.
#![allow(clippy::unwrap_used, reason = "test support")]

mod footer;
mod groups;
mod image;
mod support;
