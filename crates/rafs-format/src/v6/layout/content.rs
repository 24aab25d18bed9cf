//! The content of files: checked, addressed, collected into the chunk table.

use image_model::image::ChunkRange;
use image_model::width::usize_from;
use image_model::{BlobIndex, Digest, InodeId, Node};

use crate::layout::content::{File, StoredChunk, check_file, file_extents};
use crate::layout::{BadContent, EncodeError, LayoutInput};
use crate::v6::chunk_address::ChunkAddress;
use erofs_format::BlockSize;
use erofs_format::inode::{CHUNK_FORMAT_BITS, CHUNK_FORMAT_INDEXES};

/// Mark of a chunk that no file uses.
const UNUSED: u32 = u32::MAX;

/// What is gathered about chunks while files are placed.
#[derive(Debug)]
pub(super) struct Contents<'a> {
    input: LayoutInput<'a>,
    chunk_size: u32,
    block_size: BlockSize,
    /// A file for each of its names, in the order of the names.
    names: Vec<InodeId>,
}

/// The chunk table, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChunkTable {
    /// Positions in the image's list of chunks and the chunk's number in the last file that uses it.
    pub(super) records: Vec<(u32, u32)>,
}

impl<'a> Contents<'a> {
    pub(super) fn new(input: LayoutInput<'a>, chunk_size: u32, block_size: BlockSize) -> Self {
        Self {
            input,
            chunk_size,
            block_size,
            names: Vec::new(),
        }
    }

    pub(super) const fn chunk_size(&self) -> u32 {
        self.chunk_size
    }

    /// Registers a name of the file `id`.
    pub(super) fn add_name(&mut self, id: InodeId) {
        self.names.push(id);
    }

    /// Checks the content of a file; returns `i_u`.
    pub(super) fn check_file(
        &self,
        id: InodeId,
        size: u64,
        content: ChunkRange,
    ) -> Result<u32, EncodeError> {
        let chunk_size = u64::from(self.chunk_size);
        let mut contiguous = size > chunk_size;
        let mut last: Option<(BlobIndex, u64)> = None;
        let file = File { id, size, content };
        check_file(self.input, file, self.chunk_size, &mut |stored| {
            let (blob, address) = (stored.frame.blob, stored.place.address);
            stored.check(self.input.entries, self.block_size.bytes())?;
            if u32::try_from(self.block_size.whole_in(address)).is_err() {
                return Err(BadContent::OutsideBlob);
            }
            contiguous &= last.is_none_or(|(before, start)| {
                before == blob && start.checked_add(chunk_size) == Some(address)
            });
            last = Some((blob, address));
            Ok(())
        })?;
        Ok(self.chunk_format(size, contiguous))
    }

    /// A file whose chunks lie one after the other is one long chunk for EROFS.
    fn chunk_format(&self, size: u64, contiguous: bool) -> u32 {
        let bits = |len: u64| (len.trailing_zeros()).saturating_sub(self.block_size.bits().into());
        let own = bits(self.chunk_size.into());
        let long = match size.checked_next_power_of_two() {
            Some(len) if contiguous => bits(len),
            _ => own,
        };
        // A length beyond the range of the field is served chunk by chunk instead.
        let bits = if long <= CHUNK_FORMAT_BITS { long } else { own };
        CHUNK_FORMAT_INDEXES | bits
    }

    /// The chunks that files use, each with its number in the file that uses it last, in the order of
    /// names. Of a file with several names that is the last one.
    fn uses(&self) -> Result<Vec<(u32, u32)>, EncodeError> {
        let image = self.input.image;
        let mut last_use = vec![UNUSED; image.chunks.len()];
        let mut seen = vec![false; image.tree.len()];
        for &id in self.names.iter().rev() {
            if std::mem::replace(&mut seen[id.index()], true) {
                continue;
            }
            let Node::File { content, .. } = image.tree.inode(id).node else {
                continue;
            };
            let extents = file_extents(image, content)?.iter().enumerate().rev();
            for (number, chunk) in extents.filter_map(|(n, extent)| Some((n, extent.chunk?))) {
                let last = &mut last_use[chunk.index()];
                if *last == UNUSED {
                    *last = u32::try_from(number).expect("a file has fewer extents");
                }
            }
        }
        let used = last_use.iter().filter(|&&number| number != UNUSED).count();
        let mut uses = Vec::with_capacity(used);
        let positions = (0u32..).zip(last_use);
        uses.extend(positions.filter(|&(_, number)| number != UNUSED));
        Ok(uses)
    }

    /// The chunk of each blob that is used last, in the order of blobs. The digests of a tarfs image are zeros, so nydus
    /// keeps one record for each blob: the last that it has met.
    fn last_of_each_blob(&self) -> Result<Vec<(u32, u32)>, EncodeError> {
        let image = self.input.image;
        let mut last = vec![None; image.blobs.len()];
        for &id in self.names.iter().rev() {
            let Node::File { content, .. } = image.tree.inode(id).node else {
                continue;
            };
            let extents = file_extents(image, content)?.iter().enumerate().rev();
            for (number, chunk) in extents.filter_map(|(n, extent)| Some((n, extent.chunk?))) {
                let small = |n: usize| u32::try_from(n).expect("lists are shorter than 2^32");
                let stored = StoredChunk::registered(self.input, chunk.index());
                let blob = last.get_mut(usize_from(stored.frame.blob.0));
                let blob = blob.ok_or(EncodeError::Broken { what: "blob" })?;
                blob.get_or_insert((small(chunk.index()), small(number)));
            }
        }
        Ok(last.into_iter().flatten().collect())
    }

    /// Sorts the chunks that files use by digest, then by blob and index.
    ///
    /// nydus leaves the index out of the key, so that of two chunks with one digest in one blob it
    /// drops one, whose files are unreadable then. Without such chunks the tables are the same. In tarfs mode the table
    /// says nothing.
    pub(super) fn into_table(self, tarfs: bool) -> Result<ChunkTable, EncodeError> {
        let mut records = self.uses()?;
        let place = |&(position, _): &(u32, u32)| {
            let chunk = &self.input.image.chunks[usize_from(position)];
            let blob = self.input.image.frames[usize_from(chunk.frame.0)].blob.0;
            (blob, self.input.places[usize_from(position)].index)
        };
        records.sort_unstable_by_key(place);
        if let Some(pair) = records
            .windows(2)
            .find(|pair| place(&pair[0]) == place(&pair[1]))
        {
            let (blob, index) = place(&pair[0]);
            return Err(EncodeError::DuplicateChunk { blob, index });
        }
        if tarfs {
            let records = self.last_of_each_blob()?;
            return Ok(ChunkTable { records });
        }
        let digest = |position: u32| {
            let digest = &self.input.image.chunks[usize_from(position)].digest;
            digest.as_ref().map_or(&[0; 32], Digest::as_bytes)
        };
        // The first bytes, kept beside the record, decide nearly every comparison.
        let start =
            |position| u64::from_be_bytes(*digest(position).first_chunk().expect("32 bytes"));
        let mut keyed: Vec<_> = records
            .into_iter()
            .map(|used| (start(used.0), used))
            .collect();
        keyed.sort_unstable_by(|(start_a, a), (start_b, b)| {
            let by_digest = start_a
                .cmp(start_b)
                .then_with(|| digest(a.0).cmp(digest(b.0)));
            by_digest.then_with(|| place(a).cmp(&place(b)))
        });
        let records = keyed.into_iter().map(|(_, used)| used).collect();
        Ok(ChunkTable { records })
    }
}

/// The address of a chunk that was registered.
pub(super) fn address(
    input: LayoutInput<'_>,
    position: usize,
    block_size: BlockSize,
) -> ChunkAddress {
    let StoredChunk { frame, place, .. } = StoredChunk::registered(input, position);
    ChunkAddress {
        device: u8::try_from(frame.blob.0.saturating_add(1))
            .expect("the plan refuses more than 254 blobs"),
        index: place.index,
        startblk: u32::try_from(block_size.whole_in(place.address))
            .expect("the plan refuses higher addresses"),
    }
}
