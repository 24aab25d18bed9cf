//! Where a group was copied from.

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

#[derive(Debug, FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawRedirect {
    source_blob_index: U16,
    reserved: U16,
    source_chunk_group_index: U32,
}

const _: () = assert!(size_of::<RawRedirect>() == Redirect::LEN);

/// The group of another blob that a group is a copy of, 8 bytes: in blobs of copies, which are fetched first.
///
/// | offset | size | field | rule |
/// |---|---|---|---|
/// | 0 | 2 | source_blob_index | the other blob: n is slot n - 1 of the device table; not 0 |
/// | 2 | 2 | reserved | 0, not read |
/// | 4 | 4 | source_chunk_group_index | its group |
///
/// Source: the crate nydus-format 3.0.0-beta.2, `blob/metadata.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirect {
    /// The other blob.
    pub blob: u16,
    /// Its group.
    pub group: u32,
}

impl Redirect {
    /// Length of an entry in bytes.
    pub const LEN: usize = 8;

    /// Reads an entry.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let raw: &RawRedirect = zerocopy::transmute_ref!(bytes);
        Self {
            blob: raw.source_blob_index.get(),
            group: raw.source_chunk_group_index.get(),
        }
    }
}
