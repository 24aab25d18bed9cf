//! The bytes of one file, wherever they come from, in file order.

use std::ops::ControlFlow;

use image_model::tree::Span;
use image_model::{Cancelled, ImagePath, Ino};
use image_read::{FileOrder, ReadError, Reader};
use verify::ExtentBytes;

use crate::ConvertError;

/// Hands the bytes of the file `ino`, verified and piece by piece, to `take`, with the offset of each.
pub(crate) fn read_file(
    reader: &Reader,
    (path, ino): (&ImagePath, Ino),
    take: &mut dyn FnMut(u64, ExtentBytes<'_>) -> Result<(), ConvertError>,
) -> Result<(), ConvertError> {
    let mut result = Ok(());
    let read = reader.read_all(&[ino], FileOrder::Given, &mut |piece, bytes| {
        result = take(piece.file_offset, bytes);
        match result {
            Ok(()) => Ok(()),
            Err(_) => Err(ReadError::Cancelled(Cancelled)),
        }
    });
    result?;
    read.map_err(|source| ConvertError::Content {
        path: path.clone(),
        source,
    })
}

/// The bytes of a file, read once from its first to its last.
pub(crate) trait Content {
    /// How many bytes from here on are known to be zeros without reading them.
    fn hole(&mut self) -> Result<u64, ConvertError>;

    /// Goes on behind `len` bytes of a hole.
    fn skip(&mut self, len: u64);

    /// Fills `buf` with the next bytes.
    fn read(&mut self, buf: &mut [u8]) -> Result<(), ConvertError>;
}

/// A file whose data regions lie in a source; `read` gets the offset of each region there. Regions
/// are asked for in file order, so that a stream can ignore the offset.
pub(crate) struct SpanContent<'s, R> {
    /// Regions that do not end before `position`.
    spans: &'s [Span],
    size: u64,
    position: u64,
    read: R,
}

impl<'s, R> SpanContent<'s, R>
where
    R: FnMut(u64, &mut [u8]) -> Result<(), ConvertError>,
{
    /// The file of `size` bytes with data in `spans`.
    pub(crate) fn new(spans: &'s [Span], size: u64, read: R) -> Self {
        Self {
            spans,
            size,
            position: 0,
            read,
        }
    }

    fn advance(&mut self, len: u64) {
        self.position += len;
        while let Some((first, rest)) = self.spans.split_first()
            && first.file_offset + first.len <= self.position
        {
            self.spans = rest;
        }
    }
}

impl<R> Content for SpanContent<'_, R>
where
    R: FnMut(u64, &mut [u8]) -> Result<(), ConvertError>,
{
    fn hole(&mut self) -> Result<u64, ConvertError> {
        let end = self.spans.first().map_or(self.size, |s| s.file_offset);
        Ok(end.saturating_sub(self.position))
    }

    fn skip(&mut self, len: u64) {
        self.advance(len);
    }

    fn read(&mut self, mut buf: &mut [u8]) -> Result<(), ConvertError> {
        while !buf.is_empty() {
            let hole = self.hole()?;
            let left = match self.spans.first() {
                Some(span) if hole == 0 => span.file_offset + span.len - self.position,
                Some(_) => hole,
                // Nothing but zeros behind the last region.
                None => u64::MAX,
            };
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
            let (now, rest) = buf.split_at_mut(len);
            match self.spans.first() {
                Some(span) if hole == 0 => {
                    (self.read)(span.source_offset + (self.position - span.file_offset), now)?;
                }
                _ => now.fill(0),
            }
            self.advance(len as u64);
            buf = rest;
        }
        Ok(())
    }
}

/// A file of an image, its content verified as it is read.
pub(crate) struct ImageContent<'a> {
    reader: &'a Reader,
    ino: Ino,
    path: &'a dyn Fn() -> ImagePath,
    position: u64,
}

impl<'a> ImageContent<'a> {
    /// The file `ino`; `path` is asked only for errors.
    pub(crate) fn new(reader: &'a Reader, ino: Ino, path: &'a dyn Fn() -> ImagePath) -> Self {
        Self {
            reader,
            ino,
            path,
            position: 0,
        }
    }
}

impl Content for ImageContent<'_> {
    fn hole(&mut self) -> Result<u64, ConvertError> {
        let mut hole = 0;
        let at = self.position;
        self.reader
            .image()
            .extents(self.ino, at..at.saturating_add(1), &mut |extent| {
                if extent.source == image_model::ExtentSource::Zeros {
                    hole = (extent.file_offset + extent.len).saturating_sub(at);
                }
                ControlFlow::Break(())
            })
            .map_err(|source| ConvertError::Image {
                path: (self.path)(),
                source,
            })?;
        Ok(hole)
    }

    fn skip(&mut self, len: u64) {
        self.position += len;
    }

    fn read(&mut self, buf: &mut [u8]) -> Result<(), ConvertError> {
        let range = self.position..self.position + buf.len() as u64;
        self.position = range.end;
        let read = self.reader.read_range(self.ino, range, &mut &mut *buf);
        read.map(drop).map_err(|source| ConvertError::Content {
            path: (self.path)(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_and_holes_come_in_order() {
        let span = |file_offset, source_offset, len| Span {
            file_offset,
            source_offset,
            len,
        };
        let spans = [span(2, 10, 3), span(5, 13, 1), span(9, 50, 2)];
        let source: Vec<u8> = (0..100).collect();
        let mut content = SpanContent::new(&spans, 14, |at, buf: &mut [u8]| {
            buf.copy_from_slice(&source[at as usize..][..buf.len()]);
            Ok(())
        });
        assert_eq!(content.hole().unwrap(), 2);
        let mut buf = [0xff; 4];
        content.read(&mut buf).unwrap();
        assert_eq!(buf, [0, 0, 10, 11]);
        content.read(&mut buf[..2]).unwrap();
        assert_eq!(buf[..2], [12, 13]);
        assert_eq!(content.hole().unwrap(), 3);
        content.skip(2);
        assert_eq!(content.hole().unwrap(), 1);
        content.read(&mut buf).unwrap();
        assert_eq!(buf, [0, 50, 51, 0]);
        assert_eq!(content.hole().unwrap(), 2);
    }
}
