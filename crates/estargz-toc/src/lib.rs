//! eStargz: a tar.gz layer whose files can be read on their own.
//!
//! ```text
//! +-- member 0 ------+  tar headers up to the first payload
//! +-- member 1..n ---+  each begins at the first byte of a file's payload, or of a chunk of it
//! +-- TOC member ----+  tar member `stargz.index.json` and the two zero blocks that end the tar
//! +-- footer --------+  an empty gzip member whose extra field tells where the TOC member begins
//! ```
//!
//! For a runtime that knows nothing of it the blob is an ordinary layer: gzip members one after the
//! other, which together hold one tar.
#![forbid(unsafe_code)]

pub mod carry;
pub mod error;
pub mod footer;
mod frames;
pub mod image;
mod landmark;
pub mod open;
pub mod order;
pub mod toc;
pub mod write;

pub use landmark::Landmark;
