//! Open any image lazily: path to inode to range to verified bytes.
#![forbid(unsafe_code)]

mod cache;
mod directory;
mod error;
mod frames;
mod options;
mod plan;
mod resolve;
mod store;
mod tree_image;
pub use cache::{FrameCache, NotHeld};
pub use directory::{DirectoryError, DirectoryImage, DirectorySource};
pub use error::ReadError;
pub use frames::Frames;
pub use options::ReadOptions;
pub use plan::{ReadPlan, Step, StoredRange};
pub use resolve::{Follow, MAX_LINKS, ResolveError, resolve};
pub use store::{BlobStore, OpenBlob, StoreError};
pub use tree_image::{PIECE_LEN, TreeImage};
