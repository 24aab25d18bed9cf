//! Indexes of gzip streams: built, stored, read by, refused.

#![allow(clippy::unwrap_used, reason = "a test that unwraps has failed")]

mod build;
mod damage;
mod goldens;
mod hostile;
mod kept;
mod support;
