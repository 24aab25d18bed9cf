//! RAFS v5 bootstraps.
#![allow(clippy::unwrap_used, reason = "test support")]

mod common;
#[path = "../support/store.rs"]
mod store;
#[path = "../support/trees.rs"]
mod trees;
#[path = "../support/work.rs"]
mod work;

mod check;
mod encode;
mod flips;
mod goldens;
mod open;
mod round_trip;
mod unvouched;
mod work_of_lookups;
