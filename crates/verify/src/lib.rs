//! Digests, checks, audits and the tree digest of container images.
//!
//! | item | does |
//! |---|---|
//! | [`Hasher`], [`digest`], [`crc32c()`] | compute digests and checksums |
//! | [`check`] | compares bytes with their expected digest |
//! | [`check_chunk`] | the same for a chunk, with its digest and checksum in the image |
//! | [`Content`] | reads and checks the content of files; implemented by readers of blobs |
//! | [`tree_digest`] | one digest of a whole file tree, the same whatever the format |
//! | [`audit`], [`audit_metadata`] | reads everything and lists every fault |
//! The crate knows [`Image`](image_model::Image), but no formats, files or sockets: content is read
//! through [`Content`].
//!
//! ```
//! use image_model::DigestAlgorithm;
//! let digest = lazyoci_verify::digest(DigestAlgorithm::Sha256, b"hello")?;
//! assert_eq!(lazyoci_verify::check(&digest, b"hello"), Ok(()));
//! assert!(lazyoci_verify::check(&digest, b"hallo").is_err());
//! # Ok::<(), lazyoci_verify::UnsupportedDigest>(())
//! ```
#![forbid(unsafe_code)]

mod audit;
mod content;
mod hash;
#[cfg(feature = "sha256")]
mod tree_digest;

pub use audit::{
    AuditFault, AuditObserver, AuditSummary, MAX_CONTENT_FAULTS, audit, audit_metadata,
};
pub use content::{
    CheckFiles, ChunkFault, ChunkObserver, ChunkSummary, Content, ContentError, ExtentBytes,
    FilePiece, StoredAt, check_chunk,
};
#[cfg(feature = "sha256")]
pub use hash::sha256;
pub use hash::{
    CheckError, Hasher, UnsupportedDigest, check, check_crc32c, crc32c, crc32c_append, digest,
};
#[cfg(feature = "sha256")]
pub use tree_digest::{
    ParseProfileError, ParseTreeDigestError, Profile, TreeDigest, TreeDigestError,
    TreeDigestOptions, tree_digest,
};

// A crate whose types stand in signatures here.
pub use image_model as model;

/// Compiles the example of the README.
#[cfg(all(doctest, feature = "sha256"))]
#[doc = include_str!("../README.md")]
struct Readme;
