//! EROFS images: those of mkfs.erofs, ours, and damaged ones.
#![allow(clippy::unwrap_used, reason = "a test that unwraps has failed")]

mod damage;
#[cfg(feature = "serde")]
mod document;
mod flipped_bits;
mod goldens;
