//! Tests of the data blob, one module for each of `src/blob`.
#![allow(clippy::unwrap_used, reason = "test support")]

mod batch;
mod batch_overlap;
mod builder;
mod chunk_info;
mod digests;
mod header;
mod inlined;
mod load;
mod locate;
mod meta;
mod meta_file;
mod meta_refused;
mod nydus;
mod open;
mod support;
mod tar_header;
mod toc;
mod zran;
