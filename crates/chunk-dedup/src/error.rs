//! What is wrong with a dictionary.

use std::io;

use image_model::{Blame, BlobId, Fault};

/// Why a dictionary cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DictionaryError {
    /// The bytes are no dictionary.
    #[error("not a chunk dictionary: the first bytes are not its signature")]
    NotADictionary,
    /// The bytes are a dictionary of another version.
    #[error("chunk dictionary of version {version}; this library knows version 2")]
    Version {
        /// The version.
        version: u32,
    },
    /// The header was changed after it was written.
    #[error(
        "the checksum of the dictionary's header is {stored:#010x}, its bytes have {computed:#010x}"
    )]
    HeaderChecksum {
        /// The checksum that the header states.
        stored: u32,
        /// That of its bytes.
        computed: u32,
    },
    /// What follows the header was changed after it was written.
    #[error("the checksum of the dictionary is {stored:#010x}, its bytes have {computed:#010x}")]
    Checksum {
        /// The checksum that the file states.
        stored: u32,
        /// That of its bytes.
        computed: u32,
    },
    /// A field of the header has a value that it cannot have.
    #[error("dictionary header, byte {offset}: {field} is {value}, must be {rule}")]
    Header {
        /// First byte of the field.
        offset: usize,
        /// The field.
        field: &'static str,
        /// Its value.
        value: u64,
        /// What it has to be.
        rule: &'static str,
    },
    /// The file has another length than its header says.
    #[error("the dictionary has {len} bytes; its header says {expected}")]
    Len {
        /// Bytes of the file.
        len: u64,
        /// Bytes that its header says.
        expected: u64,
    },
    /// A part begins or ends where no record does, or overlaps another.
    #[error("part {part} of the dictionary has records {start} to {end} of {entries}")]
    Part {
        /// The part; one past the last if records are left.
        part: u32,
        /// First record.
        start: u32,
        /// One past the last record.
        end: u32,
        /// Records that there are.
        entries: u32,
    },
    /// The pilots of a part are others than its records have.
    #[error("part {part} of the dictionary is not written as its records demand")]
    PartForm {
        /// The part.
        part: u32,
    },
    /// A record has a field that cannot be.
    #[error("record {record} of the dictionary: {what}")]
    Record {
        /// The record.
        record: u32,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A blob is not described as it has to be.
    #[error("blob {blob} of the dictionary: {what}")]
    Blob {
        /// Position of the blob.
        blob: u32,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Two sources say different things of one blob.
    #[error("blob {id} is described in two ways")]
    Contradiction {
        /// The blob.
        id: BlobId,
    },
    /// Dictionaries that cannot be one.
    #[error("dictionary {position}, counted from 0, has another {what} than the first")]
    Mismatch {
        /// Which of them.
        position: usize,
        /// What differs.
        what: &'static str,
    },
    /// More than fits.
    #[error("too many {what} for one dictionary")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
    },
    /// An entry that a dictionary cannot hold.
    #[error("an entry of the dictionary cannot be stored: {what}")]
    Entry {
        /// Why not.
        what: &'static str,
    },
    /// Reading or writing failed.
    #[error("cannot write the dictionary")]
    Io(#[from] io::Error),
    /// The caller stopped the work.
    #[error(transparent)]
    Cancelled(#[from] image_model::Cancelled),
}

impl Blame for DictionaryError {
    fn fault(&self) -> Fault {
        match self {
            Self::Version { .. } => Fault::Unsupported,
            Self::Mismatch { .. } | Self::Entry { .. } => Fault::Misuse,
            Self::TooMany { .. } => Fault::Limit,
            Self::Io(_) => Fault::Io,
            Self::Cancelled(_) => Fault::Cancelled,
            _ => Fault::Corrupt,
        }
    }
}
