//! What a dictionary file has for its entries: the same for one that is written and for one that is checked.

use image_model::width::usize_from;

use super::columns::{Columns, numbers_of};
use super::part::{Asked, MOST, PILOTS, Placed, SEARCHED, spare};
use super::{DIGEST_LEN, WINDOW};
use crate::error::DictionaryError;
use crate::placement::Entry;

/// What becomes of something.
type Done = Result<(), DictionaryError>;

/// The next entry in order.
pub(super) type Next<'n> = &'n mut dyn FnMut() -> Result<Option<Entry>, DictionaryError>;

/// What is small enough to be held until the pilots are written.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// For each part, where in it the records are that have spare places.
    pub(super) displaced: Vec<u8>,
    /// The first record of each part, one past the last one, and the number of parts without pilots.
    pub(super) firsts: Vec<u8>,
    count: u32,
}

/// Entries of one part: all of them if it is `whole`, otherwise some, until the `last` are there.
struct Piece<'e> {
    entries: &'e [Entry],
    whole: bool,
    last: bool,
}

/// Hands all entries to `take`, part after part.
fn pieces(parts: u32, next: Next<'_>, take: &mut dyn FnMut(Piece<'_>) -> Done) -> Done {
    let mut entries = Vec::new();
    let mut ahead = next()?;
    for part in 0..parts {
        let mut whole = true;
        entries.clear();
        while let Some(entry) = ahead
            && asked(&entry).part(parts) == part
        {
            if entries.len() == MOST {
                whole = false;
                take(Piece {
                    entries: &entries,
                    whole,
                    last: false,
                })?;
                entries.clear();
            }
            entries.push(entry);
            ahead = next()?;
        }
        take(Piece {
            entries: &entries,
            whole,
            last: true,
        })?;
    }
    Ok(())
}

fn asked(entry: &Entry) -> Asked {
    Asked::new(&entry.digest, entry.len)
}

fn placed(entries: &[Entry]) -> Placed {
    let keys: Vec<Asked> = entries.iter().map(asked).collect();
    Placed::of(&keys)
}

impl Index {
    /// Hands the pilots of each part to `take`; what else finds the records is returned.
    pub(super) fn of(
        parts: u32,
        next: Next<'_>,
        take: &mut dyn FnMut(&[u8; PILOTS as usize]) -> Done,
    ) -> Result<Self, DictionaryError> {
        let mut index = Self::default();
        let (mut first, mut searched) = (0, 0u32);
        index.firsts.extend_from_slice(&[0; 4]);
        pieces(parts, next, &mut |piece| {
            index.count = piece
                .entries
                .iter()
                .fold(index.count, |n, _| n.saturating_add(1));
            if !piece.last {
                return Ok(());
            }
            let mut pilots = [SEARCHED; PILOTS as usize];
            if piece.whole {
                let placed = placed(piece.entries);
                // As many fit before those of the next part.
                index.displaced.resize(displaced_at(first), 0);
                let all = placed.displaced.iter().flat_map(|at| at.to_le_bytes());
                index.displaced.extend(all);
                pilots = placed.pilots;
            }
            searched += u32::from(pilots[0] == SEARCHED);
            take(&pilots)?;
            index.firsts.extend_from_slice(&index.count.to_le_bytes());
            first = index.count;
            Ok(())
        })?;
        index.displaced.resize(displaced_at(index.count), 0);
        index.firsts.extend_from_slice(&searched.to_le_bytes());
        Ok(index)
    }
}

/// Where the displaced records are, in bytes, of the part that begins with a record.
#[inline]
pub(super) fn displaced_at(first: u32) -> usize {
    2 * usize_from(spare(first))
}

/// Hands all records to `take`, with the number of each.
pub(super) fn records(
    parts: u32,
    columns: &Columns,
    next: Next<'_>,
    take: &mut dyn FnMut(u32, &[u8]) -> Done,
) -> Done {
    let mut record = 0u32;
    let mut put = |entry: &Entry| {
        take(
            record,
            pack(columns, entry)?
                .get(..len(columns))
                .unwrap_or_default(),
        )?;
        record = record.saturating_add(1);
        Done::Ok(())
    };
    pieces(parts, next, &mut |piece| {
        if !piece.whole {
            return piece.entries.iter().try_for_each(&mut put);
        }
        let order = placed(piece.entries).order.into_iter();
        let mut in_order = order.filter_map(|at| piece.entries.get(usize::from(at)));
        in_order.try_for_each(&mut put)
    })
}

/// Bytes of a record.
pub(super) fn len(columns: &Columns) -> usize {
    DIGEST_LEN + columns.len()
}

fn pack(columns: &Columns, entry: &Entry) -> Result<[u8; WINDOW], DictionaryError> {
    let mut bytes = [0; WINDOW];
    let (digest, placement) = bytes.split_at_mut(DIGEST_LEN);
    digest.copy_from_slice(entry.digest.as_bytes());
    let numbers = columns.pack(&numbers_of(entry)?);
    for (to, byte) in placement.iter_mut().zip(numbers) {
        *to = byte;
    }
    Ok(bytes)
}
