//! A plain tar in a file: its content can be read at any place, in any order, by any thread.

use std::ops::Range;
use std::sync::Arc;

use blob_io::{ReadAt, Sequential};
use image_model::image::ChunkRange;
use image_model::tree::Span;
use image_model::{BlobId, ImagePath, Ino, InodeId, Limits, Node, Tree};
use image_read::{Format, FrameError, OpenImage, ReadError};
use tar_stream::{Compression, Member, TarReader};

use super::Kind;
use crate::ConvertError;
use crate::fill::tar_options;
use crate::stage::Fetch;

/// First bytes of a layer that tell how it is compressed.
const START_LEN: u64 = 6;

/// A plain tar that can be read anywhere.
pub(crate) struct Origin {
    source: Arc<dyn ReadAt>,
    /// Its tree, if it was opened.
    image: Option<OpenImage>,
}

impl Origin {
    /// The origin of what is read of a source of this kind.
    pub(crate) fn of(kind: &Kind<'_>) -> Option<Self> {
        match kind {
            Kind::Opened(image) => {
                let plain =
                    image.format() == Format::Tar(Compression::None) && image.tree().is_some();
                let source = image.source().filter(|_| plain)?;
                Some(Self {
                    source: Arc::clone(source),
                    image: Some((**image).clone()),
                })
            }
            Kind::Streaming(layer) => {
                let source = layer.file.as_ref()?;
                // Whoever reads it from its start finds out why that fails.
                let len = source.len().ok()?.min(START_LEN);
                let start = source.read_bytes(0, len as usize).ok()?;
                (Compression::detect(&start) == Compression::None).then(|| Self {
                    source: Arc::clone(source),
                    image: None,
                })
            }
            _ => None,
        }
    }

    /// The tar, from its start on.
    pub(crate) fn stream(&self) -> Result<Sequential<&dyn ReadAt>, blob_io::ReadError> {
        Sequential::new(&*self.source)
    }

    /// Where in the tar the content of the file `ino` of its tree is; all else of it are zeros.
    pub(crate) fn spans(&self, ino: Ino) -> &[Span] {
        let tree = self.image.as_ref().and_then(OpenImage::tree);
        // A number that the tree assigned.
        let id = InodeId::new(ino.0 as u32);
        match tree.map(|tree| &tree.tree().inode(id).node) {
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
        let Some(image) = &self.image else {
            let (path, file_offset) = self.member_at(offset)?;
            return Some((path, Ino(0), file_offset));
        };
        let tree = image.tree()?.tree();
        (0..tree.len() as u32).map(InodeId::new).find_map(|id| {
            let ino = Ino(id.index() as u64);
            let file_offset = place_in(self.spans(ino), offset)?;
            Some((tree.path_of(id), ino, file_offset))
        })
    }

    /// The same of a tar whose tree is not known yet: its headers are read once more.
    fn member_at(&self, offset: u64) -> Option<(ImagePath, u64)> {
        let limits = Limits::default();
        let mut reader =
            TarReader::seekable(self.stream().ok()?, tar_options(true, &limits)).ok()?;
        while let Ok(Some(entry)) = reader.next_entry() {
            if let Ok(Member::Node { path, node, .. }) = entry.into_member(&limits)
                && let Node::File { content, .. } = &node
                && let Some(file_offset) = place_in(content.as_slice(), offset)
            {
                return Some((path, file_offset));
            }
        }
        None
    }
}

/// The number of the byte at `offset` of a tar in the file that has `spans`.
fn place_in(spans: &[Span], offset: u64) -> Option<u64> {
    let holds =
        |span: &&Span| (span.source_offset..span.source_offset + span.len).contains(&offset);
    let span = spans.iter().find(holds)?;
    Some(span.file_offset + (offset - span.source_offset))
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

/// Where in an origin the content of files is.
#[derive(Debug, Default)]
pub(crate) struct FilePlaces {
    spans: Vec<Span>,
    /// The chunks of each file, and its spans.
    files: Vec<(ChunkRange, Range<usize>)>,
}

impl FilePlaces {
    /// Adds a file with these chunks.
    pub(crate) fn push(&mut self, chunks: ChunkRange, spans: &[Span]) {
        let start = self.spans.len();
        self.spans.extend_from_slice(spans);
        self.files.push((chunks, start..self.spans.len()));
    }

    /// The chunks of each file.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = ChunkRange> {
        self.files.iter().map(|(chunks, _)| *chunks)
    }

    /// Where the content of the file with this position is; all else of it are zeros.
    pub(crate) fn spans(&self, file: usize) -> &[Span] {
        &self.spans[self.files[file].1.clone()]
    }
}
