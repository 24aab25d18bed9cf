//! What a dump of metadata tells: structures with their offsets, the names of their fields, and values. Formats tell of
//! theirs by methods called `structures`, and print them, one per line, by `dump`.

#[cfg(feature = "serde")]
mod document;
mod structure;

use std::error::Error;
use std::fmt;

use crate::width::u64_from;

#[cfg(feature = "serde")]
pub use document::{DUMP_VERSION, Document, Stopped, Tell};
pub use structure::{Dumped, FieldValue, Structure};

/// A field and its value.
pub type Field<'a> = (&'static str, FieldValue<'a>);

/// Who hears of the structures.
pub struct Teller<'a, E> {
    /// Hears of each.
    pub tell: &'a mut dyn FnMut(Dumped<'_>) -> Result<(), E>,
}

impl<E> fmt::Debug for Teller<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Teller")
    }
}

impl<E> Teller<'_, E> {
    /// Tells of a structure.
    ///
    /// # Errors
    /// What is answered.
    pub fn structure(
        &mut self,
        offset: u64,
        (name, index): (&'static str, Option<u64>),
        fields: &[Field<'_>],
    ) -> Result<(), E> {
        (self.tell)(Dumped::Structure(Structure {
            offset,
            name,
            index,
            fields,
        }))
    }

    /// An element of a table of which `offset` is the start and `len` the length of an element.
    ///
    /// # Errors
    /// What is answered.
    pub fn element(
        &mut self,
        (offset, len): (u64, usize),
        (name, index): (&'static str, usize),
        fields: &[Field<'_>],
    ) -> Result<(), E> {
        let before = u64_from(index).saturating_mul(u64_from(len));
        let offset = offset.saturating_add(before);
        self.structure(offset, (name, Some(u64_from(index))), fields)
    }

    /// Tells of a structure that cannot be read.
    ///
    /// # Errors
    /// What is answered.
    pub fn unreadable(&mut self, error: &(dyn Error + 'static)) -> Result<(), E> {
        (self.tell)(Dumped::Unreadable(error))
    }
}
