//! The unit of addresses and directories.

/// Size of a file system block, a power of two from 512 to 65,536 bytes: the unit of addresses and of
/// directories.
///
/// ```
/// use lazyoci_erofs_format::BlockSize;
/// assert_eq!(BlockSize::new(12), Some(BlockSize::B4096));
/// assert_eq!(BlockSize::B512.bytes(), 512);
/// assert_eq!(BlockSize::new(8), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockSize(u8);

impl BlockSize {
    /// 512 bytes: of images over a tar.
    pub const B512: Self = Self(9);
    /// 4096 bytes: of nearly all others.
    pub const B4096: Self = Self(12);

    /// The size of which `bits` is the binary logarithm, 9 to 16.
    #[must_use]
    pub const fn new(bits: u8) -> Option<Self> {
        match bits {
            9..=16 => Some(Self(bits)),
            _ => None,
        }
    }

    /// Binary logarithm of the size in bytes.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Size in bytes.
    #[inline]
    #[must_use]
    pub const fn bytes(self) -> u64 {
        1 << self.0
    }

    /// Bytes of so many blocks.
    #[inline]
    #[must_use]
    pub fn bytes_in(self, blocks: u32) -> u64 {
        u64::from(blocks).saturating_mul(self.bytes())
    }

    /// Whole blocks of so many bytes.
    #[inline]
    #[must_use]
    pub const fn whole_in(self, bytes: u64) -> u64 {
        bytes >> self.0
    }

    /// Bytes after the last whole block of so many bytes.
    #[inline]
    #[must_use]
    pub const fn rest(self, bytes: u64) -> u64 {
        bytes & self.bytes().saturating_sub(1)
    }
}
