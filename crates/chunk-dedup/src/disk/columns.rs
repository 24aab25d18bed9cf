//! The placements of records: nine numbers, each in as many bits as the largest of its kind needs.

use image_model::width::{u64_from, usize_from};
use image_model::{BlobIndex, Frame, RecipeId};

use super::{DIGEST_LEN, WINDOW};
use crate::error::DictionaryError;
use crate::placement::{Entry, Placement, RECIPES};

/// Numbers of a placement, in the order in which the header has them.
pub(super) const COLUMNS: usize = 9;

/// The numbers of a record.
pub(super) type Numbers = [u64; COLUMNS];

/// Bytes of a placement at most: all numbers with all of their bits, and up to seven before each.
const MOST: usize = 49;

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
];
const LENGTH: usize = 0;
const BLOB: usize = 1;
const OFFSET: usize = 2;
const STORED_LEN: usize = 3;
const BEYOND: usize = 4;
const OFFSET_IN_FRAME: usize = 5;
const RECIPE: usize = 6;
const INDEX: usize = 7;
const ADDRESS: usize = 8;

/// How a number is stored: without its lowest bits, which are zero in all of them, and without its highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Column {
    pub(super) shift: u8,
    pub(super) width: u8,
    /// First bit in the placement: as far behind a byte as the shift is, so that the number is read in its place.
    start: u16,
    /// From where in a record eight bytes are read, after [`FIRST`], and which of their bits are the number's.
    byte: usize,
    place: u64,
}

/// No number is read from before this byte of a record: a shift takes it at most seven bytes back.
const FIRST: usize = DIGEST_LEN - 8;

/// How placements are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Columns {
    columns: [Column; COLUMNS],
    bits: u16,
    /// Whether each chunk is all of its frame, and no frame can end beyond 2^64: so it is in most files.
    plain: bool,
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

    /// What these numbers need.
    pub(super) fn columns(&self) -> Columns {
        let mut pairs = [(0, 0); COLUMNS];
        for (pair, bits) in pairs.iter_mut().zip(self.0) {
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

impl Columns {
    fn new(pairs: [(u8, u8); COLUMNS]) -> Self {
        let mut columns = [Column::default(); COLUMNS];
        let mut end = 0u16;
        let mut left: Vec<usize> = (0..COLUMNS).filter(|&at| pairs[at].1 != 0).collect();
        // Next comes the number that leaves the fewest bits before it unused.
        let unused = |at: usize, end: u16| u16::from(pairs[at].0).wrapping_sub(end) % 8;
        while let Some(&at) = left.iter().min_by_key(|&&at| unused(at, end)) {
            left.retain(|&other| other != at);
            let (shift, width) = pairs[at];
            let start = end + unused(at, end);
            let mask = u64::MAX >> 64u8.saturating_sub(width);
            columns[at] = Column {
                shift,
                width,
                start,
                byte: DIGEST_LEN + usize::from(start / 8) - usize::from(shift / 8) - FIRST,
                place: mask << (shift & 63),
            };
            end = start + u16::from(width);
        }
        let most = |at: usize| columns[at].place;
        let plain = most(BEYOND) == 0
            && most(OFFSET_IN_FRAME) == 0
            && most(OFFSET).checked_add(most(STORED_LEN)).is_some();
        Self {
            columns,
            bits: end,
            plain,
        }
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

    /// Bytes of a placement.
    pub(super) fn len(&self) -> usize {
        usize::from(self.bits.div_ceil(8))
    }

    /// Whether some numbers are zero in all records.
    #[inline(always)]
    pub(super) fn plain(&self) -> bool {
        self.plain
    }

    /// The bits of `numbers`, in as many of the bytes as a placement has.
    pub(super) fn pack(&self, numbers: &Numbers) -> [u8; WINDOW] {
        let mut words = [0u64; WINDOW / 8 + 1];
        for (column, number) in self.columns.iter().zip(numbers) {
            let value = (number & column.place) >> (column.shift & 63);
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

    /// One of the numbers of the record that begins with `window`.
    // One load and one operation: what waits for memory keeps the processor from looking further ahead.
    #[inline(always)]
    fn number(&self, at: usize, window: &[u8; WINDOW]) -> u64 {
        let column = &self.columns[at];
        // Within the window, as the compiler sees, too.
        let bytes = window[FIRST + column.byte % 64..].first_chunk();
        u64::from_le_bytes(*bytes.unwrap_or(&[0; 8])) & column.place
    }

    /// The length of the chunk.
    #[inline(always)]
    pub(super) fn chunk_len(&self, window: &[u8; WINDOW]) -> u64 {
        self.number(LENGTH, window)
    }

    /// All numbers of the record that begins with `window`.
    #[inline(always)]
    pub(super) fn unpack(&self, window: &[u8; WINDOW]) -> Numbers {
        let number = |at| self.number(at, window);
        let beyond = |at| if self.plain { 0 } else { number(at) };
        [
            number(LENGTH),
            number(BLOB),
            number(OFFSET),
            number(STORED_LEN),
            beyond(BEYOND),
            beyond(OFFSET_IN_FRAME),
            number(RECIPE),
            number(INDEX),
            number(ADDRESS),
        ]
    }
}

const _: () = assert!(DIGEST_LEN + MOST <= WINDOW && FIRST + 63 + 8 <= WINDOW);

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
    ])
}

/// The same for an entry of any source.
pub(super) fn numbers_of(entry: &Entry) -> Result<Numbers, DictionaryError> {
    // A source that is a file was not checked before.
    let numbers = numbers(entry.len, &entry.placement);
    let what = "its placement is none that a chunk can have";
    numbers.ok_or(DictionaryError::Entry { what })
}

/// The placement of a chunk of `len` bytes; what is wrong with it, if it cannot be. There are `blobs` blobs, and all
/// columns are plain or not.
#[inline(always)]
pub(super) fn placement(
    len: u32,
    numbers: &Numbers,
    plain: bool,
    blobs: u32,
) -> Result<Placement, &'static str> {
    // All but offsets and addresses have at most 32 bits, as the header says.
    let small = |at: usize| {
        let [a, b, c, d, ..] = numbers[at].to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    };
    if small(BLOB) >= blobs {
        return Err("there is no such blob");
    }
    let (mut frame_len, mut offset_in_frame) = (len, 0);
    if !plain {
        offset_in_frame = small(OFFSET_IN_FRAME);
        frame_len = whole(len, small(BEYOND)).ok_or("the frame is too long")?;
        if !is_within(len, offset_in_frame, frame_len) {
            return Err("the chunk ends after its frame");
        }
        if !is_end(numbers[OFFSET], small(STORED_LEN)) {
            return Err("the frame ends beyond 2^64");
        }
    }
    Ok(Placement {
        frame: Frame {
            blob: BlobIndex(small(BLOB)),
            offset: numbers[OFFSET],
            stored_len: small(STORED_LEN),
            len: frame_len,
            recipe: RecipeId(small(RECIPE)),
        },
        offset_in_frame,
        index: small(INDEX),
        address: numbers[ADDRESS],
    })
}

// Most files have no numbers of which these are asked: lookups in them must not wait for what is computed here, and hand
// nothing over in memory.

#[inline(never)]
fn whole(len: u32, beyond: u32) -> Option<u32> {
    len.checked_add(beyond)
}

#[inline(never)]
fn is_within(len: u32, offset: u32, frame_len: u32) -> bool {
    offset.checked_add(len).is_some_and(|end| end <= frame_len)
}

#[inline(never)]
fn is_end(offset: u64, stored_len: u32) -> bool {
    offset.checked_add(stored_len.into()).is_some()
}

const _: () = assert!({
    let mut bits = 0;
    let mut at = 0;
    while at < COLUMNS {
        bits += KINDS[at].1 as usize + 7;
        at += 1;
    }
    bits <= MOST * 8
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
