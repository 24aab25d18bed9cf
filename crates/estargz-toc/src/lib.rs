//! eStargz: a tar.gz layer whose files can be read individually.
//!
//! ```text
//! +-- member 0 ------+  tar headers up to the first payload
//! +-- member 1..n ---+  each begins at the first byte of a file's payload, or of a chunk of it
//! +-- TOC member ----+  tar member `stargz.index.json` and the two zero blocks that end the tar
//! +-- footer --------+  an empty gzip member whose extra field tells where the TOC member begins
//! ```
//! For a runtime that does not know eStargz the blob is an ordinary layer: a sequence of gzip
//! members that together hold one tar.
//!
//! Its kin differ in where the TOC is, and in what it says ([`image::TocKind`]):
//!
//! | layer | members | TOC | footer |
//! |---|---|---|---|
//! | eStargz | gzip | in a member, the last of the tar | 51 bytes |
//! | stargz | gzip | the same, without digests | 47 bytes |
//! | eStargz, external TOC | gzip | another blob | 46 bytes |
//! | zstd:chunked of stargz-snapshotter | zstd | in a skippable frame, outside of the tar | 48 bytes |
//! | zstd:chunked of containers/storage | zstd, one frame for each chunk | the same, of another schema, and a tar-split | 72 bytes |
//!
//! | module | holds |
//! |---|---|
//! | [`footer`] | the last bytes of a blob: where its TOC is |
//! | [`open`] | finding the TOC of a blob: a step machine |
//! | [`toc`] | the raw TOC: JSON to entries and back, byte for byte |
//! | [`containers_toc`] | the TOC of containers/storage: JSON to entries and back, byte for byte |
//! | [`tar_split`] | everything of a tar but the content of its files |
//! | [`image`] | the TOC as an image, with invalid entries refused |
//! | [`compare`] | comparing the TOC with the tar |
//! | [`order`] | the order of names in the tar, prioritized files first |
//! | [`carry`] | what a TOC cannot carry |
//! | [`mod@write`] | the plan of a blob: members, places, the TOC of an image |
//! | [`error`] | why a TOC is refused: entry, name, reason |
//! Nothing here does I/O or compression: callers fetch ranges and run threads themselves.
//!
//! Source of truth: containerd/stargz-snapshotter, `estargz/`, commit 7cf47cba, and blobs that it and ctr-remote 0.12
//! made (`tests/goldens`). Where its two readers disagree with each other, the entry is refused ([`error::EntryFault`]
//! lists why), except that the last entry of a directory counts if there are several. [`mod@compare`] finds
//! disagreements between the TOC and the tar.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(clippy::arithmetic_side_effects, clippy::as_conversions)
)]

pub mod carry;
pub mod compare;
pub mod containers_toc;
pub mod error;
pub mod footer;
mod frames;
pub mod image;
mod json;
mod landmark;
pub mod open;
pub mod order;
pub mod tar_split;
pub mod toc;
pub mod write;

pub use landmark::Landmark;

// Crates whose types stand in signatures here.
pub use bytes;
pub use image_model as model;
pub use serde_json;
pub use tar_stream;
pub use verify;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
