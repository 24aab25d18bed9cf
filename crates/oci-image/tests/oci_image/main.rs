//! Media types, descriptors and annotations.

mod annotations;
mod descriptor;
mod media_type;
