//! What can be wrong with a tar.

use std::io;

use image_model::metadata::XattrError;
use image_model::name::Brief;
use image_model::{Blame, Fault};

use crate::block::Field;
use crate::layer::LayerError;
use crate::sparse::SparseFault;

/// A tar that cannot be read any further. Offsets are bytes from the start of the (decoded) tar stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TarError {
    /// The source failed.
    #[error("cannot read the tar at byte {offset}")]
    Io {
        /// First byte that could not be read.
        offset: u64,
        /// The source's error.
        source: io::Error,
    },
    /// The layer around the tar is truncated, corrupt or too large.
    #[error("cannot read the tar at byte {offset}")]
    Layer {
        /// First byte of the tar that could not be decoded.
        offset: u64,
        /// What is wrong with the layer.
        source: LayerError,
    },
    /// The stream ends inside a structure.
    #[error("the tar is truncated at byte {offset}, inside {part}")]
    Cut {
        /// Length of the available part.
        offset: u64,
        /// The structure that it ends in.
        part: Part,
    },
    /// A header block does not match its checksum: not a tar, or not the start of a member.
    #[error("no tar header at byte {offset}: the sum of its bytes is {computed}, but its checksum field is \"{}\"", found.escape_ascii())]
    Checksum {
        /// First byte of the block.
        offset: u64,
        /// The checksum field.
        found: [u8; 8],
        /// The unsigned sum.
        computed: u32,
    },
    /// A numeric field of a header block is not a number.
    #[error("tar header at byte {offset}: field {field} is not a number: \"{}\"", found.escape_ascii())]
    Number {
        /// First byte of the block.
        offset: u64,
        /// The field.
        field: Field,
        /// Its bytes.
        found: Box<[u8]>,
    },
    /// A member whose size is negative, or so large that its end is beyond 2^63.
    #[error("tar member at byte {offset}: invalid size {size}")]
    Size {
        /// First byte of the member's own header block.
        offset: u64,
        /// The size.
        size: i64,
    },
    /// One block of zeros with something else after it.
    #[error("a lone zero block at byte {offset} of the tar")]
    LoneZeroBlock {
        /// First byte of the zero block.
        offset: u64,
    },
    /// The extension headers (PAX records, long names) of one member are too long.
    #[error(
        "the tar member's extension headers, here at byte {offset}, take {len} bytes; the limit is {limit}"
    )]
    ExtensionsTooLong {
        /// First byte of the header block that exceeds the limit.
        offset: u64,
        /// Bytes of all of them so far.
        len: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// A PAX record that is not of the form `LEN KEY=VALUE\n`, has no key, or contains a forbidden
    /// NUL.
    #[error("malformed PAX record at byte {offset} of the tar")]
    PaxRecord {
        /// First byte of the record.
        offset: u64,
    },
    /// A PAX record whose value is invalid for its key.
    #[error(
        "PAX records at byte {offset} of the tar: invalid value of `{}`: \"{}\"",
        Brief(key),
        Brief(value)
    )]
    PaxValue {
        /// First byte of the records.
        offset: u64,
        /// The key.
        key: Box<[u8]>,
        /// The value, or its first 64 bytes.
        value: Box<[u8]>,
    },
    /// Extended attributes with an unusable name.
    #[error("invalid tar member at byte {offset}")]
    Xattr {
        /// First byte of the member's own header block.
        offset: u64,
        /// What is wrong.
        source: XattrError,
    },
    /// A sparse file with an invalid map.
    #[error("sparse tar member at byte {offset}: {fault}")]
    Sparse {
        /// First byte of the member's own header block.
        offset: u64,
        /// What is wrong.
        fault: SparseFault,
    },
    /// Readers disagree on the meaning, so strict reading refuses it.
    #[error("refused by strict reading at byte {offset} of the tar: {reason}")]
    Refused {
        /// First byte of the header block in question.
        offset: u64,
        /// What readers disagree on.
        reason: Refusal,
    },
    /// More was requested than is left of a payload.
    #[error("{asked} bytes were requested, but only {left} are left of the payload")]
    PayloadEnd {
        /// Bytes left.
        left: u64,
        /// Bytes requested.
        asked: u64,
    },
    /// The reader was used after an error.
    #[error("an earlier error ended the reading of this tar")]
    Failed,
}

impl Blame for TarError {
    fn fault(&self) -> Fault {
        match self {
            Self::Io { .. } => Fault::Io,
            Self::Layer { source, .. } => source.fault(),
            Self::Cut { .. }
            | Self::Checksum { .. }
            | Self::Number { .. }
            | Self::Size { .. }
            | Self::LoneZeroBlock { .. }
            | Self::PaxRecord { .. }
            | Self::PaxValue { .. }
            | Self::Xattr { .. } => Fault::Corrupt,
            Self::Sparse { fault, .. } => fault.fault(),
            Self::ExtensionsTooLong { .. } | Self::Refused { .. } => Fault::Limit,
            Self::PayloadEnd { .. } | Self::Failed => Fault::Misuse,
        }
    }
}

impl From<TarError> for io::Error {
    fn from(error: TarError) -> Self {
        let kind = match &error {
            TarError::Io { source, .. } => source.kind(),
            TarError::Cut { .. } => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// The parts of a tar that a stream can end in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// A header block or an end block.
    Header,
    /// PAX records or a long name.
    Extension,
    /// The map of a sparse file.
    SparseMap,
    /// A member's payload.
    Payload,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Header => "a header block",
            Self::Extension => "an extension header",
            Self::SparseMap => "a sparse map",
            Self::Payload => "a payload",
        })
    }
}

/// Why strict reading refuses a tar: something that GNU tar, bsdtar, Go (and with it containerd and podman) and
/// Python's `tarfile` read differently.
///
/// Each variant says what [lenient](crate::TarReadOptions::lenient) reading, which follows Go, does
/// instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A PAX and a GNU long name that differ. Lenient: the GNU name.
    #[error(
        "a PAX record names the member \"{}\" (used by GNU tar), a GNU header \"{}\" (used by Go)",
        Brief(pax),
        Brief(gnu)
    )]
    Names {
        /// Value of `path` or `GNU.sparse.name`.
        pax: Box<[u8]>,
        /// Payload of the `L` header.
        gnu: Box<[u8]>,
    },
    /// A PAX and a GNU long link target that differ. Lenient: the GNU target.
    #[error(
        "a PAX record links the member to \"{}\" (used by GNU tar), a GNU header to \"{}\" (used by Go)",
        Brief(pax),
        Brief(gnu)
    )]
    LinkTargets {
        /// Value of `linkpath`.
        pax: Box<[u8]>,
        /// Payload of the `K` header.
        gnu: Box<[u8]>,
    },
    /// A GNU long name or link target that is empty: Go ignores it, GNU tar does not. Lenient:
    /// ignored.
    #[error("an empty GNU long name of type `{}`, which Go ignores, but GNU tar and bsdtar do not", char::from(*typeflag))]
    EmptyLongName {
        /// `L` or `K`.
        typeflag: u8,
    },
    /// A PAX `size` that differs from the header block's, in a kind without payload: bsdtar skips
    /// that many bytes, Go and GNU tar do not. Lenient: no payload.
    #[error("PAX gives size {pax} to a member of type `{}`, which has no payload; its header block says {header} (bsdtar skips it, Go and GNU tar do not)", char::from(*typeflag))]
    PaxSizeWithoutPayload {
        /// Type of the member.
        typeflag: u8,
        /// Value of `size`.
        pax: i64,
        /// Size field of the header block.
        header: i64,
    },
    /// An extended attribute twice with different values: bsdtar uses the first, Go and GNU tar the last. Lenient: the
    /// last.
    #[error(
        "PAX record `{}` appears twice with different values: bsdtar uses the first, Go and GNU tar the last",
        Brief(key)
    )]
    DuplicateRecord {
        /// The key.
        key: Box<[u8]>,
    },
    /// A PAX record without a value: Go ignores it, GNU tar and Python do not. Lenient: ignored.
    #[error(
        "PAX record `{}` has no value, which Go ignores and GNU tar refuses",
        Brief(key)
    )]
    EmptyRecord {
        /// The key.
        key: Box<[u8]>,
    },
    /// A number with a plus sign: Go reads it, GNU tar refuses it. Lenient: read.
    #[error(
        "PAX record `{}` is a number with a plus sign, which Go reads and GNU tar refuses",
        Brief(key)
    )]
    PlusSign {
        /// The key.
        key: Box<[u8]>,
    },
    /// An extended attribute that only a `LIBARCHIVE.xattr.` record gives: bsdtar sets it, Go and
    /// GNU tar do not. Lenient: ignored.
    #[error(
        "extended attribute \"{}\" only in a LIBARCHIVE record, which bsdtar reads, but Go and GNU tar do not",
        Brief(name)
    )]
    LibarchiveXattr {
        /// Name of the attribute.
        name: Box<[u8]>,
    },
    /// Extension headers with no member after them. Lenient: ignored.
    #[error("an extension header of type `{}` with no member after it, which Go and GNU tar ignore and bsdtar refuses", char::from(*typeflag))]
    DanglingExtension {
        /// `x`, `L` or `K`.
        typeflag: u8,
    },
    /// The tar ends inside the padding of a payload: Go accepts that as the end, GNU tar, bsdtar
    /// and Python refuse it. Lenient: the end.
    #[error(
        "the padding after a payload is truncated, which Go accepts, but GNU tar and bsdtar refuse"
    )]
    CutPadding,
    /// A global PAX header that would change members: GNU tar applies it, Go does not. Lenient:
    /// ignored. Records without effect (`comment`, as written by `git archive`) are accepted.
    #[error(
        "global PAX record `{}`, which GNU tar applies, but Go and bsdtar do not",
        Brief(key)
    )]
    GlobalRecord {
        /// The key.
        key: Box<[u8]>,
    },
    /// An extension header before a global one: Go loses it, GNU tar and bsdtar apply it to the next member. Lenient:
    /// lost.
    #[error("an extension header of type `{}` before a global one, which Go loses, but GNU tar and bsdtar do not", char::from(*typeflag))]
    ExtensionBeforeGlobal {
        /// `x`, `L` or `K`.
        typeflag: u8,
    },
    /// A Solaris `X` header: GNU tar treats it as a PAX header, Go as a member. Lenient: a member
    /// of unknown kind.
    #[error(
        "a Solaris extended header of type `X`, which GNU tar and bsdtar apply, but Go does not"
    )]
    SunExtension,
    /// A regular file (type `0` or `7`) whose name ends in a slash: GNU tar makes a directory, Go
    /// a file. Lenient: a file.
    #[error(
        "a regular file whose name ends in a slash, which is a directory for GNU tar and bsdtar, but a file for Go: \"{}\"",
        Brief(name)
    )]
    TrailingSlash {
        /// The name.
        name: Box<[u8]>,
    },
    /// A number that Go, GNU tar and bsdtar read differently: digits after NULs (0 for all but Go), something after the
    /// terminating NUL (bsdtar refuses it), only spaces (GNU tar refuses them). Lenient: as Go.
    #[error(
        "field {field} spells a number in a way that Go reads differently from GNU tar or bsdtar"
    )]
    NumberSpelling {
        /// The field.
        field: Field,
    },
    /// A header block without magic that has something in the place of ustar's name prefix: Python
    /// reads it as a prefix. Lenient: ignored.
    #[error(
        "a header block without magic and with a name prefix, which Python reads, but Go, GNU tar and bsdtar do not"
    )]
    UnmarkedPrefix,
    /// A star header block whose name prefix is followed by bytes that belong to the prefix in
    /// ustar. Lenient: as star.
    #[error(
        "a star header block with a name prefix of full length, which Go reads differently from GNU tar"
    )]
    StarPrefix,
    /// `SCHILY.xattr.` and `LIBARCHIVE.xattr.` give one attribute different values. Lenient: the
    /// former.
    #[error(
        "two values for the extended attribute \"{}\", one for Go and GNU tar, one for bsdtar",
        Brief(name)
    )]
    Xattrs {
        /// Name of the attribute.
        name: Box<[u8]>,
    },
    /// An extended attribute whose name contains `%3D` or `%25`: GNU tar reads `=` or `%`, Go does not. Lenient:
    /// verbatim.
    #[error(
        "extended attribute \"{}\", which GNU tar reads differently",
        Brief(name)
    )]
    EscapedXattr {
        /// Name of the attribute.
        name: Box<[u8]>,
    },
    /// `GNU.sparse.*` records of an unknown version. Lenient: a plain file.
    #[error(
        "GNU sparse format {}.{}, which is a plain file for Go, but not for GNU tar and bsdtar",
        Brief(major),
        Brief(minor)
    )]
    SparseVersion {
        /// Value of `GNU.sparse.major`.
        major: Box<[u8]>,
        /// Value of `GNU.sparse.minor`.
        minor: Box<[u8]>,
    },
    /// Sparse records that contradict each other: two maps, or two sizes. Lenient: the
    /// `GNU.sparse.offset` pairs, `GNU.sparse.size`.
    #[error("contradictory records of a sparse file: Go, GNU tar and bsdtar use different ones")]
    SparseRecords,
    /// A sparse file whose map ends before the file does, without a region of length 0 at its end: GNU tar truncates
    /// the file there, Go and libarchive do not. Lenient: as Go.
    #[error(
        "a sparse map that ends at byte {end} of {size}, where GNU tar truncates the file, but Go and bsdtar do not"
    )]
    SparseEnd {
        /// Where the map ends.
        end: u64,
        /// Size of the file.
        size: u64,
    },
    /// A sparse file with a data region, other than the last, that is not a multiple of 512 bytes:
    /// GNU tar pads it, Go and libarchive do not. Lenient: as Go.
    #[error(
        "a data region of {len} bytes inside a sparse file, which GNU tar pads to whole blocks, but Go and bsdtar do not"
    )]
    SparseRegion {
        /// Its length in bytes.
        len: u64,
    },
}
