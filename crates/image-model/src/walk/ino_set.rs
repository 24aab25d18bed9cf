//! A set of inode numbers.

use std::collections::HashMap;

use crate::image::Ino;

/// A set of inode numbers: about two bits each if they are close together, as in every format, and
/// never more than a hash set takes.
#[derive(Debug, Clone, Default)]
pub struct InoSet(HashMap<u64, u64>);

impl InoSet {
    /// Adds `ino`; false if it was already in the set.
    pub fn insert(&mut self, ino: Ino) -> bool {
        let bit = 1 << (ino.0 % 64);
        let word = self.0.entry(ino.0 / 64).or_default();
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Whether `ino` is in the set.
    #[must_use]
    pub fn contains(&self, ino: Ino) -> bool {
        let word = self.0.get(&(ino.0 / 64)).copied().unwrap_or(0);
        word & (1 << (ino.0 % 64)) != 0
    }
}
