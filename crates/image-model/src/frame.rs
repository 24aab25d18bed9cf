//! Frames: the units of decompression. A frame is a stored byte range of a blob. Its *recipe*, an entry of a table that
//! the image owns, says how to decode its bytes, and what verifies them. Many frames share one recipe ("one zstd frame
//! each"); if each frame needs its own (an initial window, a digest of a span), it has one. So a new way of storing is
//! a new recipe, never a new branch in readers.

use std::fmt;

use crate::blob::BlobIndex;
use crate::cipher::XtsKey;
use crate::deflate::DeflateStart;
use crate::digest::Digest;

/// How the bytes of a frame are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// Not compressed.
    None,
    /// One LZ4 block without frame or size prefix.
    Lz4Block,
    /// One zstd frame.
    Zstd,
    /// One gzip member (RFC 1952).
    Gzip,
}

impl Codec {
    /// Maximum number of stored bytes that a reader has to accept for a frame of `len` decoded bytes.
    /// * `Gzip`: `len`, an eighth of it and 64 KiB. A literal takes at most nine bits in deflate's fixed code, and some
    ///   encoders use nothing else for incompressible data (zlib-ng at level 1); stored blocks and flushes cost far
    ///   less. The constant allows for headers with a name, a comment or an extra field, in a few members.
    /// * `Zstd`: the same, which allows for encoders that flush often. A block that does not compress costs 3 bytes.
    /// * The others: `len`, since RAFS stores incompressible data uncompressed.
    #[must_use]
    pub fn max_stored_len(self, len: u32) -> u64 {
        let len = u64::from(len);
        match self {
            Self::Gzip | Self::Zstd => len + len / 8 + (64 << 10),
            Self::None | Self::Lz4Block => len,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Lz4Block => "lz4_block",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        })
    }
}

/// A frame's number within one image. Readers identify it by the number that
/// [`Image::shared_frame`](crate::Image::shared_frame) gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameId(pub u32);

/// Position of a recipe in the table that an image owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecipeId(pub u32);

/// A stored byte range of a blob that is decompressed as a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Blob that holds the frame.
    pub blob: BlobIndex,
    /// First stored byte, from the start of the blob.
    pub offset: u64,
    /// Stored bytes.
    pub stored_len: u32,
    /// Decoded bytes, according to the image's metadata.
    pub len: u32,
    /// How the stored bytes are decoded.
    pub recipe: RecipeId,
}

impl Frame {
    /// One past the last stored byte; `None` if that is beyond 2^64.
    #[must_use]
    pub fn stored_end(&self) -> Option<u64> {
        self.offset.checked_add(self.stored_len.into())
    }
}

/// How the stored bytes of a frame are decoded, and what verifies them.
///
/// ```
/// use lazyoci_image_model::{Codec, Decode, Recipe, Vouched};
/// let recipe = Recipe::exact(Codec::Zstd);
/// assert_eq!(recipe.decode, Decode::Exact(Codec::Zstd));
/// assert_eq!(recipe.vouched, Vouched::Nothing);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Recipe {
    /// From stored bytes to decoded ones.
    pub decode: Decode,
    /// What verifies the frame as a whole. Chunks have digests of their own.
    pub vouched: Vouched,
}

/// From stored bytes to decoded ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Decode {
    /// The stored bytes are one frame of this codec that holds [`Frame::len`] bytes and no more.
    Exact(Codec),
    /// The stored bytes decode to [`Frame::len`] bytes or more, of which only the first are wanted:
    /// an eStargz member continues with the tar headers of the next files.
    Prefix(Codec),
    /// The stored bytes are deflate data of a gzip member from this block on, without its header. They decode to
    /// [`Frame::len`] bytes or more, of which only the first are wanted.
    Deflate(DeflateStart),
    /// The same, but they may go on with further members of the gzip stream.
    DeflateMembers(DeflateStart),
    /// The stored bytes are encrypted. What they are without that is one frame of this codec, as of
    /// [`Exact`](Self::Exact).
    Encrypted(XtsKey, Codec),
    /// Only the blob itself says where the stored bytes are and how they decode, with this codec: the frame is what a
    /// list of chunks says of one. It cannot be decoded.
    Unlocated(Codec),
}

impl Decode {
    /// The codec.
    #[must_use]
    pub fn codec(&self) -> Codec {
        match self {
            Self::Exact(codec)
            | Self::Prefix(codec)
            | Self::Encrypted(_, codec)
            | Self::Unlocated(codec) => *codec,
            Self::Deflate(_) | Self::DeflateMembers(_) => Codec::Gzip,
        }
    }
}

/// What verifies a frame as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Vouched {
    /// Nothing: at most its chunks have digests.
    Nothing,
    /// The digest of the stored bytes.
    Stored(Digest),
    /// The digest of the decoded bytes.
    Decoded(Digest),
    /// CRC-32C of the decoded bytes.
    DecodedCrc32c(u32),
}

impl Recipe {
    /// Exactly one frame of `codec`, without a digest.
    #[must_use]
    pub fn exact(codec: Codec) -> Self {
        Decode::Exact(codec).into()
    }

    /// The beginning of the output of `codec`, without a digest.
    #[must_use]
    pub fn prefix(codec: Codec) -> Self {
        Decode::Prefix(codec).into()
    }

    /// The same decoding, with `vouched` to verify the frame.
    #[must_use]
    pub fn vouched(self, vouched: Vouched) -> Self {
        Self { vouched, ..self }
    }
}

impl From<Decode> for Recipe {
    fn from(decode: Decode) -> Self {
        Self {
            decode,
            vouched: Vouched::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_and_zstd_may_make_frames_longer() {
        for codec in [Codec::Gzip, Codec::Zstd] {
            assert_eq!(codec.max_stored_len(5), 65_541);
            assert_eq!(codec.max_stored_len(800), 66_436);
            assert_eq!(codec.max_stored_len(u32::MAX), 4_831_903_742);
        }
        for codec in [Codec::None, Codec::Lz4Block] {
            assert_eq!(codec.max_stored_len(800), 800);
        }
    }

    #[test]
    fn frames_are_small() {
        assert_eq!(size_of::<Frame>(), 24);
    }
}
