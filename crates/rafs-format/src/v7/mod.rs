//! RAFS v7: what Nydus 3.0.0-beta.2 writes, and the crates nydus-format and nydus-core read. The bootstrap is an EROFS
//! file system without private tables; [`V7Image`] adds to it what blobs say of themselves. Images are read, not
//! written.
//!
//! ```text
//! blob:   0  data: groups, or a raw device                       Group
//!            zero bytes to a multiple of 4096
//!         B  bootstrap, a zstd frame; blocks of 4096 bytes       erofs_format
//!         M  blob metadata; not of a raw device                  Groups
//!   end - 4096  footer                                           Footer
//! ```
//!
//! Files are made of chunks, which begin at blocks of the blob's address space. Chunks that follow one another there are
//! a *group*, which is compressed as one: a frame. The blob metadata tell which groups there are, and which chunks each
//! holds. A raw device has its address space as it is.
//!
//! An image of several layers has a bootstrap of its own, whose devices are whole blobs, called by their SHA-256. In the
//! bootstrap that a blob holds, the only device is that blob, called by the SHA-256 of its data.
//!
//! [`Opener`] finds all that in a blob.
//!
//! Source: the crates nydus-format and nydus-core 3.0.0-beta.2.

mod dump;
mod error;
mod footer;
mod group;
mod groups;
mod image;
mod metadata_header;
mod open;
mod redirect;
mod table_header;

pub use error::{GroupFault, V7Error};
pub use footer::Footer;
pub use group::{Group, GroupEntry};
pub use groups::{GroupChunk, Groups};
pub use image::{V7Blob, V7Image};
pub use metadata_header::MetadataHeader;
pub use open::{OpenedBlob, Opener};
pub use redirect::Redirect;
pub use table_header::{TableHeader, TableKind};

/// Bytes of a block.
const BLOCK: u64 = 4096;
