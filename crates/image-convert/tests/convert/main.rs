//! Conversions from end to end, on small sources.
#![allow(clippy::unwrap_used, reason = "a test that unwraps has failed")]

mod analyze;
mod any_tree;
mod batch;
mod support;

#[cfg(feature = "gzip")]
mod bounds;
mod dictionary;
#[cfg(feature = "encryption")]
mod encryption;
mod erofs;
#[cfg(feature = "gzip")]
mod estargz;
mod estargz_kinds;
#[cfg(all(feature = "gzip", feature = "zstd"))]
mod flipped_layers;
mod keep_blobs;
mod keep_frames;
mod merge;
#[cfg(feature = "gzip-index")]
mod merge_modes;
mod opened;
#[cfg(all(feature = "gzip", feature = "zstd"))]
mod peer_bugs;
#[cfg(feature = "gzip")]
mod peer_cases;
#[cfg(all(feature = "gzip", feature = "zstd"))]
mod peer_suite;
mod pull;
mod rafs_content;
mod rafs_errors;
mod rafs_golden;
mod rafs_losses;
mod rafs_order;
mod rafs_v5;
#[cfg(feature = "gzip")]
mod requests;
mod round_trip;
mod sources;
mod stack;
mod tar;
#[cfg(feature = "gzip")]
mod tarfs;
mod unpack;
#[cfg(feature = "gzip-index")]
mod zran;
mod zstd_chunked;
