//! RAFS v6 bootstraps.

mod common;

mod access;
mod check;
mod encode;
mod flips;
mod goldens;
mod losses;
mod open;
mod round_trip;
