//! Reading: every offset is checked before it is followed.

use bytes::Bytes;
use image_model::width::{u64_from, usize_from};

/// A table, vector or string that does not lie in the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{table} at byte {at}: a part of it does not lie in the zTOC")]
pub struct Malformed {
    /// Which table.
    pub table: &'static str,
    /// Where it begins.
    pub at: u64,
}

/// A table.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    bytes: &'a Bytes,
    name: &'static str,
    at: usize,
    len: usize,
    vtable: &'a [u8],
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    array(bytes, at).map(|bytes| u16::from_le_bytes(bytes).into())
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    array(bytes, at).map(|bytes| usize_from(u32::from_le_bytes(bytes)))
}

impl<'a> Table<'a> {
    /// The table that is all of `bytes`.
    pub(crate) fn root(bytes: &'a Bytes, name: &'static str) -> Result<Self, Malformed> {
        let malformed = Malformed { table: name, at: 0 };
        Self::at(bytes, u32_at(bytes, 0).ok_or(malformed)?, name)
    }

    fn at(bytes: &'a Bytes, at: usize, name: &'static str) -> Result<Self, Malformed> {
        let malformed = Malformed {
            table: name,
            at: u64_from(at),
        };
        Self::find(bytes, at, name).ok_or(malformed)
    }

    fn find(bytes: &'a Bytes, at: usize, name: &'static str) -> Option<Self> {
        let back = i32::from_le_bytes(array(bytes, at)?);
        let back = isize::try_from(back).ok()?;
        let vtable = at.checked_add_signed(back.checked_neg()?)?;
        let vtable_len = u16_at(bytes, vtable)?;
        let len = u16_at(bytes, vtable.checked_add(2)?)?;
        let vtable = bytes.get(vtable..vtable.checked_add(vtable_len)?)?;
        let fits = len >= 4 && at.checked_add(len)? <= bytes.len();
        (fits && vtable.len() >= 4).then_some(Self {
            bytes,
            name,
            at,
            len,
            vtable,
        })
    }

    /// Where it begins.
    pub(crate) fn offset(&self) -> u64 {
        u64_from(self.at)
    }

    fn malformed(&self) -> Malformed {
        Malformed {
            table: self.name,
            at: u64_from(self.at),
        }
    }

    /// The bytes of field `nth`, if it is there.
    fn field<const N: usize>(&self, nth: usize) -> Result<Option<(usize, [u8; N])>, Malformed> {
        let place = u16_at(self.vtable, nth.saturating_mul(2).saturating_add(4));
        let Some(place) = place.filter(|place| *place != 0) else {
            return Ok(None);
        };
        let end = place.saturating_add(N);
        let at = self.at.saturating_add(place);
        match array(self.bytes, at).filter(|_| place >= 4 && end <= self.len) {
            Some(bytes) => Ok(Some((at, bytes))),
            None => Err(self.malformed()),
        }
    }

    pub(crate) fn i64(&self, nth: usize) -> Result<i64, Malformed> {
        let field = self.field(nth)?;
        Ok(field.map_or(0, |(_, bytes)| i64::from_le_bytes(bytes)))
    }

    pub(crate) fn i32(&self, nth: usize) -> Result<i32, Malformed> {
        let field = self.field(nth)?;
        Ok(field.map_or(0, |(_, bytes)| i32::from_le_bytes(bytes)))
    }

    pub(crate) fn u32(&self, nth: usize) -> Result<u32, Malformed> {
        let field = self.field(nth)?;
        Ok(field.map_or(0, |(_, bytes)| u32::from_le_bytes(bytes)))
    }

    pub(crate) fn i8(&self, nth: usize, default: i8) -> Result<i8, Malformed> {
        let field = self.field(nth)?;
        Ok(field.map_or(default, |(_, bytes)| i8::from_le_bytes(bytes)))
    }

    /// What field `nth` refers to.
    fn target(&self, nth: usize) -> Result<Option<usize>, Malformed> {
        let field = self.field(nth)?;
        Ok(field.map(|(at, bytes)| at.saturating_add(usize_from(u32::from_le_bytes(bytes)))))
    }

    /// The table in field `nth`.
    pub(crate) fn table(&self, nth: usize, name: &'static str) -> Result<Option<Self>, Malformed> {
        let target = self.target(nth)?;
        target.map(|at| Self::at(self.bytes, at, name)).transpose()
    }

    /// Where the vector at `at` begins, and how many elements of `size` bytes it has.
    fn vector(&self, at: usize, size: usize) -> Result<(usize, usize), Malformed> {
        let find = || {
            let len = u32_at(self.bytes, at)?;
            let start = at.checked_add(4)?;
            let end = start.checked_add(len.checked_mul(size)?)?;
            (end <= self.bytes.len()).then_some((start, len))
        };
        find().ok_or(self.malformed())
    }

    fn string_at(&self, at: usize) -> Result<Bytes, Malformed> {
        let (start, len) = self.vector(at, 1)?;
        let end = start.saturating_add(len);
        match self.bytes.get(end) {
            Some(0) => Ok(self.bytes.slice(start..end)),
            _ => Err(self.malformed()),
        }
    }

    /// The string in field `nth`; empty if it is not there.
    pub(crate) fn string(&self, nth: usize) -> Result<Bytes, Malformed> {
        match self.target(nth)? {
            Some(at) => self.string_at(at),
            None => Ok(Bytes::new()),
        }
    }

    /// The bytes in field `nth`; none if it is not there.
    pub(crate) fn bytes(&self, nth: usize) -> Result<Bytes, Malformed> {
        self.placed_bytes(nth).map(|(_, bytes)| bytes)
    }

    /// The same, and where they begin.
    pub(crate) fn placed_bytes(&self, nth: usize) -> Result<(u64, Bytes), Malformed> {
        let (start, len) = match self.target(nth)? {
            Some(at) => self.vector(at, 1)?,
            None => (0, 0),
        };
        let bytes = self.bytes.slice(start..start.saturating_add(len));
        Ok((u64_from(start), bytes))
    }

    /// Where the elements of the vector in field `nth` are, each of which is a table or a string.
    pub(crate) fn elements(&self, nth: usize) -> Result<Elements<'a>, Malformed> {
        let (start, len) = match self.target(nth)? {
            Some(at) => self.vector(at, 4)?,
            None => (0, 0),
        };
        Ok(Elements {
            table: *self,
            start,
            len,
        })
    }
}

/// The elements of a vector.
#[derive(Clone, Copy)]
pub(crate) struct Elements<'a> {
    table: Table<'a>,
    start: usize,
    len: usize,
}

impl<'a> Elements<'a> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn targets(self) -> impl Iterator<Item = Result<usize, Malformed>> {
        (0..self.len).map(move |nth| {
            let at = self.start.saturating_add(nth.saturating_mul(4));
            let distance = u32_at(self.table.bytes, at).ok_or(self.table.malformed())?;
            Ok(at.saturating_add(distance))
        })
    }

    pub(crate) fn tables(
        self,
        name: &'static str,
    ) -> impl Iterator<Item = Result<Table<'a>, Malformed>> {
        let bytes = self.table.bytes;
        self.targets().map(move |at| Table::at(bytes, at?, name))
    }

    pub(crate) fn strings(self) -> impl Iterator<Item = Result<Bytes, Malformed>> {
        let placed = self.placed_strings();
        placed.map(|string| string.map(|(_, string)| string))
    }

    /// The strings, and where each begins: at its length.
    pub(crate) fn placed_strings(self) -> impl Iterator<Item = Result<(u64, Bytes), Malformed>> {
        let table = self.table;
        self.targets().map(move |at| {
            let at = at?;
            Ok((u64_from(at), table.string_at(at)?))
        })
    }
}
