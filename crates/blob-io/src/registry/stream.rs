//! Streams of blob content that survive broken connections.

use std::fmt;
use std::io::{self, Read};
use std::ops::Range;

use bytes::Bytes;

use super::blob::{Opened, RemoteBlob};
use super::error::{At, RegistryError, RegistryErrorKind};
use super::turns::TurnState;

/// The bytes of a [`RemoteBlob`] from front to end. Interrupted transfers are resumed, from the same server or
/// the next.
pub struct BlobStream {
    blob: RemoteBlob,
    /// The remaining range.
    range: Range<u64>,
    turns: TurnState,
    opened: Option<(Opened, At)>,
}

impl fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobStream")
            .field("blob", &self.blob)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

impl BlobStream {
    pub(super) fn new(blob: RemoteBlob, range: Range<u64>) -> Self {
        Self {
            blob,
            range,
            turns: TurnState::default(),
            opened: None,
        }
    }

    /// Reads all bytes of the range, whose length is that of `buf`.
    pub(super) fn fill(&mut self, mut buf: &mut [u8]) -> Result<(), RegistryError> {
        while !buf.is_empty() {
            let read = self.next(buf)?;
            buf = &mut buf[read..];
        }
        Ok(())
    }

    /// All bytes of a small blob, compared with its digest.
    pub(super) fn verified(&mut self) -> Result<Bytes, RegistryError> {
        let whole = self.range.clone();
        loop {
            let len = usize::try_from(whole.end).unwrap_or(usize::MAX);
            let mut bytes = vec![0; len];
            self.fill(&mut bytes)?;
            let Err(kind) = self.blob.inner.check(&bytes) else {
                return Ok(bytes.into());
            };
            let at = self.turns.at(self.blob.inner.what(), true, None);
            let error = RegistryError::new(&at, self.server(), kind);
            self.failed(error)?;
            self.range = whole.clone();
        }
    }

    /// Reads some of the next bytes; 0 at the end.
    fn next(&mut self, buf: &mut [u8]) -> Result<usize, RegistryError> {
        loop {
            let len = self.range.end - self.range.start;
            if len == 0 || buf.is_empty() {
                return Ok(0);
            }
            let Some((opened, at)) = &mut self.opened else {
                let at = self.begin();
                match self.blob.inner.open(self.turns.server, &at) {
                    Ok(opened) => self.opened = Some((opened, at)),
                    Err(error) => self.failed(error)?,
                }
                continue;
            };
            // A response with fewer bytes than requested ends early.
            let most = usize::try_from(len.min(opened.left)).unwrap_or(usize::MAX);
            let most = most.min(buf.len());
            let kind = match opened.stream.read(&mut buf[..most]) {
                Ok(0) => {
                    let asked = at.range.clone().unwrap_or(0..self.blob.inner.len);
                    RegistryErrorKind::Short {
                        received: self.range.start - asked.start,
                        expected: asked.end - asked.start,
                    }
                }
                Ok(read) => {
                    let bytes = read as u64;
                    opened.left -= bytes;
                    self.range.start += bytes;
                    self.turns.progress(bytes);
                    if self.range.is_empty() {
                        self.close()?;
                    }
                    return Ok(read);
                }
                Err(kind) => kind,
            };
            let error = RegistryError::new(at, &opened.stream.server, kind);
            self.opened = None;
            self.failed(error)?;
        }
    }

    fn begin(&mut self) -> At {
        let asked = self.asked();
        self.turns.attempt(self.blob.inner.what(), true, asked)
    }

    /// The range to request, unless it is the whole blob.
    fn asked(&self) -> Option<Range<u64>> {
        let whole = 0..self.blob.inner.len;
        Some(self.range.clone()).filter(|range| *range != whole)
    }

    fn server(&self) -> String {
        self.blob.inner.repository.servers()[self.turns.server]
            .name
            .clone()
    }

    fn failed(&mut self, error: RegistryError) -> Result<(), RegistryError> {
        let repository = &self.blob.inner.repository;
        self.turns
            .failed(repository.client(), repository.servers(), error)
    }

    /// Ends a response whose bytes have all been read: the connection can be reused once its end was seen.
    fn close(&mut self) -> Result<(), RegistryError> {
        let Some((mut opened, at)) = self.opened.take() else {
            return Ok(());
        };
        let end = self.range.start;
        let len = self.blob.inner.len;
        if opened.is_whole && end < len {
            self.blob.inner.keep(self.turns.server, end, opened.stream);
            return Ok(());
        }
        // A failure no longer matters here.
        let more = opened.stream.read(&mut [0]).unwrap_or_default();
        if more > 0 && opened.is_whole {
            let kind = RegistryErrorKind::Length {
                found: len + 1,
                expected: len,
            };
            return Err(RegistryError::new(&at, opened.stream.server, kind));
        }
        Ok(())
    }
}

impl Read for BlobStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let offset = self.range.start;
        let len = buf.len() as u64;
        self.next(buf)
            .map_err(|error| error.reading(offset, len).into())
    }
}
