//! Verifying whole images: what is found, and what it costs.
#![cfg(all(feature = "lz4", feature = "zstd", feature = "blake3"))]
#![allow(clippy::unwrap_used, reason = "a test that unwraps has failed")]

mod built;
#[cfg(feature = "zstd")]
mod chunked;
#[cfg(all(feature = "gzip", feature = "zstd"))]
mod chunked_told;
mod cost;
mod depth;
mod flips;
mod found;
mod releases;
mod sound;
mod support;
#[cfg(all(feature = "gzip", feature = "zstd"))]
mod toc_forms;
mod whole;
#[cfg(feature = "gzip")]
mod zran;
