//! What a format wants of the stage, and what it gets.

use chunk_dedup::{Dictionary, DictionaryError};
use frame_codec::Compression;
use image_model::{BlobIndex, ChunkId, Codec, Digest, DigestAlgorithm, Ino};

use super::blocks::BlockDigest;
use crate::ConvertError;

/// How pieces are digested and compressed.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'d> {
    /// How each piece is compressed, by itself.
    pub(crate) compression: Compression,
    /// Whether a piece that does not get smaller stays as it is. Otherwise each is a frame of the
    /// codec, whatever its size.
    pub(crate) plain_if_shorter: bool,
    /// How chunks are digested, where there are any.
    pub(crate) digest: Option<ChunkDigest>,
    /// The chunks that were stored so far, if any are to be found again.
    pub(crate) dictionary: Option<&'d dyn Dictionary>,
    /// Chunks that somebody else has stored, to which the target may refer.
    pub(crate) foreign: Option<&'d dyn Dictionary>,
    /// Bytes that mostly follow a chunk in its piece.
    pub(crate) room_behind: usize,
    /// Files of fewer bytes are left to the target, which compresses several together: no more than fit in one chunk.
    pub(crate) grouped_below: u32,
    /// From where workers read what is only to be [fetched](super::Stage::fetch).
    pub(crate) origin: Option<&'d dyn Fetch>,
    /// From where workers read frames that may be [kept](super::Stage::keep).
    pub(crate) frames: Option<&'d dyn StoredFrames>,
}

impl Rules<'_> {
    /// Whether the chunk of `len` bytes at `file_offset` of its file, of fixed length but for the last of a file, is
    /// left to the target.
    pub(crate) fn groups(&self, len: u32, file_offset: u64) -> bool {
        file_offset == 0 && len < self.grouped_below
    }

    /// Whether a chunk need not be stored.
    pub(crate) fn knows(&self, digest: &Digest, len: u32) -> Result<bool, DictionaryError> {
        for dictionary in [self.dictionary, self.foreign].into_iter().flatten() {
            if dictionary.find(digest, len)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What is computed of a chunk's bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChunkDigest {
    pub(crate) algorithm: DigestAlgorithm,
    pub(crate) with_crc: bool,
    /// Chunks of fewer bytes get the digests of their blocks as well.
    pub(crate) blocks_below: u32,
}

/// The chunk at the beginning of a piece.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PieceChunk {
    pub(crate) len: u32,
    pub(crate) digest: Digest,
    pub(crate) crc32c: Option<u32>,
}

/// A piece that is to be stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'b> {
    /// All of its plain bytes.
    pub(crate) plain: &'b [u8],
    /// What is to be written.
    pub(crate) stored: &'b [u8],
    /// What the written bytes are: the codec of the rules, or none.
    pub(crate) codec: Codec,
    /// Whether it is left to the target to compress it, together with [others](Rules::grouped_below).
    pub(crate) grouped: bool,
    /// Its chunk, if it has one.
    pub(crate) chunk: Option<PieceChunk>,
    /// The digests of the blocks of its chunk, if [wanted](ChunkDigest::blocks_below); none of zeros.
    pub(crate) blocks: &'b [BlockDigest],
}

/// What holds content, to be read by any thread.
pub(crate) trait Fetch: Sync {
    /// Fills `place` with the bytes from `offset` on.
    fn fetch(&self, offset: u64, place: &mut [u8]) -> Result<(), ConvertError>;
}

/// A chunk of the file that comes, as the source has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SourceChunk {
    pub(crate) file_offset: u64,
    pub(crate) len: u32,
    /// The frame that holds it, if that may be kept.
    pub(crate) frame: Option<KeptFrame>,
}

/// A frame of the source, stored with the codec of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeptFrame {
    pub(crate) blob: BlobIndex,
    pub(crate) offset: u64,
    pub(crate) stored_len: u32,
    /// Whether it holds its chunk and nothing else, whatever stored bytes may follow; else what follows that in the tar,
    /// too.
    pub(crate) whole: bool,
    /// Of which file its chunk is, for errors, and where in that.
    pub(crate) place: (Ino, u64),
}

/// What holds stored frames, to be read by any thread.
pub(crate) trait StoredFrames: Sync {
    /// Appends the stored bytes of `frame` to `out`.
    fn read(&self, frame: &KeptFrame, out: &mut Vec<u8>) -> Result<(), ConvertError>;

    /// Whether a piece has to be one frame of the codec, not several.
    fn single(&self) -> bool;
}

/// What a target made of pieces that were [left to it](Rules::grouped_below).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Grouped {
    /// Bytes that it stored for them.
    pub(crate) stored: u64,
    /// Those of them that are compressed.
    pub(crate) compressed: u64,
}

/// Takes pieces in order.
pub(crate) trait Target {
    /// Writes `piece` after those before; returns the number of its chunk.
    fn store(&mut self, piece: &Piece<'_>) -> Result<Option<ChunkId>, ConvertError>;

    /// Refers to `foreign`, the same chunk among the [foreign](Rules::foreign) ones; returns the number that it
    /// gets, from which on it is found among those that were stored. `None` from targets that refer to nothing.
    fn reuse(
        &mut self,
        foreign: ChunkId,
        chunk: &PieceChunk,
    ) -> Result<Option<ChunkId>, ConvertError> {
        let _ = (foreign, chunk);
        Ok(None)
    }

    /// Stores what was left to it and still waits, as no more pieces come.
    fn end_groups(&mut self) -> Result<Grouped, ConvertError> {
        Ok(Grouped::default())
    }
}
