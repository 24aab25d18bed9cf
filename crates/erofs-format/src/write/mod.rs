//! Writing metadata: where inodes go, and the bytes of directories.

pub mod directory;
mod emit;
mod metadata;
#[allow(
    clippy::arithmetic_side_effects,
    reason = "it writes; lengths in memory and 8 bytes a chunk add up to far less than 2^64"
)]
mod placer;

pub use emit::Emitter;
pub use metadata::{Placed, write_metadata};
pub use placer::{Place, Placer};
