//! RAFS v5: the bootstrap, a table of inodes that carry the digests of their contents. [`Bootstrap`] opens one: it
//! checks only superblock and blob tables, is a view of the bytes, and implements [`Image`](image_model::Image); every
//! access is checked. [`Bootstrap::to_chunked`] copies it into the shared model, [`Bootstrap::check`] checks everything
//! and computes the digests of all inodes, [`Bootstrap::dump`] prints it.
//!
//! [`Layout::plan`] decides where everything goes and computes those digests, [`Layout::write_to`] writes
//! it.
//!
//! # The whole bootstrap
//!
//! ```text
//!     0  superblock                          8192 bytes   Superblock
//!  8192  inode table                         4 a name     inode_table
//!        prefetch table, if there is one     4 a rule     prefetch_table
//!        blob table                          72 a blob    BlobTableEntry
//!        extended blob table                 64 a blob    ExtBlobEntry
//!        inodes, each with                   128          Inode
//!            its name                        1 to 255
//!            the target of a symbolic link
//!            extended attributes                          xattr
//!            the chunks of a file            80 a chunk   ChunkRecord
//! ```
//!
//! Everything begins at a multiple of 8, with zeros before it where needed. Integers are little endian.
//!
//! Inodes are known by *numbers*: positions in the inode table, from 1, which is the root. The children
//! of a directory have consecutive numbers, in the order of their names. Each name has an inode; all
//! inodes of a hard-linked file say the same, and have the number of the first one as `i_ino`.
//!
//! # What digests cover
//!
//! | inode | `i_digest` is the digest of |
//! |---|---|
//! | regular file | the digests of its chunks, in order |
//! | symbolic link | its target |
//! | directory | the `i_digest` of its children, in order |
//! | device, FIFO, socket | nothing |
//!
//! So the root's digest vouches for the content of all files, the targets of all links and the shape of the tree. It
//! does not vouch for names, modes, owners, times, device numbers and extended attributes, nor for where chunks are
//! stored. [`Bootstrap::check`] compares all digests; nothing in the bootstrap vouches for the root's, so detecting any
//! change of the image needs the digest of the whole bootstrap.
//!
//! Source: nydus v2, `rafs/src/metadata/layout/v5.rs`, `rafs/src/metadata/direct_v5.rs`,
//! `builder/src/core/v5.rs`.

mod blob_table;
mod bootstrap;
mod check;
mod chunks;
mod dump;
mod ext_blob_entry;
mod image;
mod inode;
mod inode_table;
mod layout;
mod lookup;
mod merkle;
mod owned;
mod prefetch_table;
mod superblock;
mod unvouched;
pub mod xattr;

pub use blob_table::BlobTableEntry;
pub use bootstrap::Bootstrap;
pub use ext_blob_entry::ExtBlobEntry;
pub use inode::{Inode, InodeFlags};
pub use layout::{Layout, drop_losses, losses};
pub use superblock::Superblock;

pub use crate::layout::{
    BadContent, CannotCarry, EncodeError, LayoutInput, LayoutOptions, Loss, MAX_TARGET_LEN,
};
