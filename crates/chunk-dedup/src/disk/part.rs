//! Parts: which place a record has among those of its part is computed from its key and one byte, its pilot.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use image_model::Digest;
use image_model::width::usize_from;

/// Records of a part, if all digests are as random as they should be.
const RECORDS: u32 = 2048;

/// Pilots of a part.
pub(super) const PILOTS: u32 = 600;

/// The pilot of all records of a part that has no other pilots: they are in order, and searched.
pub(super) const SEARCHED: u8 = u8::MAX;

/// Records of a part at most, if it has pilots.
pub(super) const MOST: usize = 4096;

/// Keys of one pilot at most.
const CROWD: usize = 256;

/// Places that a search for the pilots of a part looks at, at most: fifty times as many as random digests take.
const WORK: u32 = 1 << 22;

/// One place more than there are records, for so many of them.
const SPARE: u32 = 64;

/// Odd numbers with random bits.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
const MIX: u64 = 0xbf58_476d_1ce4_e5b9;

/// Number of parts of a dictionary.
pub(super) fn parts(entries: u32) -> u32 {
    entries / RECORDS + 1
}

/// Records behind the last of their part, of so many: where they are is stored.
#[inline]
pub(super) fn spare(count: u32) -> u32 {
    count / SPARE
}

/// A key, as it is computed with: the first word of the digest, and the second one with bits of the length.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    first: u64,
    mixed: u64,
}

impl Asked {
    #[inline(always)]
    pub(super) fn new(digest: &Digest, len: u32) -> Self {
        let [first, second, ..] = *digest.as_bytes().as_chunks().0 else {
            return Self::default();
        };
        let mixed = u64::from_le_bytes(second) ^ u64::from(len).wrapping_mul(SPREAD);
        Self {
            first: u64::from_be_bytes(first),
            mixed,
        }
    }

    /// The part of the key, of so many.
    #[inline(always)]
    pub(super) fn part(self, parts: u32) -> u32 {
        scale(self.first >> 32, parts)
    }

    /// Which of the pilots of its part the key has: the first ones have more keys.
    #[inline(always)]
    pub(super) fn pilot(self) -> u32 {
        let low = self.mixed & u64::from(u32::MAX);
        scale((low * low) >> 32, PILOTS)
    }

    /// The place of the key by its pilot, among those of `count` records and the spare ones.
    #[inline(always)]
    pub(super) fn place(self, pilot: u8, count: u32) -> u32 {
        let turned = self.mixed ^ u64::from(pilot).wrapping_mul(SPREAD);
        scale(
            turned.wrapping_mul(MIX) >> 32,
            count.wrapping_add(spare(count)),
        )
    }
}

/// A number below `end`, in proportion to one below 2^32.
#[inline(always)]
fn scale(number: u64, end: u32) -> u32 {
    let [_, _, _, _, scaled @ ..] = number.wrapping_mul(end.into()).to_le_bytes();
    u32::from_le_bytes(scaled)
}

/// How the records of a part are stored.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) pilots: [u8; PILOTS as usize],
    /// Where the records are whose places are spare.
    pub(super) displaced: Vec<u16>,
    /// Which of the keys has each of the records.
    pub(super) order: Vec<u16>,
}

impl Placed {
    /// Places for keys in order, at most [`MOST`]. If there are none, they stay in order.
    pub(super) fn of(keys: &[Asked]) -> Self {
        let count = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        let spares = usize_from(spare(count));
        let order = (0..u16::MAX).take(keys.len()).collect();
        let in_order = Self {
            pilots: [SEARCHED; PILOTS as usize],
            displaced: vec![0; spares],
            order,
        };
        let Some(pilots) = Search::new(keys).pilots() else {
            return in_order;
        };
        let mut places: Vec<Option<u16>> = vec![None; keys.len() + spares];
        for (key, number) in keys.iter().zip(0u16..) {
            let pilot = pilots[usize_from(key.pilot())];
            places[usize_from(key.place(pilot, count))] = Some(number);
        }
        let (own, beyond) = places.split_at_mut(keys.len());
        let mut free = (0u16..)
            .zip(own.iter_mut())
            .filter(|(_, place)| place.is_none());
        let mut displaced = vec![0; spares];
        for (to, number) in displaced.iter_mut().zip(beyond) {
            if number.is_some()
                && let Some((at, place)) = free.next()
            {
                (*to, *place) = (at, *number);
            }
        }
        // As many as there are keys.
        let order = own.iter().flatten().copied().collect();
        Self {
            pilots,
            displaced,
            order,
        }
    }
}

/// The search for pilots: those with many keys first; if one finds no free places, it takes them from others, which
/// search again.
struct Search {
    count: u32,
    /// The keys of each pilot, one after the other.
    keys: Vec<Asked>,
    /// Where the keys of each pilot begin, and the last ones end.
    starts: Vec<usize>,
    pilots: [u8; PILOTS as usize],
    /// Which pilot has each place.
    taken: Vec<Option<u32>>,
    /// Those that took places from others most recently: they are left alone.
    recent: [u32; 16],
    /// For which of the tried pilots each place was looked at last, and the number of those so far.
    seen: Vec<u32>,
    tried: u32,
    /// Places that may still be looked at.
    left: u32,
}

impl Search {
    fn new(keys: &[Asked]) -> Self {
        let mut keys = keys.to_vec();
        keys.sort_by_key(|key| key.pilot());
        let starts = (0..=PILOTS).map(|pilot| keys.partition_point(|key| key.pilot() < pilot));
        let count = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        let places = keys.len() + usize_from(spare(count));
        Self {
            count,
            starts: starts.collect(),
            pilots: [0; PILOTS as usize],
            taken: vec![None; places],
            recent: [u32::MAX; 16],
            seen: vec![0; places],
            tried: 0,
            left: WORK,
            keys,
        }
    }

    fn keys_of(&self, number: u32) -> &[Asked] {
        let number = usize_from(number);
        &self.keys[self.starts[number]..self.starts[number + 1]]
    }

    fn place(&self, key: Asked, pilot: u8) -> usize {
        usize_from(key.place(pilot, self.count))
    }

    /// All pilots, if there are some with which no two keys have one place. Random digests always have them.
    fn pilots(&mut self) -> Option<[u8; PILOTS as usize]> {
        let mut waiting = BinaryHeap::new();
        for number in 0..PILOTS {
            match self.keys_of(number).len() {
                0 => {}
                1..=CROWD => waiting.push((self.keys_of(number).len(), Reverse(number))),
                _ => return None,
            }
        }
        let mut moves = 0;
        while let Some((_, Reverse(number))) = waiting.pop() {
            let pilot = self.best(number)?;
            self.pilots[usize_from(number)] = pilot;
            for at in 0..self.keys_of(number).len() {
                let place = self.place(self.keys_of(number)[at], pilot);
                if let Some(other) = self.taken[place] {
                    self.release(other);
                    waiting.push((self.keys_of(other).len(), Reverse(other)));
                    moves += 1;
                    self.recent[moves % 16] = number;
                }
                self.taken[place] = Some(number);
            }
            if moves > MOST {
                return None;
            }
        }
        Some(self.pilots)
    }

    fn release(&mut self, number: u32) {
        let pilot = self.pilots[usize_from(number)];
        for at in 0..self.keys_of(number).len() {
            let place = self.place(self.keys_of(number)[at], pilot);
            if self.taken[place] == Some(number) {
                self.taken[place] = None;
            }
        }
    }

    /// The first pilot with free places for all keys, or else that which takes the fewest places.
    fn best(&mut self, number: u32) -> Option<u8> {
        let mut best = None;
        let mut least = usize::MAX;
        for pilot in 0..SEARCHED {
            if let Some(cost) = self.cost(number, pilot, least) {
                if cost == 0 {
                    return Some(pilot);
                }
                (best, least) = (Some(pilot), cost);
            }
        }
        best
    }

    /// What it costs to take places from others; `None` if that is not below `least`, two keys have one place, or no more
    /// places may be looked at.
    fn cost(&mut self, number: u32, pilot: u8, least: usize) -> Option<usize> {
        // No more often than places are looked at.
        self.tried += 1;
        let mut cost = 0;
        for at in self.starts[usize_from(number)]..self.starts[usize_from(number) + 1] {
            self.left = self.left.checked_sub(1)?;
            let place = self.place(self.keys[at], pilot);
            if std::mem::replace(&mut self.seen[place], self.tried) == self.tried {
                return None;
            }
            if let Some(other) = self.taken[place] {
                if self.recent.contains(&other) {
                    return None;
                }
                let len = self.keys_of(other).len();
                cost += len * len;
                if cost >= least {
                    return None;
                }
            }
        }
        Some(cost)
    }
}

#[cfg(test)]
mod tests {
    use image_model::DigestAlgorithm;

    use super::*;

    /// Keys of the one part that a dictionary of so few has.
    fn keys(count: u32) -> Vec<Asked> {
        let mut state = 0u64;
        let mut word = || {
            state = state.wrapping_add(SPREAD);
            let mixed = (state ^ (state >> 30)).wrapping_mul(MIX);
            (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
        };
        let mut key = |_| {
            let mut digest = [0; 32];
            for bytes in digest.as_chunks_mut().0 {
                *bytes = word().to_le_bytes();
            }
            Asked::new(&Digest::new(DigestAlgorithm::Sha256, digest), 4096)
        };
        (0..count).map(&mut key).collect()
    }

    #[test]
    fn random_digests_take_a_fiftieth_of_the_work() {
        for count in [0, 1, 1000, RECORDS, RECORDS + 300] {
            let mut search = Search::new(&keys(count));
            assert!(search.pilots().is_some(), "{count}");
            let used = WORK - search.left;
            assert!(used <= WORK / 50, "{count}: {used}");
        }
    }

    #[test]
    fn a_search_ends_with_its_work() {
        let mut search = Search::new(&keys(RECORDS));
        search.left = RECORDS;
        assert_eq!(search.pilots(), None);
        assert_eq!(search.left, 0);
    }
}
