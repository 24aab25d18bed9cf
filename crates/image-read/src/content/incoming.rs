//! Stored bytes that are to come: what is asked for, and whom the answers are for.

use std::ops::Range;

use bytes::Bytes;
use image_model::{BlobIndex, FrameId};

/// Bytes of a blob that a [`ReadPlan`](super::ReadPlan) needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoredRange {
    /// The blob.
    pub blob: BlobIndex,
    /// First byte, from the start of the blob.
    pub offset: u64,
    /// Bytes; not 0.
    pub len: u64,
}

impl StoredRange {
    fn end(&self) -> u64 {
        self.offset + self.len
    }
}

/// Whom stored bytes are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Target {
    Frame(FrameId),
    /// The item of the window with this number, which lies plain in the blob.
    Plain(u64),
}

/// Targets that lack bytes, and the requests under way.
///
/// Near targets are asked for by one request, and long runs of them by requests of one length, wherever
/// frames begin: so what is read from front to back costs as few requests as its length needs. The
/// end of a run that does not fill a request is held back as long as more may follow it.
#[derive(Debug)]
pub(super) struct Incoming {
    gap: u64,
    max_request: u64,
    targets: Vec<Missing>,
    /// Bytes of targets that were not asked for yet.
    unasked: u64,
    /// With how many of them it is worth looking for a full request.
    worth: u64,
    /// Requests under way, by number.
    asked: Vec<(u32, StoredRange)>,
    next_request: u32,
}

#[derive(Debug)]
struct Missing {
    target: Target,
    blob: BlobIndex,
    range: Range<u64>,
    /// Up to where it was asked for.
    asked_to: u64,
    /// Whether no other reader fetches it.
    claimed: bool,
    requests: Vec<u32>,
    /// With the first byte of each in the blob.
    parts: Vec<(u64, Bytes)>,
    arrived: u64,
}

impl Missing {
    fn unasked(&self) -> u64 {
        self.range.end - self.asked_to
    }
}

/// A target with all its bytes, in one part for each request that had some.
pub(super) type Arrived = (Target, Vec<Bytes>);

impl Incoming {
    pub(super) fn new(gap: u64, max_request: u64) -> Self {
        let max_request = max_request.max(1);
        Self {
            gap,
            max_request,
            targets: Vec::new(),
            unasked: 0,
            worth: max_request,
            asked: Vec::new(),
            next_request: 0,
        }
    }

    /// Adds a target whose bytes are `range` of `blob`; not empty.
    pub(super) fn add(&mut self, target: Target, blob: BlobIndex, range: Range<u64>) {
        self.unasked += range.end - range.start;
        self.targets.push(Missing {
            target,
            blob,
            asked_to: range.start,
            range,
            claimed: false,
            requests: Vec::new(),
            parts: Vec::new(),
            arrived: 0,
        });
    }

    /// Whether [`ask`](Self::ask) may have something to ask for without being forced to.
    pub(super) fn is_worth_asking(&self) -> bool {
        self.unasked >= self.worth
    }

    /// Whether `target` was not asked for, at least not for all of it.
    pub(super) fn lacks(&self, target: Target) -> bool {
        let mut lacking = self.targets.iter().filter(|missing| missing.unasked() > 0);
        lacking.any(|missing| missing.target == target)
    }

    /// What to ask for now: full requests, or everything if `force`d. `claim` is asked once for each
    /// target that will be complete by that; one that it refuses is forgotten.
    pub(super) fn ask(
        &mut self,
        force: bool,
        claim: &mut dyn FnMut(Target) -> bool,
    ) -> Vec<StoredRange> {
        if self.unasked == 0 {
            return Vec::new();
        }
        self.targets
            .sort_by_key(|missing| (missing.blob, missing.asked_to, missing.range.end));
        let runs = loop {
            let runs = self.runs(force);
            if !self.claim(&runs, claim) {
                break runs;
            }
        };
        let mut requests = Vec::new();
        for run in &runs {
            let mut offset = run.start;
            while offset < run.ask_to {
                let len = self.max_request.min(run.ask_to - offset);
                let request = StoredRange {
                    blob: run.blob,
                    offset,
                    len,
                };
                let number = self.next_request;
                self.next_request = self.next_request.wrapping_add(1);
                for missing in &mut self.targets[run.targets.clone()] {
                    if missing.asked_to < request.end() && offset < missing.range.end {
                        missing.requests.push(number);
                        missing.asked_to = missing.range.end.min(request.end());
                    }
                }
                self.asked.push((number, request));
                requests.push(request);
                offset += len;
            }
        }
        self.unasked = self.targets.iter().map(Missing::unasked).sum();
        self.worth = self
            .max_request
            .max(self.unasked.saturating_add(self.max_request / 4));
        requests
    }

    /// Near targets that lack bytes nobody was asked for. `targets` are in the order of those bytes.
    fn runs(&self, force: bool) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for (index, missing) in self.targets.iter().enumerate() {
            if missing.unasked() == 0 {
                continue;
            }
            let (start, end) = (missing.asked_to, missing.range.end);
            match runs.last_mut() {
                Some(run)
                    if run.blob == missing.blob && start <= run.end.saturating_add(self.gap) =>
                {
                    run.end = run.end.max(end);
                    run.targets.end = index + 1;
                    run.force |= missing.claimed;
                }
                _ => runs.push(Run {
                    blob: missing.blob,
                    start,
                    end,
                    ask_to: 0,
                    targets: index..index + 1,
                    force: force || missing.claimed,
                }),
            }
        }
        for run in &mut runs {
            let len = run.end - run.start;
            run.ask_to = match run.force {
                true => run.end,
                false => run.start + (len - len % self.max_request),
            };
        }
        runs
    }

    /// Claims the targets that `runs` complete. Whether any was refused, and is gone.
    fn claim(&mut self, runs: &[Run], claim: &mut dyn FnMut(Target) -> bool) -> bool {
        let mut refused = false;
        for run in runs {
            for missing in &mut self.targets[run.targets.clone()] {
                if !missing.claimed && missing.unasked() > 0 && missing.range.end <= run.ask_to {
                    missing.claimed = claim(missing.target);
                    if !missing.claimed {
                        // Nothing more is asked for it, which marks it.
                        missing.asked_to = missing.range.end;
                        missing.requests.clear();
                        refused = true;
                    }
                }
            }
        }
        if refused {
            self.targets
                .retain(|missing| missing.claimed || missing.unasked() > 0);
        }
        refused
    }

    /// Takes the answer to a request; the targets that have all their bytes then. `None` if nobody
    /// asked for these bytes.
    pub(super) fn supply(
        &mut self,
        blob: BlobIndex,
        offset: u64,
        bytes: &Bytes,
    ) -> Option<Vec<Arrived>> {
        let len = bytes.len() as u64;
        let answered = StoredRange { blob, offset, len };
        let number = self.take_request(&answered)?;
        let mut arrived = Vec::new();
        self.targets.retain_mut(|missing| {
            if !missing.requests.contains(&number) {
                return true;
            }
            let start = missing.range.start.max(offset);
            let end = missing.range.end.min(answered.end());
            missing.arrived += end - start;
            let part = (start - offset) as usize..(end - offset) as usize;
            missing.parts.push((start, bytes.slice(part)));
            let complete = missing.arrived == missing.range.end - missing.range.start;
            if complete {
                missing.parts.sort_by_key(|(start, _)| *start);
                let parts = missing.parts.drain(..).map(|(_, bytes)| bytes).collect();
                arrived.push((missing.target, parts));
            }
            !complete
        });
        Some(arrived)
    }

    /// A request that cannot be answered; the targets that will never be complete, and whether they
    /// were claimed. `None` if nobody asked for these bytes.
    pub(super) fn fail(&mut self, range: &StoredRange) -> Option<Vec<(Target, bool)>> {
        let number = self.take_request(range)?;
        let mut failed = Vec::new();
        let unasked = &mut self.unasked;
        self.targets.retain(|missing| {
            let hit = missing.requests.contains(&number);
            if hit {
                *unasked -= missing.unasked();
                failed.push((missing.target, missing.claimed));
            }
            !hit
        });
        Some(failed)
    }

    /// Frames that were claimed and did not arrive.
    pub(super) fn claimed(&self) -> impl Iterator<Item = FrameId> + '_ {
        let claimed = self.targets.iter().filter(|missing| missing.claimed);
        claimed.filter_map(|missing| match missing.target {
            Target::Frame(id) => Some(id),
            Target::Plain(_) => None,
        })
    }

    fn take_request(&mut self, range: &StoredRange) -> Option<u32> {
        let position = self.asked.iter().position(|(_, asked)| asked == range)?;
        Some(self.asked.swap_remove(position).0)
    }
}

/// Targets that lie near each other.
#[derive(Debug)]
struct Run {
    blob: BlobIndex,
    start: u64,
    end: u64,
    /// Up to where it is asked for now.
    ask_to: u64,
    /// Positions in the list, others among them that were asked for.
    targets: Range<usize>,
    /// Whether to ask for all of it, though the last request is not full.
    force: bool,
}
