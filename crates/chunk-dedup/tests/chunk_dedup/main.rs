//! Where chunks end, and where their digests are looked up.

mod chunker;
mod dictionary;
mod disk;
mod image;
mod rollsum;
mod table;
mod zeros;
