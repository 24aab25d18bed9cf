//! CRC-64 as Go's `hash/crc64` computes it with the ISO polynomial.

/// x^64 + x^4 + x^3 + x + 1, its bits reversed.
const POLYNOMIAL: u64 = 0xd800_0000_0000_0000;

const TABLES: [[u64; 256]; 8] = tables();

#[allow(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    reason = "a constant: indices are below 256"
)]
const fn tables() -> [[u64; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ POLYNOMIAL
            } else {
                crc >> 1
            };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = before >> 8 ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

/// A CRC-64 of bytes that come in pieces.
///
/// ```
/// use lazyoci_estargz_toc::tar_split::Crc64;
/// let mut crc = Crc64::new();
/// crc.update(b"hel");
/// crc.update(b"lo");
/// assert_eq!(crc.finish(), [0x3c, 0x3e, 0xee, 0xe2, 0xd8, 0x10, 0, 0]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crc64 {
    /// Complement of the sum.
    state: u64,
}

impl Default for Crc64 {
    fn default() -> Self {
        Self::new()
    }
}

impl Crc64 {
    /// Of no bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: u64::MAX }
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            let mixed = (self.state ^ u64::from_le_bytes(*word)).to_le_bytes();
            self.state = (mixed.iter().zip(TABLES.iter().rev()))
                .fold(0, |sum, (&byte, table)| sum ^ table[usize::from(byte)]);
        }
        for &byte in rest {
            let [low, ..] = self.state.to_le_bytes();
            self.state = self.state >> 8 ^ TABLES[0][usize::from(low ^ byte)];
        }
    }

    /// The sum, big-endian.
    #[must_use]
    pub const fn finish(&self) -> [u8; 8] {
        (!self.state).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The catalogued check value of CRC-64/GO-ISO, and every split of a longer text.
    #[test]
    fn sums() {
        let sum = |pieces: &[&[u8]]| {
            let mut crc = Crc64::new();
            for piece in pieces {
                crc.update(piece);
            }
            u64::from_be_bytes(crc.finish())
        };
        assert_eq!(sum(&[b"123456789"]), 0xb909_56c7_75a4_1001);
        assert_eq!(sum(&[]), 0);
        let text = b"the quick brown fox jumps over the lazy dog";
        for split in 0..text.len() {
            let (start, end) = text.split_at(split);
            assert_eq!(sum(&[start, end]), sum(&[text]));
        }
    }
}
