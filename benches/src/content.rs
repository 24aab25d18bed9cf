//! Bytes that look like those of files.

/// Pseudo-random numbers (SplitMix64): small, and the same for ever.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Numbers that depend on `seed` alone.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `n`.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        self.number() % n
    }

    /// A number of fewer than `bits` bits, small ones being more frequent.
    ///
    /// # Panics
    /// If `bits` is 0, or above 64.
    pub fn skewed(&mut self, bits: u64) -> u64 {
        let limit = 1 << self.below(bits);
        self.below(limit)
    }

    /// `count` of `all`, none twice, in any order.
    ///
    /// # Panics
    /// If there are not as many.
    #[must_use]
    pub fn choose<T>(&mut self, mut all: Vec<T>, count: usize) -> Vec<T> {
        for i in 0..count {
            let other = i + self.below((all.len() - i) as u64) as usize;
            all.swap(i, other);
        }
        all.truncate(count);
        all
    }
}

/// What the bytes are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Words of a small vocabulary: compresses like documentation and scripts.
    Text,
    /// Fields of a few bytes that repeat with small changes: compresses like programs.
    Binary,
    /// Does not compress, like pictures and archives.
    Random,
    /// Zeros.
    Zeros,
}

/// `len` bytes of a kind.
#[must_use]
pub fn bytes(kind: Kind, seed: u64, len: usize) -> Vec<u8> {
    let random = &mut Random::new(seed);
    let mut bytes = Vec::with_capacity(len + 64);
    match kind {
        Kind::Zeros => bytes.resize(len, 0),
        Kind::Random => {
            while bytes.len() < len {
                bytes.extend(random.number().to_le_bytes());
            }
        }
        Kind::Text => {
            while bytes.len() < len {
                // Words of low numbers are frequent.
                let word = random.skewed(12);
                let letters = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                for i in 0..3 + word % 7 {
                    bytes.push(b'a' + (letters >> (5 * i) & 31) as u8 % 26);
                }
                bytes.push(if random.below(12) == 0 { b'\n' } else { b' ' });
            }
        }
        Kind::Binary => {
            while bytes.len() < len {
                let opcode = random.skewed(9) as u8;
                let operand = random.skewed(20) as u32;
                bytes.extend([opcode, opcode >> 3 | 0x40]);
                bytes.extend(operand.to_le_bytes());
            }
        }
    }
    bytes.truncate(len);
    bytes
}
