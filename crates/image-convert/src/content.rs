//! The bytes of one file, wherever they come from, in file order.

use std::ops::ControlFlow;

use image_model::tree::Span;
use image_model::{Extent, Image, ImageError, ImagePath, Ino};
use verify::{ExtentBytes, FrameSource, read_extent};

use crate::ConvertError;

/// Hands the bytes of the file `ino`, verified and extent by extent, to `take`, with the offset of
/// each extent.
pub(crate) fn read_file(
    image: &dyn Image,
    frames: &mut dyn FrameSource,
    (path, ino, size): (&ImagePath, Ino, u64),
    take: &mut dyn FnMut(u64, ExtentBytes<'_>) -> Result<(), ConvertError>,
) -> Result<(), ConvertError> {
    let mut result = Ok(());
    let mut end = 0;
    image
        .extents(ino, 0..size, &mut |extent| {
            let offset = extent.file_offset;
            result = read_extent(frames, &extent)
                .map_err(|source| ConvertError::Content {
                    path: path.clone(),
                    offset,
                    source,
                })
                .and_then(|bytes| take(offset, bytes));
            end = offset + extent.len;
            match result {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        })
        .map_err(|source| ConvertError::Image {
            path: path.clone(),
            source,
        })?;
    result?;
    if end < size {
        let path = path.clone();
        return Err(ConvertError::ShortContent { path, end });
    }
    Ok(())
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
///
/// What a read leaves of an extent is kept for the next one, up to the length of one chunk: so each
/// extent is verified once, however small the pieces are that are read.
pub(crate) struct ImageContent<'a> {
    image: &'a dyn Image,
    frames: &'a mut dyn FrameSource,
    ino: Ino,
    path: &'a dyn Fn() -> ImagePath,
    position: u64,
    kept: Kept,
}

/// A verified extent that was not read to its end.
#[derive(Default)]
struct Kept {
    extent: Option<Extent>,
    bytes: Vec<u8>,
}

impl<'a> ImageContent<'a> {
    /// The file `ino`; `path` is asked only for errors.
    pub(crate) fn new(
        image: &'a dyn Image,
        frames: &'a mut dyn FrameSource,
        ino: Ino,
        path: &'a dyn Fn() -> ImagePath,
    ) -> Self {
        Self {
            image,
            frames,
            ino,
            path,
            position: 0,
            kept: Kept::default(),
        }
    }

    fn image_error(&self, source: ImageError) -> ConvertError {
        ConvertError::Image {
            path: (self.path)(),
            source,
        }
    }
}

impl Content for ImageContent<'_> {
    fn hole(&mut self) -> Result<u64, ConvertError> {
        let mut hole = 0;
        let at = self.position;
        self.image
            .extents(self.ino, at..at.saturating_add(1), &mut |extent| {
                if extent.source == image_model::ExtentSource::Zeros {
                    hole = (extent.file_offset + extent.len).saturating_sub(at);
                }
                ControlFlow::Break(())
            })
            .map_err(|source| self.image_error(source))?;
        Ok(hole)
    }

    fn skip(&mut self, len: u64) {
        self.position += len;
    }

    fn read(&mut self, buf: &mut [u8]) -> Result<(), ConvertError> {
        let start = self.position;
        let end = start + buf.len() as u64;
        let mut result = Ok(());
        let mut filled = start;
        let (path, frames, kept) = (self.path, &mut *self.frames, &mut self.kept);
        self.image
            .extents(self.ino, start..end, &mut |extent| {
                result = kept.copy(frames, path, &extent, (start, buf));
                filled = extent.file_offset + extent.len;
                match result {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            })
            .map_err(|source| self.image_error(source))?;
        result?;
        if filled < end {
            return Err(ConvertError::ShortContent {
                path: (self.path)(),
                end: filled,
            });
        }
        self.position = end;
        Ok(())
    }
}

impl Kept {
    /// Copies what `extent` has of the file's bytes from `start` on into `buf`.
    fn copy(
        &mut self,
        frames: &mut dyn FrameSource,
        path: &dyn Fn() -> ImagePath,
        extent: &Extent,
        (start, buf): (u64, &mut [u8]),
    ) -> Result<(), ConvertError> {
        let extent_end = extent.file_offset + extent.len;
        let end = extent_end.min(start + buf.len() as u64);
        let from = extent.file_offset.max(start);
        if from >= end {
            return Ok(());
        }
        let into = &mut buf[(from - start) as usize..(end - start) as usize];
        let skip = (from - extent.file_offset) as usize;
        if self.extent.as_ref() == Some(extent) {
            into.copy_from_slice(&self.bytes[skip..skip + into.len()]);
            return Ok(());
        }
        let bytes = read_extent(frames, extent).map_err(|source| ConvertError::Content {
            path: path(),
            offset: extent.file_offset,
            source,
        })?;
        match bytes {
            ExtentBytes::Zeros(_) => into.fill(0),
            ExtentBytes::Data(data) => {
                into.copy_from_slice(&data[skip..skip + into.len()]);
                if end < extent_end {
                    self.extent = Some(*extent);
                    self.bytes.clear();
                    self.bytes.extend_from_slice(data);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use image_model::image::{ChunkExtent, ChunkRange};
    use image_model::{
        Blob, BlobId, BlobIndex, Chunk, ChunkId, ChunkedImage, Codec, Frame, FrameId, Metadata,
        Name, Node, Tree,
    };
    use verify::ContentError;

    use super::*;

    /// Lends its bytes, and counts how often.
    struct Counting(Vec<u8>, usize);

    impl FrameSource for Counting {
        fn frame(&mut self, _: &Frame) -> Result<&[u8], ContentError> {
            self.1 += 1;
            Ok(&self.0)
        }
    }

    #[test]
    fn a_chunk_is_verified_once_in_whatever_pieces_it_is_read() {
        let bytes: Vec<u8> = (0..=99).collect();
        let mut tree = Tree::new(Metadata::implied_directory());
        let content = ChunkRange { start: 0, end: 3 };
        let file = tree.add(Metadata::default(), Node::File { size: 110, content });
        let name = Name::new(*b"f").unwrap();
        tree.link(Tree::<ChunkRange>::ROOT, name, file).unwrap();
        let tree = tree.try_map(|_, _, c| Ok::<_, Infallible>(c)).unwrap();
        let chunk = |start: u32, end: u32| Chunk {
            digest: Some(verify::sha256(&bytes[start as usize..end as usize])),
            len: end - start,
            crc32c: None,
            frame: FrameId(0),
            offset_in_frame: start,
            index_in_blob: 0,
            address: start.into(),
        };
        let extent = |file_offset, chunk: Option<u32>| ChunkExtent {
            file_offset,
            chunk: chunk.map(ChunkId::new),
        };
        let frame = Frame {
            blob: BlobIndex(0),
            offset: 0,
            stored_len: 100,
            len: 100,
            codec: Codec::None,
            open_ended: false,
        };
        let blob = Blob {
            id: BlobId::new(b"blob").unwrap(),
            stored_len: 100,
            decoded_len: 100,
            chunk_count: 2,
        };
        let image = ChunkedImage::new(
            tree,
            vec![extent(0, Some(0)), extent(70, None), extent(80, Some(1))],
            vec![chunk(0, 70), chunk(70, 100)],
            vec![frame],
            vec![blob],
        )
        .unwrap();
        let expected = [&bytes[..70], &[0; 10], &bytes[70..]].concat();
        // Pieces of a byte, some that end within chunks, and the whole.
        for (piece, asked) in [(1, 2), (7, 2), (64, 2), (110, 2)] {
            let mut source = Counting(bytes.clone(), 0);
            let path = ImagePath::root;
            let ino = image.lookup(image.root(), image_model::NameRef::new(b"f").unwrap());
            let ino = ino.unwrap().unwrap();
            let mut content = ImageContent::new(&image, &mut source, ino, &path);
            let mut found = vec![0xff; 110];
            for piece in found.chunks_mut(piece) {
                content.read(piece).unwrap();
            }
            assert_eq!(found, expected);
            assert_eq!(source.1, asked, "pieces of {piece}");
        }
        let mut source = Counting(bytes.iter().map(|byte| byte ^ 1).collect(), 0);
        let path = ImagePath::root;
        let mut content = ImageContent::new(&image, &mut source, Ino(1), &path);
        let read = content.read(&mut [0]);
        assert!(matches!(read, Err(ConvertError::Content { offset: 0, .. })));
    }

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
