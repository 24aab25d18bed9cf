//! Indexes and checkpoints of gzip streams: built, stored, read by, refused.

#![allow(clippy::unwrap_used, reason = "a test that unwraps has failed")]

mod blocks;
mod build;
mod checkpoints;
mod damage;
mod goldens;
mod headers;
mod hostile;
mod kept;
mod support;
