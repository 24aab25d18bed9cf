//! Chunk information, version 2: blobs with batches, encryption or foreign data.
//!
//! 24 bytes, three little-endian words:
//!
//! | word | bits | field | unit, rule |
//! |---|---|---|---|
//! | 0 | 0–31 | address / 4096 | |
//! | | 32–55 | plain length − 1 | bytes |
//! | | 56 | compressed | |
//! | | 57 | zran | the blob needs the feature |
//! | | 58 | batch | the blob needs the feature |
//! | | 59 | encrypted | the blob needs the feature |
//! | | 60 | word 2 is a CRC | |
//! | | 61–63 | reserved | written 0, ignored as by nydus, which warns |
//! | 1 | 0–39 | stored offset | bytes from the start of the blob |
//! | | 40–63 | stored length | bytes, **not** minus one; 0 in a batch or zran |
//! | 2 | 0–63 | zran, batch: offset in the context's output, then its position in the high half; CRC: CRC-32C of the plain bytes in the low half, not 0; else ignored | |
//!
//! Zran, batch and CRC exclude each other. The stored length holds one byte less than the largest
//! chunk: 16 MiB of chunk that do not shrink cannot be stored.
//!
//! Source: nydus v2, `storage/src/meta/chunk_info_v2.rs`.

use super::chunk_info::{ADDRESS_ALIGN, ChunkExtra, ChunkFault, ChunkInfo, MAX_CHUNK_LEN};
use crate::view;

/// Size of an entry in bytes.
pub const LEN: usize = 24;

const LEN_SHIFT: u32 = 32;
const LEN_MASK: u32 = 0xff_ffff;
const STORED_LEN_SHIFT: u32 = 40;
const OFFSET: u64 = 0xff_ffff_ffff;
const COMPRESSED: u64 = 1 << 56;
const ZRAN: u64 = 1 << 57;
const BATCH: u64 = 1 << 58;
const ENCRYPTED: u64 = 1 << 59;
const CRC: u64 = 1 << 60;

/// Reads an entry. Whether it fits its blob is another question, see [`ChunkInfo::check`].
///
/// # Errors
/// [`ChunkFault::Flags`] if flags exclude each other, [`ChunkFault::ZeroCrc`].
pub fn decode(bytes: [u8; LEN]) -> Result<ChunkInfo, ChunkFault> {
    let [plain, stored, data] = words(bytes);
    let [address, flags_and_len] = view::halves(plain);
    let [offset, context] = view::halves(data);
    let extra = match plain & (ZRAN | BATCH | CRC) {
        0 => ChunkExtra::None,
        ZRAN => ChunkExtra::Zran { context, offset },
        BATCH => ChunkExtra::Batch { context, offset },
        CRC if offset == 0 => return Err(ChunkFault::ZeroCrc),
        CRC => ChunkExtra::Crc32c(offset),
        _ => return Err(ChunkFault::Flags),
    };
    let [stored_len, _] = view::halves(stored >> STORED_LEN_SHIFT);
    Ok(ChunkInfo {
        address: u64::from(address) * ADDRESS_ALIGN,
        // At most 24 bits, plus 1.
        len: (flags_and_len & LEN_MASK).saturating_add(1),
        offset: stored & OFFSET,
        stored_len,
        compressed: plain & COMPRESSED != 0,
        encrypted: plain & ENCRYPTED != 0,
        extra,
    })
}

fn words(bytes: [u8; LEN]) -> [u64; 3] {
    let (words, _) = bytes.as_chunks();
    [0, 1, 2].map(|i| u64::from_le_bytes(words[i]))
}

/// Writes an entry.
///
/// # Errors
/// A [`ChunkFault`] if the entry cannot hold `chunk`.
pub fn encode(chunk: &ChunkInfo) -> Result<[u8; LEN], ChunkFault> {
    chunk.check_fields()?;
    let &ChunkInfo {
        address,
        len,
        offset,
        stored_len,
        compressed,
        encrypted,
        extra,
    } = chunk;
    if stored_len >= MAX_CHUNK_LEN {
        return Err(ChunkFault::StoredLen { stored_len });
    }
    let (flag, data) = match extra {
        ChunkExtra::None => (0, 0),
        ChunkExtra::Crc32c(0) => return Err(ChunkFault::ZeroCrc),
        ChunkExtra::Crc32c(crc) => (CRC, u64::from(crc)),
        ChunkExtra::Zran { context, offset } => (ZRAN, pair(context, offset)),
        ChunkExtra::Batch { context, offset } => (BATCH, pair(context, offset)),
    };
    let plain = (address / ADDRESS_ALIGN)
        | (u64::from(len.saturating_sub(1)) << LEN_SHIFT)
        | if compressed { COMPRESSED } else { 0 }
        | if encrypted { ENCRYPTED } else { 0 }
        | flag;
    let stored = offset | u64::from(stored_len) << STORED_LEN_SHIFT;
    let mut bytes = [0; LEN];
    let (words, _) = bytes.as_chunks_mut();
    for (word, value) in words.iter_mut().zip([plain, stored, data]) {
        *word = u64::to_le_bytes(value);
    }
    Ok(bytes)
}

fn pair(context: u32, offset: u32) -> u64 {
    u64::from(context) << 32 | u64::from(offset)
}
