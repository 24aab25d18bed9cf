//! Which structure takes which bytes.

use super::Inconsistency;

/// The bytes that structures take, and content. Content may be shared, structures may not.
#[derive(Debug, Default)]
pub(super) struct Space {
    taken: Vec<Taken>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Taken {
    start: u64,
    end: u64,
    structure: &'static str,
    is_content: bool,
}

impl Space {
    pub(super) fn take(&mut self, structure: &'static str, start: u64, len: u64) {
        self.add(structure, start, len, false);
    }

    /// Content that begins in what was taken before, or directly after it, is one with that: chunks one
    /// after the other, or the same again, take no memory.
    pub(super) fn take_content(&mut self, start: u64, len: u64) {
        let last = self.taken.last_mut().filter(|last| last.is_content);
        match last.filter(|last| (last.start..=last.end).contains(&start)) {
            Some(last) => last.end = last.end.max(start.saturating_add(len)),
            None => self.add("content", start, len, true),
        }
    }

    fn add(&mut self, structure: &'static str, start: u64, len: u64, is_content: bool) {
        if len > 0 {
            self.taken.push(Taken {
                start,
                end: start.saturating_add(len),
                structure,
                is_content,
            });
        }
    }

    /// Reports what overlaps.
    pub(super) fn check(mut self, report: &mut dyn FnMut(u64, Inconsistency)) {
        self.taken.sort_unstable();
        self.taken.dedup();
        // The highest end so far, of structures and of content.
        let mut last: [Option<Taken>; 2] = [None, None];
        for taken in self.taken {
            let [structures, content] = last;
            let other = match taken.is_content {
                true => structures,
                false => [structures, content]
                    .into_iter()
                    .flatten()
                    .max_by_key(|other| other.end),
            };
            if let Some(other) = other.filter(|other| taken.start < other.end) {
                let what = Inconsistency::Overlap {
                    structure: taken.structure,
                    other: other.structure,
                    other_offset: other.start,
                };
                report(taken.start, what);
            }
            let place = &mut last[usize::from(taken.is_content)];
            if place.is_none_or(|place| place.end < taken.end) {
                *place = Some(taken);
            }
        }
    }
}
