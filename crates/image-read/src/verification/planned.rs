//! What becomes of a blob while its chunks are read.

use std::ops::Range;

use image_model::{BlobId, Cancelled, Digest};

use super::blob::Inspected;
use super::digests::{self, Expected};
use super::finding::ImageObject;
use super::report::Report;
use super::sinks::Sinks;
use super::tap::Tap;

/// A blob that can be read.
pub(super) struct Planned {
    object: ImageObject,
    /// Whether it is the file that was opened.
    pub(super) is_file: bool,
    /// Where its bytes go; `None` if nobody wants all of them.
    pub(super) sinks: Option<Sinks>,
    /// Of a RAFS blob: what it is called, and the digest that its data should have, if there is one.
    native: Option<(BlobId, Option<Digest>)>,
    /// Bytes for which only a digest of the whole blob vouches.
    unvouched: Vec<Range<u64>>,
}

impl Planned {
    /// A blob of which only the chunks are read, if anything.
    pub(super) fn unread(object: ImageObject) -> Self {
        Self {
            object,
            is_file: false,
            sinks: None,
            native: None,
            unvouched: Vec::new(),
        }
    }

    /// A native RAFS blob, whose digests are compared with its name and its TOC.
    pub(super) fn native(object: ImageObject, id: BlobId, inspected: Option<Inspected>) -> Self {
        let (sections, unvouched) = match inspected {
            Some(found) => (Some(found.sections), found.unvouched),
            None => (None, Vec::new()),
        };
        Self {
            sinks: Some(digests::sinks(sections.as_ref())),
            native: Some((id, sections.as_ref().and_then(digests::listed))),
            unvouched,
            ..Self::unread(object)
        }
    }

    /// A RAFS blob of version 7 of `len` bytes, whose first bytes have the digest `data`, if that is known.
    pub(super) fn v7(
        object: ImageObject,
        id: BlobId,
        data: Option<(u64, Digest)>,
        len: u64,
    ) -> Self {
        let mut sinks = Sinks::sha256();
        if let Some((end, _)) = data {
            sinks.want_front(end);
        }
        Self {
            sinks: Some(sinks),
            native: Some((id, data.map(|(_, digest)| digest))),
            unvouched: std::iter::once(0..len).collect(),
            ..Self::unread(object)
        }
    }

    /// Its bytes are those of the file: all of them are wanted, if its digest is.
    pub(super) fn want(&mut self, expected: &Expected) {
        if let Some(digest) = expected.of_file() {
            let sinks = self.sinks.get_or_insert_default();
            // A digest that cannot be computed is reported at the end.
            let _ = sinks.want(digest.algorithm());
        }
    }

    /// Reads what is left of the blob, if all of it is wanted, and compares its digests. Whether it
    /// could be read.
    pub(super) fn settle(
        &self,
        tap: &Tap,
        expected: &mut Expected,
        report: &mut Report<'_>,
    ) -> Result<bool, Cancelled> {
        if !tap.is_wanted() {
            return Ok(true);
        }
        let found = match tap.finish(&mut || report.again())? {
            Ok(found) => Some(found),
            Err(error) => {
                report.unread(&self.object, error);
                None
            }
        };
        let mut whole = false;
        if let (Some((id, listed)), Some(found)) = (&self.native, &found) {
            whole = digests::compare(id, *listed, found, report);
        }
        if self.is_file {
            expected.add_file(found.as_ref());
            whole |= expected.is_of_file();
        }
        for range in self.unvouched.iter().filter(|_| !whole) {
            report.unvouched(&self.object, range.clone());
        }
        Ok(found.is_some())
    }
}
