//! The placements of records: ten numbers, each in as many bits as the largest of its kind needs.

use image_model::width::{u64_from, usize_from};
use image_model::{BlobIndex, Frame, RecipeId};

use crate::error::DictionaryError;
use crate::placement::{Entry, Placement, RECIPES};

/// Numbers of a placement, in the order in which a record has them.
pub(super) const COLUMNS: usize = 10;

/// The numbers of a record.
pub(super) type Numbers = [u64; COLUMNS];

/// Bytes that are read for a placement: no record has more, and as many follow the last one.
pub(super) const WINDOW: usize = 48;

/// Bytes in which the columns of most files begin.
const NEAR: u16 = 32;

/// A number's name, and the maximum number of bits that it can have.
const KINDS: [(&str, u8); COLUMNS] = [
    ("length", 32),
    ("blob", 32),
    ("stored offset", 64),
    ("stored length", 32),
    ("bytes of the frame beyond the chunk", 32),
    ("offset in the frame", 32),
    ("recipe", 3),
    ("position in the blob", 32),
    ("address", 64),
    ("head", 8),
];

/// How a number is stored: without its lowest bits, which are zero in all of them, and without its highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Column {
    pub(super) shift: u8,
    pub(super) width: u8,
    /// First bit in the placement.
    start: u16,
    /// The byte that contains it, how far eight bytes from there on are turned to have the number in its place, and
    /// which of their bits are the number's then.
    byte: usize,
    turn: u32,
    place: u64,
    mask: u64,
}

/// How placements are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Columns {
    columns: [Column; COLUMNS],
    /// Whether all begin early, and eight bytes contain each of them: so it is unless numbers are extreme.
    near: bool,
}

/// The bits that occur in the numbers of placements, ored.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bits([u64; COLUMNS]);

impl Bits {
    pub(super) fn add(&mut self, numbers: &Numbers) {
        for (bits, number) in self.0.iter_mut().zip(numbers) {
            *bits |= number;
        }
    }

    /// What these numbers need, if `known_len` bytes of each length are beside the digest; with heads if some bucket is
    /// crowded.
    pub(super) fn columns(&self, known_len: u8, crowded: bool) -> Columns {
        let mut pairs = [(0, 0); COLUMNS];
        let head = if crowded { u8::MAX } else { 0 };
        let all = stored(&self.0, head, known_len);
        for (pair, bits) in pairs.iter_mut().zip(all) {
            if bits != 0 {
                // At most 64.
                let shift = bits.trailing_zeros();
                let width = 64 - bits.leading_zeros() - shift;
                *pair = (shift.to_le_bytes()[0], width.to_le_bytes()[0]);
            }
        }
        Columns::new(pairs)
    }
}

/// The numbers that are stored of those of a chunk, if `known_len` bytes of its length are beside the digest.
pub(super) fn stored(numbers: &Numbers, head: u8, known_len: u8) -> Numbers {
    let mut stored = *numbers;
    let [len, .., last] = &mut stored;
    *len >>= (8 * known_len) & 63;
    *last = head.into();
    stored
}

impl Columns {
    fn new(pairs: [(u8, u8); COLUMNS]) -> Self {
        let mut columns = [Column::default(); COLUMNS];
        let mut start = 0u16;
        let mut near = true;
        for (column, (shift, width)) in columns.iter_mut().zip(pairs) {
            let mask = match width {
                0 => 0,
                _ => u64::MAX >> 64u8.saturating_sub(width),
            };
            near &= start % 8 + u16::from(width) <= 64 && start < 8 * NEAR;
            *column = Column {
                shift,
                width,
                start,
                byte: usize::from(start / 8),
                turn: u32::from(start % 8).wrapping_sub(shift.into()) % 64,
                place: mask << (shift & 63),
                mask,
            };
            start = start.saturating_add(width.into());
        }
        Self { columns, near }
    }

    /// Takes pairs of a shift and a width, which the header has from byte `offset` on.
    pub(super) fn from_bytes(
        bytes: &[u8; 2 * COLUMNS],
        offset: usize,
    ) -> Result<Self, DictionaryError> {
        let mut pairs = [(0, 0); COLUMNS];
        let (given, _) = bytes.as_chunks::<2>();
        let kinds = KINDS.into_iter().zip(0usize..);
        for ((pair, &[shift, width]), ((_, most), position)) in
            pairs.iter_mut().zip(given).zip(kinds)
        {
            if shift.checked_add(width).is_none_or(|bits| bits > most) || (width == 0 && shift != 0)
            {
                return Err(DictionaryError::Header {
                    offset: offset + 2 * position,
                    field: "columns",
                    value: u64::from(shift) + (u64::from(width) << 8),
                    rule: "a shift and a width that the number can have",
                });
            }
            *pair = (shift, width);
        }
        Ok(Self::new(pairs))
    }

    pub(super) fn to_bytes(self) -> [u8; 2 * COLUMNS] {
        let mut bytes = [0; 2 * COLUMNS];
        for (to, column) in bytes.as_chunks_mut::<2>().0.iter_mut().zip(self.columns) {
            *to = [column.shift, column.width];
        }
        bytes
    }

    fn bits(&self) -> u32 {
        self.columns
            .iter()
            .map(|column| u32::from(column.width))
            .sum()
    }

    /// Bytes of a placement.
    pub(super) fn len(&self) -> usize {
        usize_from(self.bits().div_ceil(8))
    }

    /// The bits of `numbers`, in as many of the bytes as a placement has.
    pub(super) fn pack(&self, numbers: &Numbers) -> [u8; WINDOW] {
        let mut words = [0u64; WINDOW / 8 + 1];
        for (column, number) in self.columns.iter().zip(numbers) {
            let value = number >> (column.shift & 63) & column.mask;
            let (word, bit) = (usize::from(column.start / 64), column.start % 64);
            if let Some([low, high]) = words.get_mut(word..word + 2) {
                *low |= value << bit;
                if bit != 0 {
                    *high |= value >> (64 - bit);
                }
            }
        }
        let mut bytes = [0; WINDOW];
        for (to, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *to = word.to_le_bytes();
        }
        bytes
    }

    /// The numbers whose bits begin in `window`.
    // A call would hand the numbers over in memory, and wait for them while they have not arrived.
    #[inline(always)]
    pub(super) fn unpack(&self, window: &[u8; WINDOW]) -> Numbers {
        match self.near {
            true => std::array::from_fn(|at| self.columns[at].take_near(window)),
            false => self.unpack_far(window),
        }
    }

    #[cold]
    #[inline(never)]
    fn unpack_far(&self, window: &[u8; WINDOW]) -> Numbers {
        let words = words(window);
        self.columns.map(|column| column.take(&words))
    }

    /// What is beyond the bytes of lengths beside the digests: nothing, if no chunk is as long.
    #[inline]
    pub(super) fn len_high(&self, window: &[u8; WINDOW]) -> u64 {
        // Its bits are the first 32 at most.
        self.columns[0].take_near(window)
    }

    /// Whether some chunk is as long.
    pub(super) fn has_len(&self) -> bool {
        self.columns[0].width != 0
    }

    /// The head of a record whose bucket does not tell it.
    pub(super) fn head(&self, window: &[u8; WINDOW]) -> u8 {
        let [head, ..] = self.columns[COLUMNS - 1].take(&words(window)).to_le_bytes();
        head
    }
}

impl Column {
    /// The number, if eight bytes contain it and it begins early.
    #[inline]
    fn take_near(&self, window: &[u8; WINDOW]) -> u64 {
        // Within the window, as the compiler sees, too.
        let bytes = window[self.byte % usize::from(NEAR)..].first_chunk();
        let bits = u64::from_le_bytes(*bytes.unwrap_or(&[0; 8]));
        bits.rotate_right(self.turn) & self.place
    }

    #[inline]
    fn take(&self, words: &[u64; WINDOW / 8 + 2]) -> u64 {
        let (word, bit) = (usize::from(self.start / 64), self.start % 64);
        // No column starts behind the window, so that these are there.
        let low = words.get(word).copied().unwrap_or(0);
        let high = words.get(word + 1).copied().unwrap_or(0);
        let value = low >> bit | (high << 1) << (63 - bit);
        (value & self.mask) << (self.shift & 63)
    }
}

#[inline]
fn words(window: &[u8; WINDOW]) -> [u64; WINDOW / 8 + 2] {
    let mut words = [0; WINDOW / 8 + 2];
    for (word, bytes) in words.iter_mut().zip(window.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// The numbers of a chunk of `len` bytes; `None` if the frame is too short for it.
pub(super) fn numbers(len: u32, placement: &Placement) -> Option<Numbers> {
    let frame = &placement.frame;
    let beyond = frame.len.checked_sub(len)?;
    placement
        .offset_in_frame
        .checked_add(len)
        .filter(|end| *end <= frame.len)?;
    frame.stored_end()?;
    if frame.recipe.0 >= RECIPES {
        return None;
    }
    Some([
        len.into(),
        frame.blob.0.into(),
        frame.offset,
        frame.stored_len.into(),
        beyond.into(),
        placement.offset_in_frame.into(),
        frame.recipe.0.into(),
        placement.index.into(),
        placement.address,
        0,
    ])
}

/// The same for an entry of any source.
pub(super) fn numbers_of(entry: &Entry) -> Result<Numbers, DictionaryError> {
    // A source that is a file was not checked before.
    let numbers = numbers(entry.len, &entry.placement);
    let what = "its placement is none that a chunk can have";
    numbers.ok_or(DictionaryError::Entry { what })
}

/// The placement of a chunk of `len` bytes; what is wrong with it, if it cannot be. There are `blobs` blobs.
#[inline(always)]
pub(super) fn placement(
    len: u32,
    numbers: &Numbers,
    blobs: u32,
) -> Result<Placement, &'static str> {
    let &[
        _,
        blob,
        offset,
        stored_len,
        beyond,
        offset_in_frame,
        recipe,
        index,
        address,
        _,
    ] = numbers;
    let len = u64::from(len);
    let frame_len = u32::try_from(len + beyond).map_err(|_| "the frame is too long")?;
    // All others have at most 32 bits, as the header says.
    let small = |number: u64| {
        let [a, b, c, d, ..] = number.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    };
    if offset_in_frame + len > frame_len.into() {
        return Err("the chunk ends after its frame");
    }
    if blob >= u64::from(blobs) {
        return Err("there is no such blob");
    }
    let frame = Frame {
        blob: BlobIndex(small(blob)),
        offset,
        stored_len: small(stored_len),
        len: frame_len,
        recipe: RecipeId(small(recipe)),
    };
    if frame.stored_end().is_none() {
        return Err("the frame ends beyond 2^64");
    }
    Ok(Placement {
        frame,
        offset_in_frame: small(offset_in_frame),
        index: small(index),
        address,
    })
}

const _: () = assert!({
    let mut bits = 0;
    let mut at = 0;
    while at < COLUMNS {
        bits += KINDS[at].1 as usize;
        at += 1;
    }
    bits <= WINDOW * 8
});

/// The whole of a table in bytes; saturates.
pub(super) fn table_len(count: u64, size: usize) -> u64 {
    count.saturating_mul(u64_from(size))
}

/// A position in a table in bytes.
#[inline]
pub(super) fn position(index: u32, size: usize) -> usize {
    usize_from(index) * size
}
