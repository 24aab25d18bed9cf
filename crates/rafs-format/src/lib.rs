//! RAFS, the image format of nydus: decode, check and encode version 5 of its metadata (inodes with digests of their
//! contents), version 6 (a mountable EROFS file system with private tables), and its data blobs; decode version 7, which
//! Nydus 3 beta writes.
//!
//! | module | holds |
//! |---|---|
//! | [`open`] | finding the bytes of a bootstrap in a file, inlined in a blob or not |
//! | [`image`] | [`RafsImage`]: a bootstrap, and the chunk information of the image's blobs |
//! | [`v5`], [`v6`] | the bootstrap: [`v6::Bootstrap`] opens one, [`v6::Layout`] plans and writes one; [`Bootstrap`] is of either version |
//! | [`v7`] | images of Nydus 3 beta: plain EROFS, and blobs that say what is in them |
//! | [`merge`] | merging bootstraps of layers; [`BlobPool`], the contents of their blobs |
//! | [`check`], [`dump`], [`layout`] | what checks, dumps and plans of both versions share |
//! | [`blob`] | the data blob: chunk information, its header, TOC, and the builder that places chunks |
//! | [`chunk_record`] | the 80-byte record of one chunk, shared by bootstraps of versions 5 and 6 |
//! | [`flags`] | flag words and algorithm ids that bootstrap and blob share |
//! | [`error`] | why a bootstrap cannot be read |
//! The crate works on bytes and does no I/O; a [`StepMachine`](image_model::StepMachine) requests
//! the parts of a file. Nothing here decompresses a chunk or computes its digest;
//! [`image_model::Image`], which [`v5::Bootstrap`], [`v6::Bootstrap`] and [`RafsImage`] implement,
//! says where content is. [Its module](v5) shows the bootstrap of version 5.
//!
//! # The whole bootstrap, version 6
//!
//! ```text
//!        0  1024 zero bytes
//!     1024  EROFS superblock                  128 bytes   v6::Superblock
//!     1152  RAFS extended superblock          256         v6::ExtSuperblock
//!     1408  device table                      128 a blob  v6::DeviceSlot
//!        B  blob table                        256 a blob  v6::BlobEntry        B = align(1408 + 128 n, 4096)
//!           prefetch table                    4 a rule    v6::prefetch         directly after the blob table
//!        M  an unused 4096-byte block
//! M + 4096  inodes with extended attributes   32 or 64    v6::Inode, v6::xattr
//!           and chunk addresses; directory    8 a chunk   v6::ChunkAddress
//!           blocks; symbolic link targets                 v6::dirent
//!        C  chunk table                       80 a chunk  ChunkRecord          C = next multiple of 4096
//!           zero bytes to a multiple of 4096
//! ```
//!
//! `M` is the next multiple of 4096 after the prefetch table, or 0 if the image has no blob. The root
//! directory is the first inode; its number (nid) is 4096 / 32 = 128 in every image. Integers are
//! little endian.
//!
//! Sources: nydus v2 (`rafs/src/metadata/layout/v6.rs`, `builder/src/core/v6.rs`) and the Linux kernel's
//! `fs/erofs/erofs_fs.h`. Where they disagree the stricter one is followed.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(clippy::arithmetic_side_effects, clippy::as_conversions)
)]

pub mod blob;
mod bootstrap;
pub mod check;
mod chunk_index;
pub mod chunk_record;
pub mod dump;
pub mod error;
pub mod flags;
pub mod image;
pub mod layout;
pub mod merge;
mod native;
pub mod open;
mod owned;
mod pool;
mod prefetch;
mod recipes;
mod shape;
pub mod v5;
pub mod v6;
pub mod v7;
mod version;
mod view;

pub use bootstrap::Bootstrap;
pub use chunk_record::ChunkRecord;
pub use error::DecodeError;
pub use image::RafsImage;
pub use owned::OwnedBootstrap;
pub use pool::BlobPool;
pub use prefetch::prefetch_inodes;
pub use shape::Shape;
pub use version::Version;

// Crates whose types appear in signatures here.
pub use bytes;
pub use erofs_format;
pub use frame_codec;
pub use image_model as model;
pub use verify;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
