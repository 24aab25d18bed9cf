//! The bytes of a fuzzer, read as choices.

/// Takes choices from the front of some bytes; zeros when they have run out.
///
/// It never fails, so that every input means something, and it is our own, so that the findings that
/// were kept mean the same for ever.
#[derive(Debug, Clone)]
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// Reads choices from `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether no byte is left.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is left.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// One byte.
    pub(super) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&byte, rest)) => {
                self.0 = rest;
                byte
            }
            None => 0,
        }
    }

    /// A coin.
    pub(super) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number from two bytes.
    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// A number from four bytes.
    pub(super) fn u32(&mut self) -> u32 {
        u32::from(self.u16()) | u32::from(self.u16()) << 16
    }

    /// A number from eight bytes.
    pub(super) fn u64(&mut self) -> u64 {
        u64::from(self.u32()) | u64::from(self.u32()) << 32
    }

    /// A number below `n`, at most 256; 0 if that is 0.
    pub(super) fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n.clamp(1, 256)
    }

    /// One of some values.
    pub(super) fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// Up to 255 bytes, as many as the next byte says.
    pub(super) fn bytes(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte()).min(self.0.len());
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }
}
