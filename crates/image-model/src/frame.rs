//! Frames: what is decompressed at once, and how.
//!
//! A frame is a stored byte range of a blob. How its bytes become plain, and what vouches for them,
//! is its *recipe*: an entry of a table that the image owns. Many frames share one recipe ("one zstd
//! frame each"); where each frame needs its own (a window to start with, a digest of a span), it has
//! one. So a new way of storing is a new recipe, never a branch in whoever reads.

use std::fmt;

use crate::blob::BlobIndex;
use crate::digest::Digest;

/// How the bytes of a frame are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// Stored as they are.
    None,
    /// One LZ4 block without frame or size prefix.
    Lz4Block,
    /// One zstd frame.
    Zstd,
    /// One gzip member (RFC 1952).
    Gzip,
}

impl Codec {
    /// Most stored bytes of a frame with `len` decoded ones that a reader has to take.
    ///
    /// * `Gzip`: `len`, an eighth of it and 64 KiB. No literal takes more than nine bits in the fixed
    ///   code of deflate, and some encoders have nothing else for what does not compress (zlib-ng at
    ///   level 1); stored blocks and flushes cost far less. The constant is for headers with a name, a
    ///   comment or an extra field, of a few members.
    /// * The others: `len`, since RAFS stores as it is what does not get shorter.
    #[must_use]
    pub fn max_stored_len(self, len: u32) -> u64 {
        let len = u64::from(len);
        match self {
            Self::Gzip => len + len / 8 + (64 << 10),
            Self::None | Self::Lz4Block | Self::Zstd => len,
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

/// A frame's number within one image: whoever reads frames knows them by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameId(pub u32);

/// Position of a recipe in the table that an image owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecipeId(pub u32);

/// A stored byte range of a blob that is decompressed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Blob that holds the frame.
    pub blob: BlobIndex,
    /// First stored byte, from the start of the blob.
    pub offset: u64,
    /// Stored bytes.
    pub stored_len: u32,
    /// Decoded bytes that the image's metadata vouch for.
    pub len: u32,
    /// How the stored bytes become the decoded ones.
    pub recipe: RecipeId,
}

impl Frame {
    /// One past the last stored byte; `None` if that is beyond 2^64.
    #[must_use]
    pub fn stored_end(&self) -> Option<u64> {
        self.offset.checked_add(self.stored_len.into())
    }
}

/// How the stored bytes of a frame become plain ones, and what vouches for them.
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
    /// What vouches for the frame as a whole. Chunks have digests of their own.
    pub vouched: Vouched,
}

/// From stored bytes to decoded ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Decode {
    /// The stored bytes are one frame of this codec that holds [`Frame::len`] bytes and no more.
    Exact(Codec),
    /// The first [`Frame::len`] bytes that come out of the stored ones are wanted, more may follow:
    /// an eStargz member goes on with the tar headers of the next files.
    Prefix(Codec),
}

impl Decode {
    /// The codec.
    #[must_use]
    pub fn codec(&self) -> Codec {
        match self {
            Self::Exact(codec) | Self::Prefix(codec) => *codec,
        }
    }
}

/// What vouches for a frame as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Vouched {
    /// Nothing: at most its chunks have digests.
    Nothing,
    /// The digest of the stored bytes.
    Stored(Digest),
    /// The digest of the decoded bytes.
    Decoded(Digest),
}

impl Recipe {
    /// One frame of `codec`, nothing more and nothing less; nothing vouches for it.
    #[must_use]
    pub fn exact(codec: Codec) -> Self {
        Decode::Exact(codec).into()
    }

    /// The beginning of what `codec` gives; nothing vouches for it.
    #[must_use]
    pub fn prefix(codec: Codec) -> Self {
        Decode::Prefix(codec).into()
    }

    /// The same way, and what vouches for the frame.
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
    fn gzip_may_make_frames_longer() {
        assert_eq!(Codec::Gzip.max_stored_len(5), 65_541);
        assert_eq!(Codec::Gzip.max_stored_len(800), 66_436);
        assert_eq!(Codec::Gzip.max_stored_len(u32::MAX), 4_831_903_742);
        for codec in [Codec::None, Codec::Lz4Block, Codec::Zstd] {
            assert_eq!(codec.max_stored_len(800), 800);
        }
    }

    #[test]
    fn frames_are_small() {
        assert_eq!(size_of::<Frame>(), 24);
    }
}
