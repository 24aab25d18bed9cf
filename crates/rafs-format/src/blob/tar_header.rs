//! The tar headers that name a blob's sections.

use super::error::{BlobError, TarHeaderFault};
use super::layout::Section;

/// A 512-byte GNU tar header, which stands *after* the section that it describes, so that a blob
/// can be written in one pass and walked from its end.
///
/// | offset | size | content |
/// |---|---|---|
/// | 0 | 100 | name of the section |
/// | 100 | 24 | mode, uid, gid: NUL |
/// | 124 | 12 | bytes of the section: 11 octal digits, NUL |
/// | 136 | 12 | mtime: 11 digits `0`, NUL |
/// | 148 | 8 | checksum: 7 octal digits, NUL |
/// | 156 | 1 | type `0`, a regular file |
/// | 257 | 8 | `ustar`, two spaces, NUL |
/// | rest | | NUL |
///
/// Source: nydus v2, `builder/src/core/context.rs` (`write_tar_header`), which takes the bytes from
/// the `tar` crate. nydus reads back name, type, size and magic; the checksum is compared here too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TarHeader {
    /// Name of the section, padded with NUL.
    name: [u8; 100],
    /// Length of the section in bytes.
    len: u64,
}

const SIZE: usize = 124;
const MTIME: usize = 136;
const CHECKSUM: usize = 148;
const CHECKSUM_END: usize = 156;
const KIND: usize = 156;
const MAGIC: usize = 257;
const GNU: &[u8; 8] = b"ustar  \0";
/// First length that 11 octal digits cannot hold.
const MAX_LEN: u64 = 1 << 33;

impl TarHeader {
    /// Size of a header in bytes.
    pub const LEN: usize = 512;

    /// The header of `section`, which has `len` bytes: for [`Section::ChunkInfo`], together with
    /// its own header.
    #[must_use]
    pub fn new(section: Section, len: u64) -> Self {
        let mut name = [0; 100];
        name[..section.name().len()].copy_from_slice(section.name().as_bytes());
        Self { name, len }
    }

    /// Whether the header is that of `section`.
    #[must_use]
    pub fn names(&self, section: Section) -> bool {
        let name = section.name().as_bytes();
        let (head, rest) = self.name.split_at(name.len());
        head == name && rest[0] == 0
    }

    /// Length of the section in bytes.
    #[must_use]
    pub fn section_len(&self) -> u64 {
        self.len
    }

    /// Reads the header at `offset` of the blob.
    ///
    /// # Errors
    /// [`BlobError::TarHeader`].
    pub fn from_bytes(bytes: &[u8; Self::LEN], offset: u64) -> Result<Self, BlobError> {
        parse(bytes).map_err(|fault| BlobError::TarHeader { offset, fault })
    }

    /// The header as stored.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..100].copy_from_slice(&self.name);
        write_size(&mut bytes, self.len);
        bytes[MTIME..MTIME + 11].fill(b'0');
        bytes[KIND] = b'0';
        bytes[MAGIC..MAGIC + 8].copy_from_slice(GNU);
        let sum = checksum(&bytes);
        write_octal(&mut bytes[CHECKSUM..CHECKSUM_END - 1], sum.into());
        bytes
    }
}

fn parse(bytes: &[u8; TarHeader::LEN]) -> Result<TarHeader, TarHeaderFault> {
    if &bytes[MAGIC..MAGIC + 8] != GNU {
        return Err(TarHeaderFault::Magic);
    }
    let stored = octal(&bytes[CHECKSUM..CHECKSUM_END]).ok_or(TarHeaderFault::Checksum)?;
    if stored != u64::from(checksum(bytes)) {
        return Err(TarHeaderFault::Checksum);
    }
    if bytes[KIND] != b'0' {
        return Err(TarHeaderFault::Kind { found: bytes[KIND] });
    }
    let len = read_size(&bytes[SIZE..MTIME]).ok_or(TarHeaderFault::Size)?;
    let mut name = [0; 100];
    name.copy_from_slice(&bytes[..100]);
    Ok(TarHeader { name, len })
}

/// The sum of all bytes, those of the checksum counted as spaces.
fn checksum(bytes: &[u8; TarHeader::LEN]) -> u32 {
    let (before, behind) = (&bytes[..CHECKSUM], &bytes[CHECKSUM_END..]);
    let summands = before.iter().chain(&[b' '; 8]).chain(behind);
    summands.copied().map(u32::from).sum()
}

/// As the `tar` crate does: octal, and beyond 8 GiB the number itself, big endian, after `0x80`.
fn write_size(bytes: &mut [u8; TarHeader::LEN], len: u64) {
    if len < MAX_LEN {
        write_octal(&mut bytes[SIZE..MTIME - 1], len);
    } else {
        bytes[SIZE] = 0x80;
        bytes[MTIME - 8..MTIME].copy_from_slice(&len.to_be_bytes());
    }
}

fn read_size(field: &[u8]) -> Option<u64> {
    match field {
        [0x80, 0, 0, 0, number @ ..] => Some(u64::from_be_bytes(number.try_into().ok()?)),
        _ => octal(field),
    }
}

/// Digits up to the first NUL or space.
fn octal(field: &[u8]) -> Option<u64> {
    let len = field
        .iter()
        .position(|&b| b == 0 || b == b' ')
        .unwrap_or(field.len());
    let digits = &field[..len];
    if digits.is_empty() || digits.iter().any(|b| !(b'0'..=b'7').contains(b)) {
        return None;
    }
    // At most 12 digits of 3 bits.
    Some(
        digits
            .iter()
            .fold(0, |number, b| number << 3 | u64::from(b & 7)),
    )
}

fn write_octal(field: &mut [u8], mut number: u64) {
    for digit in field.iter_mut().rev() {
        let [low, ..] = number.to_le_bytes();
        *digit = b'0' | low & 7;
        number >>= 3;
    }
}
