//! Where the bytes of a blob go.

use std::ops::Range;
use std::sync::mpsc::SyncSender;

use bytes::Bytes;
use image_model::{Digest, DigestAlgorithm};
use verify::{Hasher, UnsupportedDigest};

/// Where the bytes of a blob go.
#[derive(Debug, Default)]
pub(super) struct Sinks {
    sha256: Option<Hasher>,
    /// Another digest that is wanted.
    other: Option<Hasher>,
    /// The digest of the bytes up to this one is wanted, and made.
    front: Option<(u64, Option<Digest>)>,
    /// The digest without these bytes is wanted, and made.
    without: Option<(Range<u64>, Option<Hasher>)>,
    /// Who wants the bytes themselves.
    pipe: Option<SyncSender<Bytes>>,
}

/// Digests of a blob.
#[derive(Debug, Default)]
pub(super) struct Digests {
    /// SHA-256 and what else was wanted.
    pub(super) whole: Vec<Digest>,
    /// SHA-256 of the bytes in front.
    pub(super) front: Option<Digest>,
    /// SHA-256 without the bytes that were to be left out.
    pub(super) without: Option<Digest>,
}

impl Sinks {
    /// Wants SHA-256.
    pub(super) fn sha256() -> Self {
        Self {
            sha256: Some(Hasher::sha256()),
            ..Self::default()
        }
    }

    /// Wants this digest, too.
    pub(super) fn want(&mut self, algorithm: DigestAlgorithm) -> Result<(), UnsupportedDigest> {
        let hasher = Hasher::new(algorithm)?;
        match algorithm {
            DigestAlgorithm::Sha256 => self.sha256 = Some(hasher),
            _ => self.other = Some(hasher),
        }
        Ok(())
    }

    /// Wants SHA-256 of the bytes up to `end`, too.
    pub(super) fn want_front(&mut self, end: u64) {
        self.front = Some((end, None));
    }

    /// Wants SHA-256 of all but `range`, too.
    pub(super) fn want_without(&mut self, range: Range<u64>) {
        self.without = Some((range, None));
    }

    /// Sends the bytes themselves to `pipe`.
    pub(super) fn send_to(&mut self, pipe: SyncSender<Bytes>) {
        self.pipe = Some(pipe);
    }

    pub(super) fn take(&mut self, mut position: u64, mut bytes: &[u8]) {
        if let Some(pipe) = &self.pipe
            && pipe.send(Bytes::copy_from_slice(bytes)).is_err()
        {
            // The receiver needs no more.
            self.pipe = None;
        }
        if let Some(hasher) = &mut self.other {
            hasher.update(bytes);
        }
        let Some(mut sha256) = self.sha256.take() else {
            return;
        };
        loop {
            self.mark(position, &sha256);
            let to_mark = self.next_mark(position) - position;
            let len = usize::try_from(to_mark).map_or(bytes.len(), |len| len.min(bytes.len()));
            if len == 0 {
                break;
            }
            let (now, later) = bytes.split_at(len);
            sha256.update(now);
            if let Some((left_out, Some(hasher))) = &mut self.without
                && position >= left_out.end
            {
                hasher.update(now);
            }
            position += len as u64;
            bytes = later;
        }
        self.sha256 = Some(sha256);
    }

    /// The next position after `position` at which something is to be done.
    fn next_mark(&self, position: u64) -> u64 {
        let front = self.front.map(|(end, _)| end);
        let without = self.without.as_ref();
        let marks = [
            front,
            without.map(|(range, _)| range.start),
            without.map(|(range, _)| range.end),
        ];
        let later = marks.into_iter().flatten().filter(|&mark| mark > position);
        later.min().unwrap_or(u64::MAX)
    }

    /// Does what is to be done at `position`, before which `sha256` has seen everything.
    fn mark(&mut self, position: u64, sha256: &Hasher) {
        if let Some((end, digest)) = &mut self.front
            && *end == position
        {
            *digest = Some(sha256.clone().finish());
        }
        if let Some((left_out, hasher)) = &mut self.without
            && left_out.start == position
        {
            *hasher = Some(sha256.clone());
        }
    }

    pub(super) fn finish(self) -> Digests {
        let whole = [self.sha256, self.other].into_iter().flatten();
        Digests {
            whole: whole.map(Hasher::finish).collect(),
            front: self.front.and_then(|(_, digest)| digest),
            without: self.without.and_then(|(_, hasher)| Some(hasher?.finish())),
        }
    }
}
