//! What a blob says of its groups.

use std::ops::Range;

use bytes::Bytes;
use image_model::width::{u64_from, usize_from};
use image_model::{Codec, Digest, DigestAlgorithm, Limits};

use super::BLOCK;
use super::error::{At, GroupFault, V7Error, limit};
use super::group::{Group, GroupEntry};
use super::metadata_header::MetadataHeader;
use super::redirect::Redirect;
use super::table_header::{TableHeader, TableKind};

/// Most that `max_blocks_bits` may be.
const MAX_BITS: u8 = 19;

/// The blob metadata: the groups of a blob, and the chunks in them.
///
/// ```text
///        0  header                     24 bytes          MetadataHeader
///       24  tables, each at the next                     TableHeader
///           multiple of 8:
///             groups, and their end    24 an entry       GroupEntry
///             chunk lengths            4 a chunk
///             index of groups          4 a stride
///             digests, if any          32 a group
///             copied groups, if any    8 a group         Redirect
///           zero bytes to a multiple of 4096
/// ```
///
/// The first table of a type counts, others are skipped. All groups and chunks were checked.
#[derive(Debug, Clone)]
pub struct Groups {
    metadata: Bytes,
    header: MetadataHeader,
    tables: Vec<TableHeader>,
    entries: TableHeader,
    lengths: TableHeader,
    digests: Option<TableHeader>,
    redirects: Option<TableHeader>,
    codec: Codec,
    max_blocks: u32,
    stride: u32,
    /// Where the data are in the blob.
    data: Range<u64>,
    chunks: Box<[Place]>,
}

/// Where a chunk is.
#[derive(Debug, Clone, Copy)]
struct Place {
    block: u32,
    group: u32,
    /// First byte in the decoded group.
    offset: u32,
}

/// A chunk of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupChunk {
    /// Its position.
    pub index: u32,
    /// The group that holds it.
    pub group: u32,
    /// First byte in the decoded group.
    pub offset: u32,
    /// Bytes.
    pub len: u32,
}

impl Groups {
    /// Reads `metadata`, all blob metadata of a blob whose data are at `data`.
    ///
    /// # Errors
    /// [`V7Error`] if a structure is damaged or unknown, a group breaks a rule, the tables do not fit one another, or
    /// there is more than `limits` allow.
    pub fn decode(metadata: Bytes, data: Range<u64>, limits: &Limits) -> Result<Self, V7Error> {
        let len = u64_from(metadata.len());
        limit("bytes of metadata", len, limits.max_metadata_len)?;
        let header = MetadataHeader::read(&metadata)?;
        let mut tables: Vec<TableHeader> = Vec::new();
        let mut end = u64_from(MetadataHeader::LEN);
        for _ in 0..header.table_count {
            let table = TableHeader::read(&metadata, end)?;
            end = table.end();
            tables.push(table);
        }
        let find = |kind| {
            tables
                .iter()
                .find(|table| table.known() == Some(kind))
                .cloned()
        };
        let needed = |kind| find(kind).ok_or(V7Error::NoTable { table: kind });
        let entries = needed(TableKind::Groups)?;
        let lengths = needed(TableKind::Lengths)?;
        let index = needed(TableKind::Index)?;
        let digests = find(TableKind::Digests);
        let digests = digests.filter(|table| table.extension(&metadata)[0] == 1);
        let redirects = find(TableKind::Redirects);
        limit(
            "chunks",
            lengths.entry_count.into(),
            limits.max_chunks.into(),
        )?;
        if header.is_incremental() && redirects.is_some() {
            let what = "copied groups and data of an upper layer together";
            return Err(At::new("blob metadata", 0).unsupported(what));
        }
        let at = At::new(TableKind::Groups.name(), entries.offset);
        let [max_bits, compressor] = entries.extension(&metadata);
        at.require(
            max_bits <= MAX_BITS,
            "max_blocks_bits",
            max_bits,
            "at most 19",
        )?;
        let codec = match compressor {
            0 => Codec::None,
            1 => Codec::Zstd,
            2 => Codec::Lz4Block,
            _ => return Err(at.unsupported("a compressor that is not known")),
        };
        let [stride_bits, _] = index.extension(&metadata);
        let at = At::new(TableKind::Index.name(), index.offset);
        let fits = stride_bits <= max_bits;
        at.require(fits, "stride_bits", stride_bits, "at most max_blocks_bits")?;
        let groups = Self {
            header,
            entries,
            lengths,
            digests,
            redirects,
            codec,
            max_blocks: 1u32.checked_shl(max_bits.into()).unwrap_or(u32::MAX),
            stride: 1u32.checked_shl(stride_bits.into()).unwrap_or(u32::MAX),
            data,
            chunks: Box::default(),
            metadata,
            tables,
        };
        groups.checked(&index)
    }

    /// The same with its chunks, all of it checked.
    fn checked(mut self, index: &TableHeader) -> Result<Self, V7Error> {
        let count = |table, expected: u64, found: u32| match expected == u64::from(found) {
            true => Ok(()),
            false => Err(V7Error::Count {
                table,
                expected,
                found: found.into(),
            }),
        };
        let entries = self.entries.entry_count;
        if entries == 0 {
            count(TableKind::Groups, 1, entries)?;
        }
        let groups = u64::from(self.group_count());
        for (kind, table) in [
            (TableKind::Digests, &self.digests),
            (TableKind::Redirects, &self.redirects),
        ] {
            if let Some(table) = table {
                count(kind, groups, table.entry_count)?;
            }
        }
        let first = self.entry(0).unwrap_or(GroupEntry::from_bytes(&[0; 24]));
        if (first.block, first.chunk) != (0, 0) {
            let (block, chunk) = (first.block, first.chunk);
            let fault = GroupFault::First { block, chunk };
            return Err(V7Error::Group { index: 0, fault });
        }
        // As many as have lengths, which are in the metadata.
        let mut chunks = Vec::with_capacity(usize_from(self.lengths.entry_count));
        for index in 0..self.group_count() {
            let checked = self.check_group(index, &mut chunks);
            checked.map_err(|fault| V7Error::Group { index, fault })?;
        }
        let named = u64_from(chunks.len());
        count(TableKind::Lengths, named, self.lengths.entry_count)?;
        let strides = self.block_count().div_ceil(self.stride);
        count(TableKind::Index, strides.into(), index.entry_count)?;
        self.chunks = chunks.into();
        self.check_index(index)?;
        Ok(self)
    }

    /// Checks group `index`, and adds its chunks to those before.
    fn check_group(&self, index: u32, chunks: &mut Vec<Place>) -> Result<(), GroupFault> {
        let next = index.saturating_add(1);
        let (Some(this), Some(end)) = (self.entry(index), self.entry(next)) else {
            return Ok(());
        };
        let data_len = self.data.end.saturating_sub(self.data.start);
        let stored_len = end.stored_offset.checked_sub(this.stored_offset);
        let stored_len = stored_len.and_then(|len| u32::try_from(len).ok());
        let stored_len = stored_len.filter(|&len| len > 0 && end.stored_offset <= data_len);
        let stored_len = stored_len.ok_or(GroupFault::Stored {
            start: this.stored_offset,
            end: end.stored_offset,
            data_len,
        })?;
        let (min, max) = match next == self.group_count() {
            true => (1, self.max_blocks),
            false => (self.stride, self.max_blocks),
        };
        let blocks = end.block.saturating_sub(this.block);
        if !(min..=max).contains(&blocks) {
            let (start, end) = (this.block, end.block);
            return Err(GroupFault::Blocks {
                start,
                end,
                min,
                max,
            });
        }
        let count = self.lengths.entry_count;
        if this.chunk >= end.chunk || end.chunk > count {
            let (start, end) = (this.chunk, end.chunk);
            return Err(GroupFault::Chunks { start, end, count });
        }
        self.place_chunks(index, this.chunk..end.chunk, this, blocks, chunks)?;
        if self.codec == Codec::None && stored_len != this.len {
            let len = this.len;
            return Err(GroupFault::Plain { len, stored_len });
        }
        match self.redirect(index) {
            Some(redirect) if redirect.blob == 0 => Err(GroupFault::Redirect),
            _ => Ok(()),
        }
    }

    /// Adds the chunks `range` of group `index`, which is `entry` and covers `blocks`.
    fn place_chunks(
        &self,
        index: u32,
        range: Range<u32>,
        entry: GroupEntry,
        blocks: u32,
        chunks: &mut Vec<Place>,
    ) -> Result<(), GroupFault> {
        let (mut len, mut taken) = (0u64, 0u64);
        for chunk in range {
            let chunk_len = self.chunk_len(chunk);
            if chunk_len == 0 {
                return Err(GroupFault::EmptyChunk { chunk });
            }
            // What is more than the group has is found below.
            let block = entry
                .block
                .saturating_add(u32::try_from(taken).unwrap_or(u32::MAX));
            chunks.push(Place {
                block,
                group: index,
                offset: u32::try_from(len).unwrap_or(u32::MAX),
            });
            len = len.saturating_add(chunk_len.into());
            taken = taken.saturating_add(u64::from(chunk_len).div_ceil(BLOCK));
        }
        if len != u64::from(entry.len) {
            let (expected, found) = (entry.len, len);
            return Err(GroupFault::Len { expected, found });
        }
        match taken == u64::from(blocks) {
            true => Ok(()),
            false => Err(GroupFault::ChunkBlocks {
                expected: blocks,
                found: taken,
            }),
        }
    }

    /// Checks that the index names the group that covers the first block of each stride.
    fn check_index(&self, index: &TableHeader) -> Result<(), V7Error> {
        let mut expected = 0u32;
        for entry in 0..index.entry_count {
            let block = entry.saturating_mul(self.stride);
            let ends = |group: u32| self.entry(group.saturating_add(1)).map(|next| next.block);
            while ends(expected).is_some_and(|end| end <= block) {
                expected = expected.saturating_add(1);
            }
            let found = index.entry(&self.metadata, entry).map(u32::from_le_bytes);
            let found = found.unwrap_or(u32::MAX);
            if found != expected {
                return Err(V7Error::Index {
                    entry,
                    block,
                    expected,
                    found,
                });
            }
        }
        Ok(())
    }

    fn entry(&self, index: u32) -> Option<GroupEntry> {
        let bytes = self.entries.entry(&self.metadata, index)?;
        Some(GroupEntry::from_bytes(&bytes))
    }

    fn chunk_len(&self, chunk: u32) -> u32 {
        let bytes = self.lengths.entry(&self.metadata, chunk);
        bytes.map_or(0, u32::from_le_bytes)
    }

    fn redirect(&self, index: u32) -> Option<Redirect> {
        let bytes = self.redirects.as_ref()?.entry(&self.metadata, index)?;
        Some(Redirect::from_bytes(&bytes))
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &MetadataHeader {
        &self.header
    }

    /// The tables, in their order.
    #[must_use]
    pub fn tables(&self) -> &[TableHeader] {
        &self.tables
    }

    /// How groups are compressed, unless that makes one no shorter.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Most blocks that a group may cover.
    #[must_use]
    pub fn max_blocks(&self) -> u32 {
        self.max_blocks
    }

    /// Blocks of an entry of the index.
    #[must_use]
    pub fn stride(&self) -> u32 {
        self.stride
    }

    /// Number of groups.
    #[must_use]
    pub fn group_count(&self) -> u32 {
        self.entries.entry_count.saturating_sub(1)
    }

    /// Number of chunks.
    #[must_use]
    pub fn chunk_count(&self) -> u32 {
        self.lengths.entry_count
    }

    /// Blocks of the address space.
    #[must_use]
    pub fn block_count(&self) -> u32 {
        self.entry(self.group_count()).map_or(0, |end| end.block)
    }

    /// Whether its groups are copies of those of other blobs.
    #[must_use]
    pub fn is_redirect(&self) -> bool {
        self.redirects.is_some()
    }

    /// Bytes of the blob's data that no group has.
    pub fn gaps(&self) -> impl Iterator<Item = Range<u64>> {
        let start = self.entry(0).map_or(0, |first| first.stored_offset);
        let end = self
            .entry(self.group_count())
            .map_or(start, |end| end.stored_offset);
        let place = |offset: u64| self.data.start.saturating_add(offset).min(self.data.end);
        let gaps = [self.data.start..place(start), place(end)..self.data.end];
        gaps.into_iter().filter(|gap| !gap.is_empty())
    }

    /// Group number `index`; `None` if there are fewer.
    #[must_use]
    pub fn group(&self, index: u32) -> Option<Group> {
        let this = self.entry(index)?;
        let end = self.entry(index.checked_add(1)?)?;
        let place = |offset: u64| self.data.start.saturating_add(offset);
        let stored = place(this.stored_offset)..place(end.stored_offset);
        let plain = stored.end.saturating_sub(stored.start) == u64::from(this.len);
        let digest = self.digests.as_ref();
        let digest = digest.and_then(|table| table.entry(&self.metadata, index));
        Some(Group {
            stored,
            len: this.len,
            codec: if plain { Codec::None } else { self.codec },
            blocks: this.block..end.block,
            chunks: this.chunk..end.chunk,
            crc32c: this.crc32c,
            digest: digest.map(|digest| Digest::new(DigestAlgorithm::Blake3, digest)),
            redirect: self.redirect(index),
        })
    }

    /// Where the entry of group `index` is in the blob metadata.
    pub(super) fn group_place(&self, index: u32) -> Option<u64> {
        (index < self.group_count()).then(|| self.entries.place(index).start)
    }

    /// Bytes of chunk `chunk`, and where the blob metadata say it.
    pub(super) fn chunk_entry(&self, chunk: u32) -> (u32, u64) {
        (self.chunk_len(chunk), self.lengths.place(chunk).start)
    }

    /// The chunk that begins at `block` of the address space.
    #[must_use]
    pub fn chunk_at(&self, block: u32) -> Option<GroupChunk> {
        let found = self
            .chunks
            .binary_search_by_key(&block, |place| place.block);
        let index = found.ok()?;
        let place = self.chunks.get(index)?;
        let index = u32::try_from(index).ok()?;
        Some(GroupChunk {
            index,
            group: place.group,
            offset: place.offset,
            len: self.chunk_len(index),
        })
    }
}
