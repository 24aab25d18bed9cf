//! From a directory and a name to an inode. Of the inodes on the way only the few fields are read that lead
//! on; the rest is checked when somebody asks for the inode.

use std::cmp::Ordering;
use std::ops::Range;

use image_model::width::usize_from;
use image_model::{Ino, NameRef};

use super::bootstrap::Bootstrap;
use super::inode::{Unread, name_at};
use super::inode_table::{self, ENTRY_LEN};
use crate::error::DecodeError;

impl Bootstrap {
    /// What is called `name` in the directory `ino`.
    pub(super) fn find(
        &self,
        ino: Ino,
        name: NameRef<'_>,
    ) -> Result<Option<Unread<'_>>, DecodeError> {
        let directory = self.standing_for(ino)?;
        let numbers = directory.children()?;
        self.require_children(&numbers, directory.child_count(), directory.offset())?;
        let (bytes, entries) = (&*self.bytes, self.table_entries(&numbers));
        let number = |position: u32| numbers.start.saturating_add(position);
        let name_of = |position: u32| {
            let entry = entries.get(usize_from(position)).copied();
            name_at(bytes, entry.and_then(inode_table::inode_offset)?)
        };
        let (mut low, mut high) = (0u32, numbers.end.saturating_sub(numbers.start));
        while low < high {
            // Two halvings need one of these each. Memory answers at once what is asked for before the first is compared.
            let middle = low.midpoint(high);
            let behind = middle.saturating_add(1);
            let near = [middle, low.midpoint(middle), behind.midpoint(high)];
            let names = near.map(name_of);
            let mut next = 0;
            for _ in 0..2 {
                let position = near[next];
                let found = match names[next] {
                    Some(found) => found,
                    // This path reports what is wrong.
                    None => self.unread(number(position))?.name(bytes)?,
                };
                match found.cmp(name.as_bytes()) {
                    Ordering::Less => (low, next) = (position.saturating_add(1), 2),
                    Ordering::Greater => (high, next) = (position, 1),
                    Ordering::Equal => {
                        let child = self.unread(number(position))?;
                        child.require_parent(ino.0)?;
                        return Ok(Some(child));
                    }
                }
                if low >= high {
                    break;
                }
            }
        }
        Ok(None)
    }

    /// The inode that stands for all names of `inode`.
    pub(super) fn first_link<'b>(&'b self, inode: Unread<'b>) -> Result<Unread<'b>, DecodeError> {
        match inode.is_first() {
            true => Ok(inode),
            false => self.standing_for(Ino(inode.ino())),
        }
    }

    /// The inode that stands for all names of `ino`.
    fn standing_for(&self, ino: Ino) -> Result<Unread<'_>, DecodeError> {
        let inode = self.unread(u32::try_from(ino.0).unwrap_or(u32::MAX))?;
        inode.require_ino(ino)?;
        Ok(inode)
    }

    /// The entries of the inode table for `numbers`.
    fn table_entries(&self, numbers: &Range<u32>) -> &[[u8; ENTRY_LEN]] {
        let table = self.table_bytes(self.superblock.inode_table());
        let position = |number: u32| usize_from(number.saturating_sub(1));
        let positions = position(numbers.start)..position(numbers.end);
        table.as_chunks().0.get(positions).unwrap_or_default()
    }
}
