//! The source of a tar, read through one buffer.

use std::io::{self, Read, Seek, SeekFrom};

use image_model::width::{u64_from, usize_up_to};

use crate::block::BLOCK_LEN;
use crate::error::{Part, TarError};
use crate::layer::LayerError;

/// Small members need no separate read; large payloads bypass the buffer.
const BUFFER_LEN: usize = 256 << 10;

/// First read after a skipped payload: the next member may well be skipped too.
const READ_AFTER_SEEK: usize = 8 << 10;

pub(crate) struct Input<R> {
    source: R,
    buffer: Box<[u8]>,
    /// Bytes read but not consumed.
    start: usize,
    end: usize,
    /// Maximum length of the next read.
    read_len: usize,
    /// Bytes consumed.
    position: u64,
    seek: Option<Seeker<R>>,
}

struct Seeker<R> {
    skip: fn(&mut R, i64) -> io::Result<()>,
    /// Length of the whole source in bytes.
    len: u64,
}

impl<R> Input<R> {
    /// Bytes read but not consumed.
    pub(crate) fn at_hand(&self) -> usize {
        self.buffer[self.start..self.end].len()
    }
}

impl<R: Read> Input<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            buffer: vec![0; BUFFER_LEN].into(),
            start: 0,
            end: 0,
            read_len: BUFFER_LEN,
            position: 0,
            seek: None,
        }
    }

    pub(crate) fn seekable(mut source: R) -> io::Result<Self>
    where
        R: Seek,
    {
        let start = source.stream_position()?;
        let end = source.seek(SeekFrom::End(0))?;
        source.seek(SeekFrom::Start(start))?;
        let mut input = Self::new(source);
        input.seek = Some(Seeker {
            skip: |source, len| source.seek(SeekFrom::Current(len)).map(|_| ()),
            len: end.saturating_sub(start),
        });
        Ok(input)
    }

    /// Offset of the next byte.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn into_source(self) -> R {
        self.source
    }

    fn take(&mut self, len: usize) -> &[u8] {
        let taken = self.start..self.start.saturating_add(len);
        self.start = taken.end;
        self.position = self.position.saturating_add(u64_from(len));
        &self.buffer[taken]
    }

    fn failed(&self, source: io::Error) -> TarError {
        let offset = self.position.saturating_add(u64_from(self.at_hand()));
        match source.downcast::<LayerError>() {
            Ok(source) => TarError::Layer { offset, source },
            Err(source) => TarError::Io { offset, source },
        }
    }

    /// Reads more if nothing is left; returns the number of available bytes, 0 at the end.
    fn fill(&mut self) -> Result<usize, TarError> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            let read = read_some(&mut self.source, &mut self.buffer[..self.read_len]);
            self.end = read.map_err(|e| self.failed(e))?;
            self.read_len = self.read_len.saturating_mul(2).min(BUFFER_LEN);
        }
        Ok(self.at_hand())
    }

    /// Takes up to `buf.len()` bytes; 0 at the end.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> Result<usize, TarError> {
        if self.start == self.end && buf.len() >= BUFFER_LEN {
            let read = read_some(&mut self.source, buf).map_err(|e| self.failed(e))?;
            self.position = self.position.saturating_add(u64_from(read));
            return Ok(read);
        }
        let len = self.fill()?.min(buf.len());
        buf[..len].copy_from_slice(self.take(len));
        Ok(len)
    }

    /// Consumes what is available or comes with the next read; returns how much, 0 at the end.
    pub(crate) fn discard(&mut self) -> Result<usize, TarError> {
        let len = self.fill()?;
        self.take(len);
        Ok(len)
    }

    /// Appends the next `len` bytes to `out`, or as many as there are; returns how many.
    pub(crate) fn append(&mut self, len: usize, out: &mut Vec<u8>) -> Result<usize, TarError> {
        let mut left = len;
        while left > 0 {
            let step = self.fill()?.min(left);
            if step == 0 {
                break;
            }
            out.extend_from_slice(self.take(step));
            left = left.saturating_sub(step);
        }
        Ok(len.saturating_sub(left))
    }

    /// Appends the next `len` bytes to `out`, which are `part` of a tar.
    pub(crate) fn append_exact(
        &mut self,
        len: usize,
        part: Part,
        out: &mut Vec<u8>,
    ) -> Result<(), TarError> {
        if self.append(len, out)? < len {
            return Err(self.cut(part));
        }
        Ok(())
    }

    /// Appends the next block to `out`; false at the end.
    pub(crate) fn append_block(&mut self, out: &mut Vec<u8>) -> Result<bool, TarError> {
        match self.append(BLOCK_LEN, out)? {
            0 => Ok(false),
            BLOCK_LEN => Ok(true),
            _ => Err(self.cut(Part::Header)),
        }
    }

    pub(crate) fn cut(&self, part: Part) -> TarError {
        let offset = self.position;
        TarError::Cut { offset, part }
    }

    /// Skips `len` bytes of a payload.
    pub(crate) fn skip(&mut self, len: u64) -> Result<(), TarError> {
        let mut left = len;
        while left > 0 {
            if self.start == self.end && self.seek.is_some() {
                return self.seek_over(left);
            }
            let at_hand = self.fill()?;
            if at_hand == 0 {
                return Err(self.cut(Part::Payload));
            }
            let step = usize_up_to(left).min(at_hand);
            self.take(step);
            left = left.saturating_sub(u64_from(step));
        }
        Ok(())
    }

    fn seek_over(&mut self, len: u64) -> Result<(), TarError> {
        let Some(seeker) = &self.seek else {
            return Ok(());
        };
        let (skip, end) = (seeker.skip, seeker.len);
        let target = self.position.checked_add(len).filter(|at| *at <= end);
        let (Some(target), Ok(distance)) = (target, i64::try_from(len)) else {
            self.position = end;
            return Err(self.cut(Part::Payload));
        };
        skip(&mut self.source, distance).map_err(|e| self.failed(e))?;
        self.position = target;
        self.read_len = READ_AFTER_SEEK;
        Ok(())
    }
}

fn read_some(source: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(buf) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

impl<R> std::fmt::Debug for Input<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input")
            .field("position", &self.position)
            .field("buffered", &self.at_hand())
            .finish_non_exhaustive()
    }
}
