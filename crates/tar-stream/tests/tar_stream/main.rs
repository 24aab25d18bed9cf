//! Tests of the crate by its public interface. No other tool is needed. Comments say what other
//! readers make of the same tapes: GNU tar 1.34 and Python's `tarfile` as observed, Go by the
//! source of its `archive/tar`.
#![cfg(feature = "tar")]
#![allow(clippy::unwrap_used, reason = "a test that unwraps has failed")]

mod advisories;
mod hostile;
mod layer;
mod lossless;
mod machine;
mod member;
mod peer;
mod read;
mod refusals;
mod sparse;
mod tape;
#[cfg(feature = "tokio")]
mod tokio;
mod write;
