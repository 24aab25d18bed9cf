//! Sources to RAFS v6 images.

#[path = "../support/mod.rs"]
mod support;

mod golden;
