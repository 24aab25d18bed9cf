//! A plain tar that was opened: its content can be read at any place, in any order, by any thread.

use std::sync::Arc;

use blob_io::ReadAt;
use image_model::tree::Span;
use image_model::{BlobId, ImagePath, Ino, InodeId, Limits, Node, Tree};
use image_read::{Format, FrameError, OpenImage, ReadError};
use tar_stream::Compression;

use super::Kind;
use crate::ConvertError;
use crate::stage::Fetch;

/// A plain tar that was opened, whose files are known by their numbers in its tree.
pub(crate) struct Origin {
    image: OpenImage,
    source: Arc<dyn ReadAt>,
}

impl Origin {
    /// The origin of what is read of a source of this kind.
    pub(crate) fn of(kind: &Kind<'_>) -> Option<Self> {
        let Kind::Opened(image) = kind else {
            return None;
        };
        let plain = image.format() == Format::Tar(Compression::None) && image.tree().is_some();
        let source = image.source().filter(|_| plain)?;
        Some(Self {
            image: (**image).clone(),
            source: Arc::clone(source),
        })
    }

    /// Where in the tar the content of the file `ino` is; all else of it are zeros.
    pub(crate) fn spans(&self, ino: Ino) -> &[Span] {
        // A number that the tree assigned.
        let id = InodeId::new(ino.0 as u32);
        match self.image.tree().map(|tree| &tree.tree().inode(id).node) {
            Some(Node::File { content, .. }) => content.as_slice(),
            _ => &[],
        }
    }

    /// Refuses files of `tree` that hold more than `limits` allow.
    pub(crate) fn check_volume(
        &self,
        tree: &Tree<Ino>,
        files: &[InodeId],
        limits: &Limits,
    ) -> Result<(), ConvertError> {
        let (mut len, mut stored) = (0u64, 0u64);
        for &id in files {
            let Node::File { size, content } = tree.inode(id).node else {
                continue;
            };
            len = len.saturating_add(size);
            let spans = self.spans(content).iter();
            stored = spans.fold(stored, |sum, span| sum.saturating_add(span.len));
        }
        limits.check_content(len, stored).map_err(|exceeded| {
            let limit = exceeded.of(limits);
            ConvertError::TooMuchContent(ReadError::TooMuch { len, stored, limit })
        })
    }

    /// The file with the byte at `offset` of the tar, and the number of that byte there.
    fn file_at(&self, offset: u64) -> Option<(ImagePath, Ino, u64)> {
        let tree = self.image.tree()?.tree();
        (0..tree.len() as u32).map(InodeId::new).find_map(|id| {
            let ino = Ino(id.index() as u64);
            let mut spans = self.spans(ino).iter();
            let span = spans.find(|span| {
                (span.source_offset..span.source_offset + span.len).contains(&offset)
            })?;
            let file_offset = span.file_offset + (offset - span.source_offset);
            Some((tree.path_of(id), ino, file_offset))
        })
    }
}

impl Fetch for Origin {
    fn fetch(&self, offset: u64, place: &mut [u8]) -> Result<(), ConvertError> {
        self.source.read_at(offset, place).map_err(|source| {
            let file = self.file_at(offset);
            let (path, ino, file_offset) = file.unwrap_or((ImagePath::root(), Ino(0), 0));
            let id = BlobId::new(b"layer").expect("a valid id");
            let source = FrameError::Blob { id, source }.into();
            ConvertError::Content {
                path,
                source: ReadError::Frame {
                    ino,
                    file_offset,
                    source,
                },
            }
        })
    }
}
