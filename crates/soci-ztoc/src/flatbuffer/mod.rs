//! FlatBuffers, as far as zTOCs need them. All numbers are little endian.
//!
//! | structure | bytes |
//! |---|---|
//! | buffer | u32: offset of the root table |
//! | table | i32: how far before it its vtable is; then its fields |
//! | vtable | u16: its length; u16: length of the table; u16 for each field: where in the table it is, 0 if it is not there |
//! | vector | u32: number of elements; then these |
//! | string | a vector of bytes, and a NUL after them |
//!
//! A field that is a table, vector or string is a u32: how far after it that is. Strings may hold any bytes.

mod build;
mod read;

pub(crate) use build::{Builder, Offset};
pub use read::Malformed;
pub(crate) use read::Table;
