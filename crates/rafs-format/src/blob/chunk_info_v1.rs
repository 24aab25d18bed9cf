//! Chunk information, version 1: what plain v6 blobs use.
//!
//! 16 bytes, two little-endian words:
//!
//! | word | bits | field | unit, rule |
//! |---|---|---|---|
//! | 0 | 0–7 | reserved | written 0, ignored |
//! | | 8–11 | plain length − 1, bits 20–23 | bytes |
//! | | 12–43 | address / 4096 | |
//! | | 44–63 | plain length − 1, bits 0–19 | bytes |
//! | 1 | 0–39 | stored offset | bytes from the start of the blob |
//! | | 40–43 | stored length − 1, bits 20–23 | bytes |
//! | | 44–63 | stored length − 1, bits 0–19 | bytes |
//!
//! A chunk is compressed exactly if its two lengths differ; so nothing is ever stored compressed
//! to its own length. There is no CRC.
//!
//! Source: nydus v2, `storage/src/meta/chunk_info_v1.rs`.

use super::chunk_info::{ChunkExtra, ChunkFault, ChunkInfo, MAX_CHUNK_LEN};
use crate::view;

/// Size of an entry in bytes.
pub const LEN: usize = 16;

const LOW: u64 = 0x0f_ffff;
const LOW_SHIFT: u32 = 44;
const HIGH: u64 = 0xf0_0000;
/// From bits 20–23 of a length to bits 8–11 of word 0.
const HIGH_DOWN: u32 = 12;
/// From bits 20–23 of a length to bits 40–43 of word 1.
const HIGH_UP: u32 = 20;
const ADDRESS: u64 = 0x0fff_ffff_f000;
const OFFSET: u64 = 0xff_ffff_ffff;

/// Reads an entry. All bytes but the reserved mean something; whether it fits its blob is another
/// question, see [`ChunkInfo::check`].
#[must_use]
pub fn decode(bytes: [u8; LEN]) -> ChunkInfo {
    let [plain, stored] = words(bytes);
    // Both lengths are at most 24 bits, plus 1.
    let len = (plain << HIGH_DOWN & HIGH | plain >> LOW_SHIFT).saturating_add(1);
    let stored_len = (stored >> HIGH_UP & HIGH | stored >> LOW_SHIFT).saturating_add(1);
    let compressed = len != stored_len;
    let ([len, _], [stored_len, _]) = (view::halves(len), view::halves(stored_len));
    ChunkInfo {
        address: plain & ADDRESS,
        len,
        offset: stored & OFFSET,
        stored_len,
        compressed,
        encrypted: false,
        extra: ChunkExtra::None,
    }
}

fn words(bytes: [u8; LEN]) -> [u64; 2] {
    let (words, _) = bytes.as_chunks();
    [0, 1].map(|i| u64::from_le_bytes(words[i]))
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
    if encrypted || extra != ChunkExtra::None {
        return Err(ChunkFault::Flags);
    }
    if stored_len == 0 || stored_len > MAX_CHUNK_LEN {
        return Err(ChunkFault::StoredLen { stored_len });
    }
    if compressed != (len != stored_len) {
        return Err(ChunkFault::Compression { len, stored_len });
    }
    let less_one = |len: u32| u64::from(len.saturating_sub(1));
    let (len, stored_len) = (less_one(len), less_one(stored_len));
    let plain = (len & LOW) << LOW_SHIFT | (len & HIGH) >> HIGH_DOWN | address;
    let stored = (stored_len & LOW) << LOW_SHIFT | (stored_len & HIGH) << HIGH_UP | offset;
    Ok((u128::from(stored) << 64 | u128::from(plain)).to_le_bytes())
}
