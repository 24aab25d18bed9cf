//! Digests, checks, audits and the tree digest.
#![allow(clippy::unwrap_used, reason = "test support")]

#[cfg(feature = "sha256")]
mod common;

#[cfg(feature = "sha256")]
mod audit;
#[cfg(feature = "sha256")]
mod audit_content;
#[cfg(feature = "sha256")]
mod content;
mod hash;
#[cfg(feature = "sha256")]
mod tree_digest;
#[cfg(feature = "sha256")]
mod tree_digest_content;
