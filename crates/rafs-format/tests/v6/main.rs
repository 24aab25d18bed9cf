//! RAFS v6 bootstraps.
#![allow(clippy::unwrap_used, reason = "test support")]

mod common;

mod access;
mod check;
mod encode;
mod flips;
mod goldens;
mod losses;
mod open;
mod round_trip;
