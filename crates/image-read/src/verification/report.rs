//! Telling findings, up to a bound.

use std::ops::Range;

use image_model::{Blame, Cancelled, Fault, ImagePath, Limits, Progress};
use rafs_format::blob::{BlobError, BlobMismatch};

use super::finding::{Finding, Flaw, ImageObject, ObjectRange};
use super::{MAX_FINDINGS, MAX_RANGES, VerifySummary};

/// Who hears what is found, and how far the work is.
pub(super) struct Report<'a> {
    tell: &'a mut dyn FnMut(Finding),
    progress: &'a mut dyn Progress,
    pub(super) summary: VerifySummary,
    done: (u64, Option<u64>),
    /// Bytes that findings may still take.
    room: u64,
}

/// What a finding takes besides its path.
const FINDING_LEN: u64 = 256;

impl<'a> Report<'a> {
    pub(super) fn new(
        tell: &'a mut dyn FnMut(Finding),
        progress: &'a mut dyn Progress,
        limits: &Limits,
    ) -> Self {
        Self {
            tell,
            progress,
            summary: VerifySummary::default(),
            done: (0, None),
            room: limits.max_report_len,
        }
    }

    /// Something about the object as a whole.
    pub(super) fn add(&mut self, object: ImageObject, what: Flaw) {
        self.add_at(object, None, None, what);
    }

    pub(super) fn add_at(
        &mut self,
        object: ImageObject,
        path: Option<ImagePath>,
        offset: Option<u64>,
        what: Flaw,
    ) {
        let fault = what.fault();
        self.count(fault);
        let path_len = path.as_ref().map_or(0, |path| path.as_bytes().len());
        // The finding itself contains the path a second time.
        let len = FINDING_LEN + 2 * path_len as u64;
        if self.summary.findings > MAX_FINDINGS || self.room < len {
            self.room = 0;
            self.summary.untold += 1;
            return;
        }
        self.room -= len;
        (self.tell)(Finding {
            path,
            offset,
            object,
            what,
            fault,
        });
    }

    fn count(&mut self, fault: Fault) {
        self.summary.findings += 1;
        match fault {
            Fault::Corrupt => self.summary.corrupt += 1,
            Fault::Io | Fault::Misuse | Fault::Cancelled => self.summary.unread += 1,
            Fault::Unsupported | Fault::Limit => {}
        }
    }

    /// A finding that is not told, because there are too many.
    pub(super) fn add_untold(&mut self, fault: Fault) {
        self.count(fault);
        self.summary.untold += 1;
    }

    /// Findings like others before, of which there are too many to tell them.
    pub(super) fn count_untold(&mut self, count: u64) {
        self.summary.findings += count;
        self.summary.untold += count;
    }

    pub(super) fn blob_error(
        &mut self,
        object: &ImageObject,
        offset: Option<u64>,
        source: BlobError,
    ) {
        let what = Flaw::Blob {
            object: object.clone(),
            source,
        };
        self.add_at(object.clone(), None, offset, what);
    }

    pub(super) fn mismatch(&mut self, object: &ImageObject, source: BlobMismatch) {
        let what = Flaw::Mismatch {
            object: object.clone(),
            source,
        };
        self.add(object.clone(), what);
    }

    pub(super) fn unread(&mut self, object: &ImageObject, source: blob_io::ReadError) {
        let what = Flaw::Read {
            object: object.clone(),
            source,
        };
        self.add(object.clone(), what);
    }

    pub(super) fn padding(&mut self, object: &ImageObject, range: Range<u64>) {
        self.summary.padding_len += range.end - range.start;
        list(&mut self.summary.padding, object, range);
    }

    pub(super) fn unvouched(&mut self, object: &ImageObject, range: Range<u64>) {
        self.summary.unvouched_len += range.end - range.start;
        list(&mut self.summary.unvouched, object, range);
    }

    /// `done` of `total` bytes of chunks are through.
    pub(super) fn advance(&mut self, done: u64, total: Option<u64>) -> Result<(), Cancelled> {
        self.done = (done, total);
        self.again()
    }

    /// Asks whether to continue, in work that is not counted.
    pub(super) fn again(&mut self) -> Result<(), Cancelled> {
        let (done, total) = self.done;
        self.progress.advance(done, total)
    }
}

fn list(ranges: &mut Vec<ObjectRange>, object: &ImageObject, range: Range<u64>) {
    if ranges.len() < MAX_RANGES {
        let object = object.clone();
        ranges.push(ObjectRange { object, range });
    }
}
