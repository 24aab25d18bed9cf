//! Tar-split: everything of a tar but the content of its files, from which, with that content, the same tar is put
//! together again, byte for byte. JSON objects, one a line.
//!
//! Source: vbatts/tar-split, `tar/storage`, and what containers/storage stores of it in zstd:chunked.
//!
//! | key | of | meaning |
//! |---|---|---|
//! | `type` | both | 1: a file; 2: a segment, bytes of the tar |
//! | `name` | file | as in the tar, not cleaned; `name_raw`, in base64, if it is not UTF-8 |
//! | `size` | file | bytes of content; left out if 0 |
//! | `payload` | both | base64: the bytes of a segment; the CRC-64 of a file's content, big-endian; `null` for none |
//! | `position` | both | number of the line, from 0 |
//! For every member of the tar there is a segment with all that comes before its content (the padding of the member
//! before, extension headers, its header), and a file. At the end there are segments with the end of the tar.

mod check;
mod crc;
mod decode;
mod split;

use std::borrow::Cow;

use image_model::width::u64_from;

pub use check::{CheckError, SplitDifference, SplitMismatch, check_entries};
pub use crc::Crc64;
pub use decode::{TarSplitError, for_each_item};
pub use split::TarSplit;

/// `type` of a file.
pub const FILE_TYPE: u64 = 1;
/// `type` of a segment.
pub const SEGMENT_TYPE: u64 = 2;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item<'a> {
    /// Bytes of the tar.
    Segment(Vec<u8>),
    /// Content of a file stands here.
    File {
        /// Name of the file, as in the tar.
        name: Cow<'a, [u8]>,
        /// Bytes of content.
        size: u64,
        /// CRC-64 of the content, big-endian; `None` if there is none.
        crc: Option<[u8; 8]>,
    },
}

impl Item<'_> {
    /// Bytes of the tar that it stands for.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Segment(bytes) => u64_from(bytes.len()),
            Self::File { size, .. } => *size,
        }
    }

    /// Whether it stands for no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
