//! RAFS v6 bootstraps.
#![allow(clippy::unwrap_used, reason = "test support")]

mod common;
mod damage;
#[path = "../support/store.rs"]
mod store;
#[path = "../support/trees.rs"]
mod trees;
#[path = "../support/work.rs"]
mod work;

mod check;
mod chunks;
mod directory;
mod dump;
mod encode;
mod encode_refused;
mod fields;
mod flipped_bits;
mod flips;
mod goldens;
mod inode;
mod losses;
mod open;
mod owned;
mod round_trip;
mod tables;
mod tarfs;
mod work_of_lookups;
mod xattr;
