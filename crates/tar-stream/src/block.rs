//! The header block. Field positions are those of `tar-core`'s structures; the fields are
//! interpreted here, as by Go, since `tar-core` reads base-256 numbers without sign and overflow,
//! stops octal ones at a leading NUL, and does not support signed checksums or star headers.
//!
//! | offset | size | field | rule |
//! |---|---|---|---|
//! | 0 | 100 | name | ends at the first NUL or with the field |
//! | 100 | 8 | mode | number; only the low 12 bits count |
//! | 108 | 8 | uid | number |
//! | 116 | 8 | gid | number |
//! | 124 | 12 | size | number of payload bytes |
//! | 136 | 12 | mtime | number: seconds since 1970 |
//! | 148 | 8 | checksum | octal sum of the 512 bytes, these eight taken as spaces; unsigned, or signed by old writers |
//! | 156 | 1 | typeflag | see [`EntryKind`](crate::EntryKind) |
//! | 157 | 100 | linkname | as name |
//! | 257 | 8 | magic and version | `ustar`, NUL, any version: POSIX, star; `ustar`, two spaces, NUL: GNU; else V7, in which nothing behind the link name counts |
//! | 265 | 32 | uname | as name |
//! | 297 | 32 | gname | as name |
//! | 329 | 8 | devmajor | number |
//! | 337 | 8 | devminor | number |
//! | 345 | 155 | prefix | ustar: put in front of the name with a `/`; star: 131 bytes |
//! | 345 | 12 | atime | GNU; star: at 476 |
//! | 357 | 12 | ctime | GNU; star: at 488 |
//! | 386 | 96 | sparse | GNU: four pairs of offset and length, 12 bytes each |
//! | 482 | 1 | isextended | GNU: not 0 if a block of 21 more pairs follows |
//! | 483 | 12 | realsize | GNU: length of the sparse file, holes included |
//! | 508 | 4 | trailer | star: `tar\0` |
//! Numbers: octal digits surrounded by spaces or NULs, with nothing meaning 0 (only Go finds digits after NULs and
//! ignores anything after the first NUL that follows them, and GNU tar refuses a field of spaces, so strict reading
//! refuses these); or, if bit 7 of the first byte is set, a big-endian two's complement number in the remaining bits
//! (GNU).
//!
//! Sources: POSIX.1-2024 `pax`, GNU tar 1.35 `tar.h`, Go 1.25 `archive/tar`.

use std::fmt;

use image_model::width::{u64_from, usize_up_to};
use tar_core::{GNU_MAGIC, GNU_VERSION, Header, USTAR_MAGIC};

use crate::error::TarError;

/// Size of a block in bytes: a header is one block, payloads are padded to whole blocks.
pub const BLOCK_LEN: usize = 512;

pub(crate) type Block = [u8; BLOCK_LEN];

/// Bytes that pad `len` bytes to whole blocks.
///
/// ```
/// use lazyoci_tar_stream::block::padding_len;
/// assert_eq!([0, 1, 512].map(padding_len), [0, 511, 0]);
/// ```
#[must_use]
pub fn padding_len(len: u64) -> usize {
    // 2^64 is a multiple of a block, so wrapping arithmetic gives the padding.
    const BLOCK: u64 = u64_from(BLOCK_LEN);
    usize_up_to(len.wrapping_neg() % BLOCK)
}

/// A numeric field of a header block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the table of the module describes them")]
pub enum Field {
    Mode,
    Uid,
    Gid,
    Size,
    Mtime,
    Checksum,
    DevMajor,
    DevMinor,
    Atime,
    Ctime,
    RealSize,
    SparseOffset,
    SparseLength,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mode => "mode",
            Self::Uid => "uid",
            Self::Gid => "gid",
            Self::Size => "size",
            Self::Mtime => "mtime",
            Self::Checksum => "checksum",
            Self::DevMajor => "devmajor",
            Self::DevMinor => "devminor",
            Self::Atime => "atime",
            Self::Ctime => "ctime",
            Self::RealSize => "realsize",
            Self::SparseOffset => "sparse offset",
            Self::SparseLength => "sparse length",
        })
    }
}

/// The layout that the magic of a header block selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Magic {
    /// None: nothing after the link name counts.
    V7,
    /// `ustar` NUL, any version: POSIX, PAX.
    Ustar,
    /// As ustar, with the trailer `tar` NUL.
    Star,
    /// `ustar`, two spaces, NUL.
    Gnu,
}

impl Magic {
    fn of(block: &Block) -> Self {
        let header = Header::from_bytes(block).as_ustar();
        match () {
            () if header.magic == *USTAR_MAGIC && block[508..] == *b"tar\0" => Self::Star,
            () if header.magic == *USTAR_MAGIC => Self::Ustar,
            () if header.magic == *GNU_MAGIC && header.version == *GNU_VERSION => Self::Gnu,
            () => Self::V7,
        }
    }
}

/// The fields of a header block, before any extension is applied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeaderBlock<'a> {
    pub(crate) magic: Magic,
    pub(crate) typeflag: u8,
    pub(crate) mode: i64,
    pub(crate) uid: i64,
    pub(crate) gid: i64,
    pub(crate) size: i64,
    pub(crate) mtime: i64,
    /// Where the layout has it and the field is not empty.
    pub(crate) atime: Option<i64>,
    pub(crate) ctime: Option<i64>,
    pub(crate) devmajor: i64,
    pub(crate) devminor: i64,
    pub(crate) prefix: Prefix<'a>,
    pub(crate) name: &'a [u8],
    pub(crate) link_name: &'a [u8],
    pub(crate) uname: &'a [u8],
    pub(crate) gname: &'a [u8],
}

/// The name prefix of a header block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefix<'a> {
    /// None, or one that all readers see.
    Agreed(&'a [u8]),
    /// In a GNU header, where only Go reads it.
    Gnu(&'a [u8]),
    /// In a star header, of star's maximum length.
    FullStar(&'a [u8]),
    /// In a header without magic, where only Python reads it.
    Unmarked,
}

impl<'a> Prefix<'a> {
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Agreed(bytes) | Self::Gnu(bytes) | Self::FullStar(bytes) => bytes,
            Self::Unmarked => b"",
        }
    }
}

impl<'a> HeaderBlock<'a> {
    /// Checks the checksum of the block at `offset` and reads its fields.
    pub(crate) fn parse(block: &'a Block, offset: u64) -> Result<Self, TarError> {
        check_sum(block, offset)?;
        let magic = Magic::of(block);
        let fields = Header::from_bytes(block).as_ustar();
        let number = |field, bytes| field_number(field, bytes, offset);
        let mut header = Self {
            magic,
            typeflag: fields.typeflag[0],
            mode: number(Field::Mode, &fields.mode[..])?,
            uid: number(Field::Uid, &fields.uid)?,
            gid: number(Field::Gid, &fields.gid)?,
            size: number(Field::Size, &fields.size)?,
            mtime: number(Field::Mtime, &fields.mtime)?,
            atime: None,
            ctime: None,
            devmajor: 0,
            devminor: 0,
            prefix: Prefix::Agreed(b""),
            name: text(&fields.name),
            link_name: text(&fields.linkname),
            uname: b"",
            gname: b"",
        };
        if magic == Magic::V7 {
            if !text(&fields.prefix).is_empty() {
                header.prefix = Prefix::Unmarked;
            }
            return Ok(header);
        }
        header.uname = text(&fields.uname);
        header.gname = text(&fields.gname);
        header.devmajor = number(Field::DevMajor, &fields.dev_major)?;
        header.devminor = number(Field::DevMinor, &fields.dev_minor)?;
        header.prefix = match magic {
            Magic::V7 => Prefix::Agreed(b""),
            Magic::Ustar => Prefix::Agreed(text(&fields.prefix)),
            Magic::Star => {
                header.atime = Some(number(Field::Atime, &block[476..488])?);
                header.ctime = Some(number(Field::Ctime, &block[488..500])?);
                match text(&block[345..476]) {
                    full if full.len() == 131 => Prefix::FullStar(full),
                    prefix => Prefix::Agreed(prefix),
                }
            }
            Magic::Gnu => {
                let gnu = Header::from_bytes(block).as_gnu();
                let time = |bytes: &[u8]| match bytes {
                    [0, ..] => Some(None),
                    _ => number_of(bytes).map(Some),
                };
                let times = time(&gnu.atime).zip(time(&gnu.ctime));
                (header.atime, header.ctime) = times.unwrap_or_default();
                let prefix = text(&fields.prefix);
                if times.is_some() || !prefix.is_ascii() {
                    Prefix::Agreed(b"")
                } else {
                    Prefix::Gnu(prefix)
                }
            }
        };
        Ok(header)
    }
}

/// A numeric field of the block that readers do not read alike.
pub(crate) fn odd_number(block: &Block) -> Option<Field> {
    let fields = Header::from_bytes(block).as_ustar();
    let (major, minor): (&[u8], &[u8]) = match (Magic::of(block), fields.typeflag) {
        // Nobody looks at those of other kinds.
        (Magic::Ustar | Magic::Star | Magic::Gnu, [b'3' | b'4']) => {
            (&fields.dev_major, &fields.dev_minor)
        }
        _ => (b"", b""),
    };
    [
        (Field::Mode, &fields.mode[..]),
        (Field::Uid, &fields.uid),
        (Field::Gid, &fields.gid),
        (Field::Size, &fields.size),
        (Field::Mtime, &fields.mtime),
        (Field::Checksum, &fields.cksum),
        (Field::DevMajor, major),
        (Field::DevMinor, minor),
    ]
    .into_iter()
    .find(|(_, bytes)| !is_plain(bytes))
    .map(|(field, _)| field)
}

/// The part of a text field before the first NUL.
fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&b| b == 0);
    &field[..end.unwrap_or(field.len())]
}

/// Reads a numeric field of the block at `offset`.
pub(crate) fn field_number(field: Field, bytes: &[u8], offset: u64) -> Result<i64, TarError> {
    number_of(bytes).ok_or_else(|| TarError::Number {
        offset,
        field,
        found: bytes.into(),
    })
}

fn number_of(bytes: &[u8]) -> Option<i64> {
    let first = *bytes.first()?;
    if first & 0x80 == 0 {
        return i64::try_from(octal(bytes)?).ok();
    }
    // Two's complement: the bits of a negative number, inverted, are -1 - number.
    let invert = if first & 0x40 == 0 { 0 } else { 0xff };
    let mut value = u64::from((first ^ invert) & 0x7f);
    for byte in &bytes[1..] {
        if value >> 56 != 0 {
            return None;
        }
        value = value << 8 | u64::from(byte ^ invert);
    }
    let value = i64::try_from(value).ok()?;
    Some(if invert == 0 { value } else { !value })
}

/// Whether all readers find the same number: digits with spaces before them and spaces or NULs
/// after, NULs alone, or base-256.
fn is_plain(bytes: &[u8]) -> bool {
    let blank = |b: &u8| matches!(b, b' ' | 0);
    if bytes.first().is_some_and(|first| first & 0x80 != 0) || bytes.iter().all(|b| *b == 0) {
        return true;
    }
    let mut rest = bytes.iter().skip_while(|b| **b == b' ');
    rest.next().is_some_and(u8::is_ascii_digit)
        && rest.skip_while(|b| b.is_ascii_digit()).all(blank)
}

fn octal(bytes: &[u8]) -> Option<u64> {
    let blank = |b: &u8| matches!(b, b' ' | 0);
    let Some(start) = bytes.iter().position(|b| !blank(b)) else {
        return Some(0);
    };
    let last = bytes.iter().rposition(|b| !blank(b))?;
    let digits = text(&bytes[start..=last]);
    digits.iter().try_fold(0u64, |value, digit| match digit {
        b'0'..=b'7' if value >> 61 == 0 => Some(value << 3 | u64::from(digit & 7)),
        _ => None,
    })
}

/// Position of the checksum field.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// What a checksum adds up: the bytes of a block with the checksum field taken as spaces.
fn summands(block: &Block) -> impl Iterator<Item = u8> {
    let (before, behind) = (&block[..CHECKSUM.start], &block[CHECKSUM.end..]);
    before.iter().chain(&[b' '; 8]).chain(behind).copied()
}

pub(crate) fn unsigned_sum(block: &Block) -> u32 {
    summands(block).map(u32::from).sum()
}

fn check_sum(block: &Block, offset: u64) -> Result<(), TarError> {
    let computed = unsigned_sum(block);
    let stored = octal(&block[CHECKSUM]);
    if stored == Some(computed.into()) {
        return Ok(());
    }
    // Old writers added up signed characters: bytes from 0x80 on count 256 less.
    let signed: i32 = summands(block).map(|b| i32::from(b.cast_signed())).sum();
    if stored.is_some() && stored == u64::try_from(signed).ok() {
        return Ok(());
    }
    let mut found = [0; 8];
    found.copy_from_slice(&block[CHECKSUM]);
    Err(TarError::Checksum {
        offset,
        found,
        computed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        let cases: &[(&[u8], Option<i64>)] = &[
            (b"0000644\0", Some(0o644)),
            (b"     644", Some(0o644)),
            (b"644    \0", Some(0o644)),
            (b"\x00\x00644 \0\0", Some(0o644)),
            (b"12\0garb\0", Some(0o12)),
            (b"        ", Some(0)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"77777777", Some(0o7777_7777)),
            (b"777777777777", Some(0o7777_7777_7777)),
            (b"0000648\0", None),
            (b"12 34\0\0\0", None),
            (b"12 \x0034\0\0", None),
            (b"+1\0\0\0\0\0\0", None),
            (b"-1\0\0\0\0\0\0", None),
            (b"0x10\0\0\0\0", None),
            (b"\x80\0\0\0\0\0\0\x01", Some(1)),
            (b"\x80\0\0\x02\0\0\0\x01", Some(0x2_0000_0001)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
            (
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe",
                Some(-2),
            ),
            (
                b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
                Some(i64::MAX),
            ),
            (b"\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", Some(i64::MIN)),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", None),
            (b"\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff", None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(number_of(bytes), *expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn text_ends_at_nul_or_with_the_field() {
        assert_eq!(text(b"abc\0def"), b"abc");
        assert_eq!(text(b"abc"), b"abc");
        assert_eq!(text(b"\0"), b"");
    }

    #[test]
    fn padding_fills_blocks() {
        assert_eq!([0, 1, 511, 512, 513].map(padding_len), [0, 511, 1, 0, 511]);
    }
}
