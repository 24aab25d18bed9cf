//! Verifying whole images: what is found, and what it costs.
#![cfg(all(feature = "lz4", feature = "zstd", feature = "blake3"))]
#![allow(clippy::unwrap_used, reason = "a test that unwraps has failed")]

mod batch;
mod built;
#[cfg(feature = "zstd")]
mod chunked;
#[cfg(all(feature = "gzip", feature = "zstd"))]
mod chunked_told;
mod cost;
mod depth;
#[cfg(feature = "encryption")]
mod encrypted;
mod flips;
mod found;
#[cfg(feature = "gzip-index")]
mod index;
mod releases;
mod sound;
mod support;
#[cfg(all(feature = "gzip", feature = "zstd"))]
mod toc_forms;
mod v7;
mod whole;
mod without_digest;
#[cfg(feature = "gzip")]
mod zran;
#[cfg(feature = "gzip")]
mod zran_overlap;
