//! Ranged reads of blobs, and output that appears whole.

mod atomic;
mod digest_writer;
mod output;
mod read;
