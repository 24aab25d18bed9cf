//! Streams that are written bit by bit, so that it is known where each block begins.

use crate::support::text;

/// A deflate block that is not the last one of its member.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Block {
    /// This many bytes as they are, at most 65,535.
    Stored(u16),
    /// This many bytes, each a literal of the fixed code.
    Literals(u16),
    /// 258 bytes, equal to those so far before: 1, or 32 KiB if the member has as many. Nothing at its start.
    Match { far: bool },
}

/// Where a block begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    /// Its first whole byte, and the bits before.
    pub(crate) stored: u64,
    pub(crate) bits: u8,
    /// Its first decoded byte.
    pub(crate) decoded: u64,
}

/// A stream of members, and what is known of it.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    pub(crate) stored: Vec<u8>,
    pub(crate) plain: Vec<u8>,
    pub(crate) starts: Vec<Start>,
    /// Bits of the last byte that are used; 0 for all of them.
    used: u8,
}

impl Stream {
    /// A stream of these members. Each ends with a block of the fixed code that holds nothing.
    pub(crate) fn new<'a>(members: impl IntoIterator<Item = &'a [Block]>) -> Self {
        let mut stream = Self::default();
        for blocks in members {
            stream.member(blocks);
        }
        stream
    }

    fn member(&mut self, blocks: &[Block]) {
        let start = self.plain.len();
        self.stored.extend([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
        for block in blocks {
            self.begin();
            self.block(*block, start);
        }
        self.begin();
        self.put(0b011, 3);
        self.put(0, 7);
        self.used = 0;
        let plain = &self.plain[start..];
        self.stored.extend(crc32fast::hash(plain).to_le_bytes());
        self.stored.extend((plain.len() as u32).to_le_bytes());
    }

    fn begin(&mut self) {
        self.starts.push(Start {
            stored: self.stored.len() as u64,
            bits: (8 - self.used) % 8,
            decoded: self.plain.len() as u64,
        });
    }

    fn block(&mut self, block: Block, member: usize) {
        // Bytes of which few are equal to others in one stream.
        let content = |len: u16, at: usize| {
            let mut content = text(usize::from(len) + at % 251);
            content.split_off(at % 251)
        };
        match block {
            Block::Stored(len) => {
                self.put(0b000, 3);
                self.used = 0;
                self.stored.extend(len.to_le_bytes());
                self.stored.extend((!len).to_le_bytes());
                let content = content(len, self.plain.len());
                self.stored.extend(&content);
                self.plain.extend(content);
            }
            Block::Literals(len) => {
                self.put(0b010, 3);
                let content = content(len, self.plain.len());
                for byte in &content {
                    match u32::from(*byte) {
                        low @ 0..144 => self.code(0b0011_0000 + low, 8),
                        high => self.code(0b1_1001_0000 + high - 144, 9),
                    }
                }
                self.code(0, 7);
                self.plain.extend(content);
            }
            Block::Match { far } => {
                self.put(0b010, 3);
                let before = self.plain.len() - member;
                if before > 0 {
                    // Symbol 285: length 258.
                    self.code(0b1100_0101, 8);
                    let distance = match far && before >= 32_768 {
                        true => {
                            self.code(29, 5);
                            self.put(32_768 - 24_577, 13);
                            32_768
                        }
                        false => {
                            self.code(0, 5);
                            1
                        }
                    };
                    for _ in 0..258 {
                        self.plain.push(self.plain[self.plain.len() - distance]);
                    }
                }
                self.code(0, 7);
            }
        }
    }

    /// Appends a Huffman code, whose high bits come first.
    fn code(&mut self, code: u32, len: u8) {
        for bit in (0..len).rev() {
            self.put(code >> bit & 1, 1);
        }
    }

    /// Appends a number, whose low bits come first.
    fn put(&mut self, number: u32, len: u8) {
        for bit in 0..len {
            if self.used == 0 {
                self.stored.push(0);
            }
            let last = self.stored.len() - 1;
            self.stored[last] |= ((number >> bit & 1) as u8) << self.used;
            self.used = (self.used + 1) % 8;
        }
    }
}
