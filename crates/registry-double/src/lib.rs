//! Registries for tests, on this machine.
//!
//! [`Server`] responds as a closure says, also with less than it announces. [`Registry`] keeps blobs and
//! manifests in memory, and behaves correctly.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "only tests use it")]

mod http;
mod registry;

pub use http::{Reply, Request, Server};
pub use registry::Registry;
