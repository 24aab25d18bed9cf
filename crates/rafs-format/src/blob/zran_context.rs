//! Where a gzip layer can be entered: one context of zran mode.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use image_model::deflate::WINDOW_LEN;
use image_model::width::u64_from;

/// Bytes of decoded data beyond which nydusd does not read from one context.
pub const MAX_CONTEXT_LEN: u32 = 16 << 20;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawZranContext {
    in_offset: U64,
    out_offset: U64,
    dict_offset: U64,
    in_size: U32,
    out_size: U32,
    dict_size: U32,
    ctx_byte: u8,
    ctx_bits: u8,
    reserved: [u8; 2],
}

const _: () = assert!(size_of::<RawZranContext>() == ZranContext::LEN);
const _: () = assert!(std::mem::offset_of!(RawZranContext, ctx_bits) == 37);

/// A place at which a gzip layer can be entered, 40 bytes.
///
/// | offset | size | field | unit and rule |
/// |---|---|---|---|
/// | 0 | 8 | in_offset | byte of the layer: the first whole one of a deflate block |
/// | 8 | 8 | out_offset | byte of the tar |
/// | 16 | 8 | dict_offset | byte in the dictionary area |
/// | 24 | 4 | in_size | bytes of the layer from there, not 0; other members may begin among them |
/// | 28 | 4 | out_size | bytes of the tar that they give, not 0 |
/// | 32 | 4 | dict_size | bytes of the tar before out_offset, at most 32768 |
/// | 36 | 1 | ctx_byte | the byte of the layer before in_offset; not read if ctx_bits is 0 |
/// | 37 | 1 | ctx_bits | how many of its high bits belong to the block, 0 to 7 |
/// | 38 | 2 | reserved | 0, not read |
///
/// Contexts follow the entries of the [chunk information](super::chunk_info_v2), and the dictionaries follow the
/// contexts. What contexts give may overlap: each chunk lies in one of them. At most eight hold the same stored bytes,
/// so that decoding all of them costs a bounded amount.
///
/// Source: nydus v2, `storage/src/meta/zran.rs` (`ZranInflateContext`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ZranContext {
    /// First whole byte of the block in the layer.
    pub in_offset: u64,
    /// First byte of the tar that it gives.
    pub out_offset: u64,
    /// First byte of its dictionary in the area of those.
    pub dict_offset: u64,
    /// Bytes of the layer.
    pub in_len: u32,
    /// Bytes of the tar.
    pub out_len: u32,
    /// Bytes of the dictionary.
    pub dict_len: u32,
    /// The byte before [`in_offset`](Self::in_offset), if some of its bits belong to the block.
    pub byte: u8,
    /// How many of them, the high ones.
    pub bits: u8,
}

/// What is wrong with a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZranFault {
    /// It gives nothing, or takes nothing.
    #[error("{in_len} bytes of the layer, {out_len} of the tar; must not be 0")]
    Empty {
        /// Bytes of the layer.
        in_len: u32,
        /// Bytes of the tar.
        out_len: u32,
    },
    /// More than seven bits of a byte, or some of a byte before the first.
    #[error("{bits} bits of the byte before {in_offset}; must be 0 to 7 of a byte that there is")]
    Bits {
        /// How many.
        bits: u8,
        /// First whole byte.
        in_offset: u64,
    },
    /// Deflate refers to at most 32 KiB.
    #[error("a dictionary of {len} bytes; must be at most 32768")]
    DictionaryLen {
        /// Its length.
        len: u32,
    },
    /// The dictionary leaves the area of dictionaries.
    #[error("a dictionary that ends at {end}, in an area of {area_len} bytes")]
    BeyondArea {
        /// Its end.
        end: u64,
        /// Length of the area.
        area_len: u64,
    },
    /// The layer is too short.
    #[error("data that end at {end}, in a layer of {data_len} bytes")]
    BeyondLayer {
        /// End of the data.
        end: u64,
        /// Length of the layer.
        data_len: u64,
    },
    /// The tar would be longer than 2^64 bytes.
    #[error("bytes of the tar from {out_offset} on, {out_len} of them, end nowhere")]
    BeyondTar {
        /// First byte.
        out_offset: u64,
        /// Bytes.
        out_len: u32,
    },
    /// It begins before the one before it, or at the same place.
    #[error("it does not come after the context before it")]
    Order,
    /// The byte that it repeats is another one in the layer.
    #[error("byte {offset} of the layer is {found:#04x}, but {byte:#04x} in the context")]
    Byte {
        /// Where the byte is.
        offset: u64,
        /// In the context.
        byte: u8,
        /// In the layer.
        found: u8,
    },
    /// It gives more than nydusd has room for. Other readers take it.
    #[error("{out_len} bytes of the tar; nydusd reads at most 16777216")]
    TooLong {
        /// Bytes of the tar.
        out_len: u32,
    },
    /// Unused bytes are set, which every writer leaves 0. Readers ignore them.
    #[error("reserved bytes are set")]
    Reserved,
}

impl ZranContext {
    /// Size of a context in bytes.
    pub const LEN: usize = 40;

    /// Reads a context. Whether it fits its blob is another question, see [`check`](Self::check).
    ///
    /// ```
    /// use lazyoci_rafs_format::blob::ZranContext;
    /// let mut context = ZranContext::default();
    /// (context.in_offset, context.bits) = (10, 3);
    /// assert_eq!(ZranContext::from_bytes(&context.to_bytes()), context);
    /// ```
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let raw: &RawZranContext = zerocopy::transmute_ref!(bytes);
        Self {
            in_offset: raw.in_offset.get(),
            out_offset: raw.out_offset.get(),
            dict_offset: raw.dict_offset.get(),
            in_len: raw.in_size.get(),
            out_len: raw.out_size.get(),
            dict_len: raw.dict_size.get(),
            byte: raw.ctx_byte,
            bits: raw.ctx_bits,
        }
    }

    /// The context as stored.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut raw = RawZranContext::new_zeroed();
        raw.in_offset = self.in_offset.into();
        raw.out_offset = self.out_offset.into();
        raw.dict_offset = self.dict_offset.into();
        raw.in_size = self.in_len.into();
        raw.out_size = self.out_len.into();
        raw.dict_size = self.dict_len.into();
        raw.ctx_byte = self.byte;
        raw.ctx_bits = self.bits;
        zerocopy::transmute!(raw)
    }

    /// First stored byte of which anything is needed.
    #[must_use]
    pub fn stored_offset(&self) -> u64 {
        self.in_offset.saturating_sub((self.bits != 0).into())
    }

    /// End of the bytes of the layer.
    pub(super) fn stored_end(&self) -> u64 {
        self.in_offset.saturating_add(self.in_len.into())
    }

    /// Checks the context against a layer of `data_len` bytes and an area of dictionaries of `area_len` bytes.
    ///
    /// # Errors
    /// The first [`ZranFault`] found.
    pub fn check(&self, data_len: u64, area_len: u64) -> Result<(), ZranFault> {
        let &Self {
            in_offset,
            out_offset,
            in_len,
            out_len,
            dict_len,
            bits,
            ..
        } = self;
        // The byte before them is read, too.
        if in_len == 0 || in_len == u32::MAX || out_len == 0 {
            return Err(ZranFault::Empty { in_len, out_len });
        }
        if bits > 7 || bits > 0 && in_offset == 0 {
            return Err(ZranFault::Bits { bits, in_offset });
        }
        if u64::from(dict_len) > u64_from(WINDOW_LEN) {
            return Err(ZranFault::DictionaryLen { len: dict_len });
        }
        let end = self.dict_offset.saturating_add(dict_len.into());
        if dict_len > 0 && end > area_len {
            return Err(ZranFault::BeyondArea { end, area_len });
        }
        let end = self.stored_end();
        if end > data_len {
            return Err(ZranFault::BeyondLayer { end, data_len });
        }
        if out_offset.checked_add(out_len.into()).is_none() {
            return Err(ZranFault::BeyondTar {
                out_offset,
                out_len,
            });
        }
        Ok(())
    }
}
