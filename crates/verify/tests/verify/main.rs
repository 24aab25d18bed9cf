//! Digests, checks, audits and the tree digest.
#![allow(clippy::unwrap_used, reason = "test support")]

mod common;

mod audit;
mod audit_content;
mod content;
mod hash;
mod tree_digest;
mod tree_digest_content;
