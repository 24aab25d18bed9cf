//! Reading blobs by range, and outputs that appear whole.

mod atomic;
mod coalesce;
mod digest_writer;
mod output;
mod read;
