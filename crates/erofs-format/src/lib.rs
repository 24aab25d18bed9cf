//! EROFS, Linux's read-only file system: decode, check and encode uncompressed images, and the structures that RAFS v6
//! shares with them.
//!
//! | module or type | holds |
//! |---|---|
//! | [`ErofsImage`], [`MetadataBytes`] | an image, and the source of its bytes; [`check`](ErofsImage::check) checks everything, [`dump`](ErofsImage::dump) prints it |
//! | [`Layout`] | planning and writing an image |
//! | [`Superblock`], [`Inode`], [`ChunkIndex`], [`DeviceSlot`], [`dirent`], [`xattr`] | the structures |
//! | [`losses`], [`drop_losses`] | what cannot be carried |
//! | [`check`], [`dump`] | what checks and dumps tell |
//! | [`mod@write`] | where inodes go, and how they and directories are written |
//! | [`view`], [`budget`], [`device_number`] | slices and bounds that readers share |
//! The crate does no I/O: it reads bytes through a trait, and writes to any writer. Compressed content is refused.
//! [`Layout`] shows the whole image. Integers are little endian.
//!
//! Source: the Linux kernel's `fs/erofs/erofs_fs.h`; erofs-utils 1.8 where that leaves something open.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(clippy::arithmetic_side_effects, clippy::as_conversions)
)]

mod block_size;
pub mod budget;
pub mod check;
mod chunk_index;
pub mod device_number;
mod device_slot;
pub mod dirent;
mod error;
mod image;
pub mod inode;
mod layout;
pub mod loss;
mod source;
mod superblock;
pub mod view;
pub mod write;
pub mod xattr;

pub use block_size::BlockSize;
pub use chunk_index::ChunkIndex;
pub use device_slot::DeviceSlot;
pub use error::{DecodeError, ReadFault, StructureError};
pub use image::ErofsImage;
pub use inode::{CHUNK_FORMAT_BITS, CHUNK_FORMAT_INDEXES, DataLayout, Inode};
pub use layout::{EncodeError, Layout, LayoutInput, Tails};
pub use loss::{CannotCarry, Loss, MAX_TARGET_LEN, Room, drop_losses, losses};
pub use source::MetadataBytes;
pub use superblock::Superblock;

pub use image_model::dump;

// Crates whose types appear in signatures here.
pub use bytes;
pub use image_model as model;
pub use zerocopy;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
