//! Tar members as stored.

use std::collections::BTreeMap;

use image_model::advisory::Oddity;
use image_model::tree::Spans;
use image_model::{Timestamp, Xattrs};

use crate::block::{BLOCK_LEN, Block, HeaderBlock, padding_len};
use crate::pax::{self, Record};

/// One member of a tar, its extension headers applied. Names, owners and device numbers are as
/// stored in the tar; [`Entry::into_member`] checks them and converts the entry to the model.
///
/// Offsets are bytes from the start of the tar stream:
///
/// ```text
/// | padding of the member before | extension headers, header block, sparse map | payload | ...
/// |<------------------------- raw ------------------------------------------->|
///                                ^ offset                     payload_offset ^
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// First byte of its first header block, including extension headers.
    pub offset: u64,
    /// First byte of its own header block.
    pub header_offset: u64,
    /// Name, not cleaned.
    pub path: Vec<u8>,
    /// Target of a hard or symbolic link, verbatim; for other kinds, the content of the header field.
    pub link_target: Vec<u8>,
    /// Kind of member.
    pub kind: EntryKind,
    /// The type in its own header block.
    pub typeflag: u8,
    /// Low 12 bits of the mode.
    pub mode: u16,
    /// The whole mode field, which may contain the bits of the type or be negative.
    pub raw_mode: i64,
    /// Owner.
    pub uid: i64,
    /// Group.
    pub gid: i64,
    /// Name of the owner; empty if there is none.
    pub uname: Box<[u8]>,
    /// Name of the group; empty if there is none.
    pub gname: Box<[u8]>,
    /// Time of last modification.
    pub mtime: Timestamp,
    /// Time of last access, if PAX records or a GNU header block have one.
    pub atime: Option<Timestamp>,
    /// Time of last change, if PAX records or a GNU header block have one.
    pub ctime: Option<Timestamp>,
    /// Major device number; 0 in V7 headers.
    pub devmajor: i64,
    /// Minor device number; 0 in V7 headers.
    pub devminor: i64,
    /// Extended attributes.
    pub xattrs: Xattrs,
    /// Length of the file in bytes, including holes; 0 for kinds without payload.
    pub size: u64,
    /// First byte of the payload.
    pub payload_offset: u64,
    /// Length of the stored payload in bytes, without holes, sparse map and padding.
    pub payload_len: u64,
    /// Where the file's bytes are in the tar.
    pub spans: Spans,
    /// Whether it has a sparse map, even one without holes.
    pub is_sparse: bool,
    /// Whether a PAX header for all further members (type `g`) comes before it, after the payload of the member before.
    pub after_global: bool,
    /// Oddities that are accepted because the runtimes agree on them.
    pub oddities: Vec<Oddity>,
    pub(crate) raw: Vec<u8>,
    /// Bytes of `raw` that belong to the previous member.
    pub(crate) gap: usize,
}

impl Entry {
    /// Every byte between the payload of the previous member and this one's: that one's padding,
    /// the extension headers, the header block, the blocks of a sparse map.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// [`raw`](Self::raw) without the padding of the previous member.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        &self.raw[self.gap..]
    }

    /// The records of its PAX header, in order of their keys; of equal keys the last one. Of several PAX headers the last
    /// one counts.
    #[must_use]
    pub fn pax_records(&self) -> Vec<Record<'_>> {
        let last = self.extensions().filter(|(kind, _)| *kind == b'x').last();
        // The reader has parsed them.
        let records = pax::records(last.map_or(&[], |(_, payload)| payload)).flatten();
        let by_key: BTreeMap<_, _> = records.map(|record| (record.key, record)).collect();
        by_key.into_values().collect()
    }

    /// Whether a PAX header for all further members (type `g`) is among its headers.
    #[must_use]
    pub fn has_global(&self) -> bool {
        self.extensions().any(|(kind, _)| kind == b'g')
    }

    /// Types and payloads of its extension headers.
    fn extensions(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let mut rest = self.header();
        std::iter::from_fn(move || {
            let block: &Block = rest.first_chunk()?;
            let header = HeaderBlock::parse(block, 0).ok()?;
            if !matches!(header.typeflag, b'x' | b'g' | b'L' | b'K') {
                return None;
            }
            let len = usize::try_from(header.size).ok()?;
            let payload = rest.get(BLOCK_LEN..)?.get(..len)?;
            let padding = padding_len(u64::try_from(len).ok()?);
            rest = rest.get(BLOCK_LEN.checked_add(len)?.checked_add(padding)?..)?;
            Some((header.typeflag, payload))
        })
    }

    /// Takes [`raw`](Self::raw) from the entry, leaving it empty.
    #[must_use]
    pub fn take_raw(&mut self) -> Vec<u8> {
        self.gap = 0;
        std::mem::take(&mut self.raw)
    }
}

/// The kinds of tar members. Extension headers are not members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A regular file: type `0`, NUL without a slash at the end of the name, `7` (contiguous) or
    /// `S` (sparse).
    File,
    /// A hard link to another member: type `1`.
    HardLink,
    /// Type `2`.
    Symlink,
    /// Type `3`.
    CharDevice,
    /// Type `4`.
    BlockDevice,
    /// Type `5`, or NUL with a slash at the end of the name.
    Directory,
    /// Type `6`.
    Fifo,
    /// Any other type: vendors' members, GNU volume labels and dump directories. Has a payload.
    Other(u8),
}

impl EntryKind {
    pub(crate) fn of(typeflag: u8, path: &[u8]) -> Self {
        match typeflag {
            0 if path.ends_with(b"/") => Self::Directory,
            0 | b'0' | b'7' | b'S' => Self::File,
            b'1' => Self::HardLink,
            b'2' => Self::Symlink,
            b'3' => Self::CharDevice,
            b'4' => Self::BlockDevice,
            b'5' => Self::Directory,
            b'6' => Self::Fifo,
            other => Self::Other(other),
        }
    }

    /// Whether members of this kind have a payload; others have none, whatever their size field says.
    #[must_use]
    pub const fn has_payload(self) -> bool {
        matches!(self, Self::File | Self::Other(_))
    }
}
