//! CRC-64 with the polynomial of ISO 3309, as Go's `hash/crc64` computes it: tar-split records it of each file.

/// The polynomial, lowest power in the highest bit.
const POLYNOMIAL: u64 = 0xd800_0000_0000_0000;

/// Bytes that are taken at once.
const WIDTH: usize = 8;

/// The remainder of each byte followed by as many zeros as the position of the table says.
static TABLES: [[u64; 256]; WIDTH] = tables();

/// The checksum of the bytes so far.
///
/// ```
/// use lazyoci_estargz_toc::crc64::Crc64;
/// let mut crc = Crc64::default();
/// crc.update(b"hel");
/// crc.update(b"lo");
/// assert_eq!(crc.value(), 0x3c3e_eee2_d810_0000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crc64 {
    /// Its complement.
    state: u64,
}

impl Crc64 {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<WIDTH>();
        for word in words {
            let word = (self.state ^ u64::from_le_bytes(*word)).to_le_bytes();
            let last = TABLES.iter().rev().zip(word);
            self.state = last.fold(0, |state, (table, byte)| state ^ table[usize::from(byte)]);
        }
        for byte in rest {
            let [low, ..] = self.state.to_le_bytes();
            self.state = TABLES[0][usize::from(low ^ byte)] ^ (self.state >> 8);
        }
    }

    /// Takes the next `len` zeros.
    pub fn update_zeros(&mut self, mut len: u64) {
        const ZEROS: [u8; 4096] = [0; 4096];
        while len > 0 {
            let now = image_model::width::usize_up_to(len).min(ZEROS.len());
            self.update(&ZEROS[..now]);
            len = len.saturating_sub(image_model::width::u64_from(now));
        }
    }

    /// The checksum.
    #[must_use]
    pub const fn value(&self) -> u64 {
        !self.state
    }
}

impl Default for Crc64 {
    /// That of no bytes.
    fn default() -> Self {
        Self { state: !0 }
    }
}

#[allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "counters of loops over 256 bytes, at compile time"
)]
const fn tables() -> [[u64; 256]; WIDTH] {
    let mut tables = [[0; 256]; WIDTH];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            value = (value >> 1) ^ if value & 1 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        tables[0][byte] = value;
        byte += 1;
    }
    let mut table = 1;
    while table < WIDTH {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = tables[0][(before & 0xff) as usize] ^ (before >> 8);
            byte += 1;
        }
        table += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_does_not_depend_on_the_pieces() {
        let bytes: Vec<u8> = (0..1000u32).map(|n| (n * n >> 3) as u8).collect();
        // Bit by bit.
        let mut expected = !0;
        for byte in &bytes {
            expected ^= u64::from(*byte);
            for _ in 0..8 {
                expected = (expected >> 1) ^ if expected & 1 == 1 { POLYNOMIAL } else { 0 };
            }
        }
        for piece in [1, 7, 8, 9, 64, 1000] {
            let mut crc = Crc64::default();
            bytes.chunks(piece).for_each(|piece| crc.update(piece));
            assert_eq!(crc.value(), !expected, "{piece}");
        }
    }

    #[test]
    fn zeros_count() {
        let (mut zeros, mut bytes) = (Crc64::default(), Crc64::default());
        zeros.update_zeros(10_000);
        bytes.update(&[0; 10_000]);
        assert_eq!(zeros, bytes);
    }

    #[test]
    fn check_value() {
        // The checksum of these digits that catalogues of checksums give for Go's ISO polynomial.
        let mut crc = Crc64::default();
        crc.update(b"123456789");
        assert_eq!(crc.value(), 0xb909_56c7_75a4_1001);
    }
}
