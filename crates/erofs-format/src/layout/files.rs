//! How files are stored.

use image_model::image::ChunkRange;
use image_model::width::{u64_from, usize_from};
use image_model::{ChunkId, InodeId};

use super::{EncodeError, LayoutInput};
use crate::block_size::BlockSize;
use crate::loss::path_of;

/// How a file is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileLayout {
    /// In one piece, from this block of content on, but for the last `tail` bytes, which are inline.
    OnePiece { first: u32, tail: u64 },
    Chunks {
        /// The word `i_u`.
        format: u32,
        count: u64,
    },
}

/// The chunks of a file; `None` of an extent that is a hole.
pub(super) fn chunks<'a>(
    input: &LayoutInput<'a>,
    content: ChunkRange,
) -> Option<impl Iterator<Item = Option<ChunkId>> + use<'a>> {
    let range = usize_from(content.start)..usize_from(content.end);
    let extents = input.extents.get(range)?;
    Some(extents.iter().map(|extent| extent.chunk))
}

/// First block of a chunk, counted from where content begins; `None` for zeros.
pub(super) fn place(input: &LayoutInput<'_>, chunk: Option<ChunkId>) -> Option<u32> {
    *input.chunks.get(chunk?.index())?
}

/// How the file `id` of `size` bytes is stored.
pub(super) fn file_layout(
    input: &LayoutInput<'_>,
    id: InodeId,
    size: u64,
    content: ChunkRange,
) -> Result<FileLayout, EncodeError> {
    let chunk_size = u64::from(input.chunk_size);
    let blocks = BlockSize::B4096.whole_in(chunk_size);
    let range = usize_from(content.start)..usize_from(content.end);
    let extents = input.extents.get(range);
    let extents = extents.ok_or(EncodeError::Broken { what: "extent" })?;
    let mut first = Some(0);
    let mut expected: Option<u64> = None;
    for (number, extent) in (0u64..).zip(extents) {
        let file_offset = number.saturating_mul(chunk_size);
        if extent.file_offset != file_offset {
            return Err(EncodeError::Cut {
                path: path_of(input.tree, id),
                file_offset: extent.file_offset,
                chunk_size: input.chunk_size,
            });
        }
        if extent
            .chunk
            .is_some_and(|chunk| chunk.index() >= input.chunks.len())
        {
            return Err(EncodeError::Broken { what: "chunk" });
        }
        let place = place(input, extent.chunk);
        if number == 0 {
            first = place;
        } else if place.map(u64::from) != expected {
            first = None;
        }
        expected = place.map(|place| u64::from(place).saturating_add(blocks));
    }
    let count = u64_from(extents.len());
    if count != size.div_ceil(chunk_size) {
        return Err(EncodeError::Broken { what: "extent" });
    }
    let last = extents.last().and_then(|last| last.chunk);
    let is_inline = |chunk: ChunkId| input.inline.get(chunk.index()) == Some(&true);
    let tail = match last.is_some_and(is_inline) {
        true => LayoutInput::tail_len(input.tree.inode(id)),
        false => 0,
    };
    match first {
        Some(first) => Ok(FileLayout::OnePiece { first, tail }),
        None if tail != 0 => Err(EncodeError::Broken { what: "block" }),
        None => Ok(FileLayout::Chunks {
            format: blocks.trailing_zeros(),
            count,
        }),
    }
}
