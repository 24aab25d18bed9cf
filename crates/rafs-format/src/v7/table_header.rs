//! The header of a table of the blob metadata.

use std::ops::Range;

use image_model::width::{u64_from, usize_from, usize_up_to};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::error::{At, V7Error};

#[derive(Debug, FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawTableHeader {
    kind: U16,
    header_size: U16,
    feature_compat: U16,
    feature_incompat: U16,
    entry_size: U32,
    entry_count: U32,
}

const _: () = assert!(size_of::<RawTableHeader>() == TableHeader::LEN);

/// Tables begin at multiples of this.
const ALIGNMENT: u64 = 8;

/// A table that is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TableKind {
    /// [`GroupEntry`](super::GroupEntry).
    Groups,
    /// Bytes of each chunk, 4 bytes an entry.
    Lengths,
    /// The group of every so many blocks, 4 bytes an entry.
    Index,
    /// BLAKE3 of each group, decoded: 32 bytes an entry.
    Digests,
    /// [`Redirect`](super::Redirect).
    Redirects,
}

impl TableKind {
    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Groups => "table of groups",
            Self::Lengths => "table of chunk lengths",
            Self::Index => "index of groups",
            Self::Digests => "table of group digests",
            Self::Redirects => "table of copied groups",
        }
    }

    const fn of(kind: u16) -> Option<Self> {
        match kind {
            1 => Some(Self::Groups),
            2 => Some(Self::Lengths),
            3 => Some(Self::Index),
            4 => Some(Self::Digests),
            5 => Some(Self::Redirects),
            _ => None,
        }
    }

    /// Bytes of the extension of its header, and of an entry, that a reader needs.
    const fn needs(self) -> (u16, u32) {
        match self {
            Self::Groups => (8, 24),
            Self::Lengths => (0, 4),
            Self::Index => (8, 4),
            Self::Digests => (8, 32),
            Self::Redirects => (0, 8),
        }
    }
}

/// The header of a table, 16 bytes at a multiple of 8; its extension follows, then the entries.
///
/// | offset | size | field | rule |
/// |---|---|---|---|
/// | 0 | 2 | type | 1 groups, 2 chunk lengths, 3 index of groups, 4 digests, 5 copied groups; others are skipped |
/// | 2 | 2 | header_size | 16 and the extension; a multiple of 8 |
/// | 4 | 2 | feature_compat | features that readers need not know |
/// | 6 | 2 | feature_incompat | 0; anything else is refused, whatever the type |
/// | 8 | 4 | entry_size | bytes of an entry; readers skip those beyond what they know |
/// | 12 | 4 | entry_count | entries |
///
/// The extension of the types 1, 3 and 4 has 8 bytes:
///
/// | type | offset | size | field | rule |
/// |---|---|---|---|---|
/// | 1 | 16 | 1 | max_blocks_bits | binary logarithm of the most blocks that a group covers, at most 19 |
/// | 1 | 17 | 1 | compressor | 0 none, 1 zstd, 2 LZ4 block; others are refused |
/// | 3 | 16 | 1 | stride_bits | binary logarithm of the blocks of an entry, at most max_blocks_bits |
/// | 4 | 16 | 1 | algorithm | 1 BLAKE3; with another the groups have no digests |
///
/// The rest of them is 0 and not read. Source: the crate nydus-format 3.0.0-beta.2, `blob/metadata.rs`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableHeader {
    /// What it is a table of, as stored.
    pub kind: u16,
    /// First byte, from the start of the blob metadata.
    pub offset: u64,
    /// Bytes of the header with its extension.
    pub header_size: u16,
    /// Features that readers need not know.
    pub feature_compat: u16,
    /// Bytes of an entry.
    pub entry_size: u32,
    /// Number of entries.
    pub entry_count: u32,
}

impl TableHeader {
    /// Length of the header without its extension.
    pub const LEN: usize = 16;

    /// Reads the header at the next multiple of 8 from `position` on in `metadata`, which hold the whole table.
    pub(super) fn read(metadata: &[u8], position: u64) -> Result<Self, V7Error> {
        let structure = "table";
        let offset = position.next_multiple_of(ALIGNMENT);
        let at = At::new(structure, offset);
        let available = u64_from(metadata.len());
        let start = usize_up_to(offset);
        let rest = metadata.get(start..).unwrap_or_default();
        let Some(raw) = rest.first_chunk::<{ Self::LEN }>() else {
            return Err(V7Error::Truncated {
                structure,
                offset,
                len: u64_from(Self::LEN),
                available,
            });
        };
        let raw: &RawTableHeader = zerocopy::transmute_ref!(raw);
        let header = Self {
            kind: raw.kind.get(),
            offset,
            header_size: raw.header_size.get(),
            feature_compat: raw.feature_compat.get(),
            entry_size: raw.entry_size.get(),
            entry_count: raw.entry_count.get(),
        };
        if raw.feature_incompat != 0 {
            return Err(at.unsupported("features that are not known"));
        }
        let known = TableKind::of(header.kind);
        let (extension, entry) = known.map_or((0, 0), TableKind::needs);
        let size = header.header_size;
        let fits = size >= extension.saturating_add(16) && size & 7 == 0;
        let rule = "a multiple of 8 that holds the header and its extension";
        at.require(fits, "header_size", size, rule)?;
        let rule = "enough for an entry";
        at.require(
            header.entry_size >= entry,
            "entry_size",
            header.entry_size,
            rule,
        )?;
        if header.end() > available {
            return Err(V7Error::Truncated {
                structure,
                offset,
                len: header.end().saturating_sub(offset),
                available,
            });
        }
        Ok(header)
    }

    /// What it is a table of; `None` if that is not known here.
    #[must_use]
    pub const fn known(&self) -> Option<TableKind> {
        TableKind::of(self.kind)
    }

    /// First byte of the entries.
    fn entries(&self) -> u64 {
        self.offset.saturating_add(self.header_size.into())
    }

    /// One past the last byte of the table.
    pub(super) fn end(&self) -> u64 {
        // Less than 2^64: the product of two words.
        let len = u64::from(self.entry_size).saturating_mul(self.entry_count.into());
        self.entries().saturating_add(len)
    }

    /// The first byte of the extension of a table in `metadata`, and the second.
    pub(super) fn extension(&self, metadata: &[u8]) -> [u8; 2] {
        let start = usize_up_to(self.offset).saturating_add(Self::LEN);
        let bytes = metadata.get(start..).and_then(|rest| rest.first_chunk());
        bytes.copied().unwrap_or_default()
    }

    /// Where entry `index` is in the blob metadata.
    pub(super) fn place(&self, index: u32) -> Range<u64> {
        let before = u64::from(self.entry_size).saturating_mul(index.into());
        let start = self.entries().saturating_add(before);
        start..start.saturating_add(self.entry_size.into())
    }

    /// The first bytes of entry `index` of a table in `metadata`; `None` if there are fewer entries.
    pub(super) fn entry<const LEN: usize>(&self, metadata: &[u8], index: u32) -> Option<[u8; LEN]> {
        if index >= self.entry_count || usize_from(self.entry_size) < LEN {
            return None;
        }
        let start = usize_up_to(self.place(index).start);
        metadata.get(start..)?.first_chunk().copied()
    }
}
