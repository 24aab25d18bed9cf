//! Verifying whole images: what is found, and what it costs.
#![allow(clippy::unwrap_used)]

mod flips;
mod sound;
mod support;
