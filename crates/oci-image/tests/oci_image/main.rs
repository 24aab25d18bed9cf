//! Media types, descriptors and annotations.

mod annotations;
mod descriptor;
mod documents;
mod media_type;
mod runtime;
mod zstd_chunked;
