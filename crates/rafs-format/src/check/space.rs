//! Which structure takes which bytes.

use image_model::width::{u64_from, usize_up_to};

use super::Inconsistency;

/// The bytes that structures take.
#[derive(Debug, Default)]
pub(crate) struct Space {
    taken: Vec<Taken>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Taken {
    start: u64,
    end: u64,
    structure: &'static str,
}

impl Space {
    pub(crate) fn take(&mut self, structure: &'static str, start: u64, len: u64) {
        if len > 0 {
            self.taken.push(Taken {
                start,
                end: start.saturating_add(len),
                structure,
            });
        }
    }

    /// Reports structures that overlap and, if `complete`, bytes between structures that are not
    /// zero.
    pub(crate) fn check(
        mut self,
        bytes: &[u8],
        complete: bool,
        report: &mut dyn FnMut(u64, Inconsistency),
    ) {
        self.taken.sort_unstable();
        let mut last = Taken {
            start: 0,
            end: 0,
            structure: "start",
        };
        let check_gap = |start: u64, end: u64, report: &mut dyn FnMut(u64, _)| {
            let gap = bytes.get(usize_up_to(start)..usize_up_to(end));
            let gap = gap.unwrap_or_default();
            let stray = gap.iter().position(|&byte| byte != 0);
            if let Some(stray) = stray.filter(|_| complete) {
                report(start.saturating_add(u64_from(stray)), Inconsistency::Stray);
            }
        };
        for taken in self.taken {
            if taken.start < last.end {
                let what = Inconsistency::Overlap {
                    structure: taken.structure,
                    other: last.structure,
                    other_offset: last.start,
                };
                report(taken.start, what);
            } else {
                check_gap(last.end, taken.start, report);
            }
            if taken.end > last.end {
                last = taken;
            }
        }
        check_gap(last.end, u64_from(bytes.len()), report);
    }
}
