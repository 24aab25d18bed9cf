//! Writing, from the last byte to the first, in the order of the reference builder: bytes are a function of the calls.

use image_model::width::usize_from;

/// Where something was written: its distance from the end of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offset(u32);

/// Builds one buffer, which is shorter than 2 GiB.
#[derive(Default)]
pub(crate) struct Builder {
    /// The bytes, the last one first.
    reversed: Vec<u8>,
    /// The strictest alignment so far.
    alignment: usize,
    /// What each field of the open table is, and where the table ends.
    fields: Vec<u32>,
    table_end: u32,
    vtables: Vec<(u32, Vec<u16>)>,
}

impl Builder {
    /// Most bytes of a buffer, as offsets are signed in places.
    pub(crate) const MAX_LEN: u64 = 0x7fff_ffff;

    pub(crate) fn new() -> Self {
        Self {
            alignment: 1,
            ..Self::default()
        }
    }

    fn end(&self) -> Offset {
        // The caller has compared the length of all of it with the limit.
        Offset(u32::try_from(self.reversed.len()).unwrap_or(u32::MAX))
    }

    /// Pads so that something of `size` bytes is aligned once `after` more bytes were written.
    fn align(&mut self, size: usize, after: usize) {
        self.alignment = self.alignment.max(size);
        let end = self.reversed.len().saturating_add(after);
        let padding = end.next_multiple_of(size).saturating_sub(end);
        self.reversed.extend(std::iter::repeat_n(0, padding));
    }

    fn put(&mut self, bytes: &[u8]) {
        self.reversed.extend(bytes.iter().rev());
    }

    fn number<const N: usize>(&mut self, bytes: [u8; N]) {
        self.align(N, 0);
        self.put(&bytes);
    }

    fn vector_len(&mut self, len: usize) -> Offset {
        self.put(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
        self.end()
    }

    /// A string.
    pub(crate) fn string(&mut self, bytes: &[u8]) -> Offset {
        self.align(4, bytes.len().saturating_add(1));
        self.put(&[0]);
        self.put(bytes);
        self.vector_len(bytes.len())
    }

    /// A vector of bytes.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Offset {
        self.align(4, bytes.len());
        self.put(bytes);
        self.vector_len(bytes.len())
    }

    /// A vector of tables or strings.
    pub(crate) fn vector(&mut self, elements: &[Offset]) -> Offset {
        self.align(4, elements.len().saturating_mul(4));
        for element in elements.iter().rev() {
            self.offset(*element);
        }
        self.vector_len(elements.len())
    }

    fn offset(&mut self, to: Offset) {
        self.align(4, 0);
        let distance = self.end().0.saturating_sub(to.0).saturating_add(4);
        self.put(&distance.to_le_bytes());
    }

    /// Begins a table of at most `fields` fields.
    pub(crate) fn begin(&mut self, fields: usize) {
        self.fields = vec![0; fields];
        self.table_end = self.end().0;
    }

    fn field(&mut self, nth: usize) {
        self.fields[nth] = self.end().0;
    }

    pub(crate) fn i64(&mut self, nth: usize, value: i64) {
        if value != 0 {
            self.number(value.to_le_bytes());
            self.field(nth);
        }
    }

    pub(crate) fn i32(&mut self, nth: usize, value: i32) {
        if value != 0 {
            self.number(value.to_le_bytes());
            self.field(nth);
        }
    }

    pub(crate) fn u32(&mut self, nth: usize, value: u32) {
        if value != 0 {
            self.number(value.to_le_bytes());
            self.field(nth);
        }
    }

    /// A number that is left out if it is `default`.
    pub(crate) fn i8(&mut self, nth: usize, value: i8, default: i8) {
        if value != default {
            self.number(value.to_le_bytes());
            self.field(nth);
        }
    }

    /// A table, vector or string.
    pub(crate) fn refer(&mut self, nth: usize, to: Offset) {
        self.offset(to);
        self.field(nth);
    }

    /// Ends the table. Its vtable is shared with former tables that have the same fields at the same places.
    pub(crate) fn finish_table(&mut self) -> Offset {
        self.number([0; 4]);
        let table = self.end();
        let mut fields = std::mem::take(&mut self.fields);
        while fields.last() == Some(&0) {
            fields.pop();
        }
        let place = |end: u32| match end {
            0 => 0,
            // A table has a few fields of eight bytes at most.
            end => u16::try_from(table.0.saturating_sub(end)).unwrap_or(u16::MAX),
        };
        let places = fields.into_iter().map(place).collect::<Vec<_>>();
        let known = self
            .vtables
            .iter()
            .rev()
            .find(|(_, known)| *known == places);
        let vtable = match known {
            Some((vtable, _)) => *vtable,
            None => {
                for place in places.iter().rev() {
                    self.number(place.to_le_bytes());
                }
                let table_len = u16::try_from(table.0.saturating_sub(self.table_end));
                self.number(table_len.unwrap_or(u16::MAX).to_le_bytes());
                let len = u16::try_from(places.len().saturating_add(2).saturating_mul(2));
                self.number(len.unwrap_or(u16::MAX).to_le_bytes());
                let vtable = self.end().0;
                self.vtables.push((vtable, places));
                vtable
            }
        };
        // The vtable lies before the table if its end is farther from that of the buffer.
        let distance = i64::from(vtable).saturating_sub(table.0.into());
        let distance = i32::try_from(distance).unwrap_or_default().to_le_bytes();
        let at = usize_from(table.0);
        for (byte, given) in self.reversed[at.saturating_sub(4)..at]
            .iter_mut()
            .rev()
            .zip(distance)
        {
            *byte = given;
        }
        table
    }

    /// The buffer whose root is `root`.
    pub(crate) fn finish(mut self, root: Offset) -> Vec<u8> {
        self.align(self.alignment, 4);
        self.offset(root);
        self.reversed.reverse();
        self.reversed
    }
}
