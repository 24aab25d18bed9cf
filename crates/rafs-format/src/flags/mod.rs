//! Flag words and algorithm ids that bootstraps and blobs share.
//!
//! Source: nydus v2, `rafs/src/metadata/mod.rs` (`RafsSuperFlags`), `storage/src/device.rs`
//! (`BlobFeatures`), `utils/src/{compress,digest,crypt}.rs`.

mod algorithm;
mod blob_features;
mod compat;
mod error;
mod super_flags;

pub use algorithm::{Cipher, Compressor, Digester};
pub use blob_features::BlobFeatures;
pub use compat::{Compat, ParseCompatError};
pub use error::FlagsError;
pub use super_flags::SuperFlags;
