//! Pending stored bytes: the requests, and the targets of their answers.

use std::ops::Range;

use bytes::Bytes;
use image_model::{BlobIndex, FrameId};

use super::frames::Claimed;

/// Size of a blob that a [`ReadPlan`](super::ReadPlan) needs, in bytes.
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

/// What [`Incoming::ask`] hears about a target.
pub(super) enum Verdict {
    /// Request it; its reader has claimed the frame.
    Ask(Option<Claimed>),
    /// It is not needed any more.
    Forget,
}

/// Targets that lack bytes, and the requests under way. Nearby targets share one request, and long runs of them are
/// split into requests of a fixed length, regardless of frame boundaries, so that sequential reading takes as few
/// requests as its length allows. The end of a run that does not fill a request is held back while more may follow.
///
/// When a request fails that was not for one target alone, each of its targets is requested alone once
/// it is due: what can be had is had.
#[derive(Debug)]
pub(super) struct Incoming {
    gap: u64,
    max_request: u64,
    targets: Vec<Missing>,
    /// Bytes of targets not requested yet, except those that are requested alone.
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
    /// Up to where it was requested.
    asked_to: u64,
    /// Whether it was found to be needed when the last of it was requested.
    granted: bool,
    claim: Option<Claimed>,
    /// Whether it is requested by requests of its own.
    alone: bool,
    /// What it was requested by, in the order of the bytes.
    parts: Vec<Part>,
    arrived: u64,
}

/// A range of a target that one request asks for.
#[derive(Debug)]
struct Part {
    request: u32,
    range: Range<u64>,
    /// Empty until they arrive.
    bytes: Bytes,
}

impl Missing {
    fn unasked(&self) -> u64 {
        self.range.end - self.asked_to
    }
}

/// A target with all its bytes, in one part for each request that had some.
pub(super) struct Arrived {
    pub(super) target: Target,
    pub(super) claim: Option<Claimed>,
    pub(super) range: StoredRange,
    pub(super) parts: Vec<Bytes>,
    /// Length of the answer that holds the last part, in bytes.
    pub(super) answer_len: u64,
}

/// The targets of a request that cannot be answered.
#[derive(Debug, Default)]
pub(super) struct Failed {
    /// Those that will never be complete.
    pub(super) ended: Vec<Target>,
    /// Those that will be requested again, each alone.
    pub(super) again: Vec<Target>,
}

impl Incoming {
    pub(super) fn new(gap: u64, max_request: u64) -> Self {
        let max_request = max_request.max(1);
        Self {
            // No request consists of a gap only.
            gap: gap.min(max_request - 1),
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
            granted: false,
            claim: None,
            alone: false,
            parts: Vec::new(),
            arrived: 0,
        });
    }

    /// Whether [`ask`](Self::ask) may have something to ask for without being forced to.
    pub(super) fn is_worth_asking(&self) -> bool {
        self.unasked >= self.worth
    }

    /// Whether `target` has not been requested completely.
    pub(super) fn lacks(&self, target: Target) -> bool {
        let mut lacking = self.targets.iter().filter(|missing| missing.unasked() > 0);
        lacking.any(|missing| missing.target == target)
    }

    /// What to ask for now: full requests, or everything if `force`d; of the targets that are requested
    /// alone, `due`. `decide` is asked once for each target that will be complete by that.
    pub(super) fn ask(
        &mut self,
        force: bool,
        due: Option<Target>,
        decide: &mut dyn FnMut(Target) -> Verdict,
    ) -> Vec<StoredRange> {
        if self.unasked == 0 && due.is_none() {
            return Vec::new();
        }
        self.targets
            .sort_by_key(|missing| (missing.blob, missing.asked_to, missing.range.end));
        let runs = loop {
            let runs = self.runs(force, due);
            if !self.decide(&runs, decide) {
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
                self.request(run, &request);
                requests.push(request);
                offset += len;
            }
        }
        self.unasked = (self.targets.iter())
            .filter(|missing| !missing.alone)
            .map(Missing::unasked)
            .sum();
        self.worth = self
            .max_request
            .max(self.unasked.saturating_add(self.max_request / 4));
        requests
    }

    fn request(&mut self, run: &Run, request: &StoredRange) {
        let number = self.next_request;
        self.next_request = self.next_request.wrapping_add(1);
        for missing in &mut self.targets[run.targets.clone()] {
            let start = missing.asked_to;
            if run.is_for(missing) && start < request.end() {
                missing.asked_to = missing.range.end.min(request.end());
                missing.parts.push(Part {
                    request: number,
                    range: start..missing.asked_to,
                    bytes: Bytes::new(),
                });
            }
        }
        self.asked.push((number, *request));
    }

    /// Near targets with bytes not requested yet. `targets` are in the order of those bytes.
    fn runs(&self, force: bool, due: Option<Target>) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let lacking = self.targets.iter().enumerate();
        let lacking = lacking.filter(|(_, missing)| missing.unasked() > 0);
        // Position of the run that the next target may join.
        let mut open = None;
        for (index, missing) in lacking {
            let (start, end) = (missing.asked_to, missing.range.end);
            let new = |alone| Run {
                blob: missing.blob,
                start,
                end,
                ask_to: 0,
                targets: index..index + 1,
                force: force || alone || missing.granted,
                alone,
            };
            if missing.alone {
                if due == Some(missing.target) {
                    runs.push(new(true));
                }
                continue;
            }
            let run = open.and_then(|open: usize| runs.get_mut(open));
            match run
                .filter(|run| run.blob == missing.blob && start <= run.end.saturating_add(self.gap))
            {
                Some(run) => {
                    run.end = run.end.max(end);
                    run.targets.end = index + 1;
                    run.force |= missing.granted;
                }
                None => {
                    open = Some(runs.len());
                    runs.push(new(false));
                }
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

    /// Has it decided whether the targets that `runs` complete are needed. Whether any is not, and is
    /// gone.
    fn decide(&mut self, runs: &[Run], decide: &mut dyn FnMut(Target) -> Verdict) -> bool {
        let mut forgotten = Vec::new();
        for run in runs {
            for index in run.targets.clone() {
                let missing = &mut self.targets[index];
                if run.is_for(missing) && !missing.granted && missing.range.end <= run.ask_to {
                    match decide(missing.target) {
                        Verdict::Ask(claim) => (missing.granted, missing.claim) = (true, claim),
                        Verdict::Forget => forgotten.push(index),
                    }
                }
            }
        }
        forgotten.sort_unstable();
        let mut forgotten = forgotten.into_iter().peekable();
        let any = forgotten.peek().is_some();
        let mut index = 0;
        self.targets.retain(|_| {
            let keep = forgotten.next_if_eq(&index).is_none();
            index += 1;
            keep
        });
        any
    }

    /// Takes the answer to a request; the targets that have all their bytes then. `None` if nobody
    /// asked for these bytes.
    pub(super) fn supply(
        &mut self,
        blob: BlobIndex,
        offset: u64,
        bytes: &Bytes,
    ) -> Option<Vec<Arrived>> {
        let answer_len = bytes.len() as u64;
        let number = self.take_request(&StoredRange {
            blob,
            offset,
            len: answer_len,
        })?;
        let mut arrived = Vec::new();
        self.targets.retain_mut(|missing| {
            let asked = missing.parts.iter_mut();
            let Some(part) = asked.rev().find(|part| part.request == number) else {
                return true;
            };
            let in_answer = |at: u64| (at - offset) as usize;
            part.bytes = bytes.slice(in_answer(part.range.start)..in_answer(part.range.end));
            missing.arrived += part.range.end - part.range.start;
            if missing.arrived < missing.range.end - missing.range.start {
                return true;
            }
            arrived.push(Arrived {
                target: missing.target,
                claim: missing.claim.take(),
                range: StoredRange {
                    blob,
                    offset: missing.range.start,
                    len: missing.arrived,
                },
                parts: missing.parts.drain(..).map(|part| part.bytes).collect(),
                answer_len,
            });
            false
        });
        Some(arrived)
    }

    /// A request that cannot be answered. `None` if nobody asked for these bytes.
    pub(super) fn fail(&mut self, range: &StoredRange) -> Option<Failed> {
        let number = self.take_request(range)?;
        let mut failed = Failed::default();
        let unasked = &mut self.unasked;
        self.targets.retain_mut(|missing| {
            let mut parts = missing.parts.iter();
            let Some(part) = parts.find(|part| part.request == number) else {
                return true;
            };
            let only = part.range == (range.offset..range.end());
            if !missing.alone {
                *unasked -= missing.unasked();
            }
            // The failure may have been in another part of the request.
            if missing.alone || only {
                failed.ended.push(missing.target);
                return false;
            }
            failed.again.push(missing.target);
            missing.alone = true;
            missing.asked_to = missing.range.start;
            missing.granted = false;
            missing.claim = None;
            missing.parts.clear();
            missing.arrived = 0;
            true
        });
        Some(failed)
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
    /// Up to where it is requested now.
    ask_to: u64,
    /// Positions in the list, others among them that were requested.
    targets: Range<usize>,
    /// Whether to ask for all of it, though the last request is not full.
    force: bool,
    /// Whether it is one target that is requested alone.
    alone: bool,
}

impl Run {
    /// Whether a target of its range belongs to it.
    fn is_for(&self, missing: &Missing) -> bool {
        missing.unasked() > 0 && missing.alone == self.alone
    }
}
