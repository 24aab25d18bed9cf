//! RAFS v6: the bootstrap, an EROFS file system with private tables. [`Bootstrap`] opens one: it checks only headers
//! and tables, is a view of the bytes, and implements [`Image`](image_model::Image); every access is checked.
//! [`Bootstrap::to_chunked`] copies it into the shared model, [`Bootstrap::check`] checks everything,
//! [`Bootstrap::dump`] prints it.
//!
//! [`Layout::plan`] decides where everything goes, [`Layout::write_to`] writes it. The [crate's
//! documentation](crate) shows the whole file.

mod blob_entry;
mod bootstrap;
mod check;
mod chunk_address;
mod chunk_place;
mod chunks;
mod device;
mod directory;
mod dump;
mod ext_superblock;
mod image;
mod layout;
mod owned;
mod superblock;

pub use blob_entry::BlobEntry;
pub use bootstrap::Bootstrap;
pub use chunk_address::ChunkAddress;
pub use chunk_place::ChunkPlace;
pub(crate) use chunks::{Locate, Located};
pub use ext_superblock::{ExtSuperblock, is_chunk_size};
pub use layout::{Layout, drop_losses, losses};

pub use erofs_format::{BlockSize, DataLayout, DeviceSlot, Inode, Superblock, xattr};

pub use crate::check::{CheckFinding, CheckSummary, Inconsistency};
pub use crate::dump::{Dumped, FieldValue, Structure};
pub use crate::layout::{
    BadContent, CannotCarry, EncodeError, LayoutInput, LayoutOptions, Loss, MAX_TARGET_LEN,
};
pub use crate::owned::OwnedBootstrap;
pub use crate::prefetch::prefetch_inodes;
