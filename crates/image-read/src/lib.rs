//! Open any image lazily: path to inode to range to verified bytes.
#![forbid(unsafe_code)]

mod cache;
mod detect;
mod directory;
mod error;
mod frames;
mod layer;
mod open;
mod options;
mod plan;
mod resolve;
mod store;
mod tree_image;
pub use cache::{FrameCache, NotHeld};
pub use detect::{DETECT_LEN, Format};
pub use directory::{DirectoryError, DirectoryImage, DirectorySource};
pub use error::ReadError;
pub use frames::Frames;
pub use layer::{LayerImage, LayerImageError, LayerImageOptions};
pub use open::{OpenError, OpenImage, OpenOptions, open, open_source};
pub use options::ReadOptions;
pub use plan::{ReadPlan, Step, StoredRange};
pub use resolve::{Follow, MAX_LINKS, ResolveError, resolve};
pub use store::{BlobStore, OpenBlob, StoreError};
pub use tree_image::{PIECE_LEN, TreeImage};
