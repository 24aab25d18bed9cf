//! Reading blobs by range, and outputs that appear whole.

mod atomic;
mod digest_writer;
mod output;
mod read;
