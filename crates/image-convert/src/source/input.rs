//! A source whose tree is known, ready to be read in any order.

use std::io::Read;
use std::sync::Arc;

use image_model::advisory::Advisories;
use image_model::tree::Spans;
use image_model::walk::copy_tree;
use image_model::{Blame, BlobId, Fault, ImagePath, Ino, InodeId, Limits, Progress, Tree};
use image_read::{
    BlobStore, FileOrder, LayerImage, OpenImage, ReadError, ReadOptions, Reader, SharedImage,
    TreeImage,
};
use verify::ExtentBytes;

use super::{FileContent, Kind, Source, Streaming, stack};
use crate::ConvertError;

/// Bytes that are read at once from a reader.
const PIECE_LEN: usize = 256 << 10;

/// Bytes between two files of a tar that are rather read than skipped.
pub(super) const TAR_GAP: u64 = 16 << 10;

/// A tree and the content of its files, which are known by numbers.
pub(crate) struct Input<'a> {
    pub(crate) tree: Tree<Ino>,
    pub(crate) contents: Contents<'a>,
    pub(crate) order: DataOrder,
    pub(crate) limits: Limits,
    /// What is odd about it.
    pub(crate) advisories: Advisories,
}

/// In which order files are stored that no prefetch rule names, where a format leaves that open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DataOrder {
    /// The source is a directory: a directory's files in the order of their names, then its
    /// subdirectories, as nydus has it.
    Directory,
    /// The source is a tar: as in the inode table, where a layer's members are in the order of the
    /// tar, as nydus has it.
    Tar,
    /// As the source has them, which is then read from front to end.
    Stored,
}

/// What the files of an [`Input`] hold.
pub(crate) enum Contents<'a> {
    /// Those of an image, by their inode numbers there.
    Image(Reader),
    /// Of each file, until it is read.
    Files(Vec<Option<FileContent<'a>>>),
}

/// An image that is walked as it is, and the content of its files, which are known by their inode
/// numbers.
pub(crate) struct Walkable<'a> {
    pub(crate) image: SharedImage,
    pub(crate) contents: Contents<'a>,
    pub(crate) limits: Limits,
    /// What is odd about the source, and was read as the runtimes read it.
    pub(crate) advisories: Advisories,
}

impl<'a> Walkable<'a> {
    /// The image that `source` is. A layer that is streamed is decoded into a temporary file first.
    pub(crate) fn new(
        source: Source<'a>,
        progress: &mut dyn Progress,
    ) -> Result<Self, ConvertError> {
        let Source { kind, limits, .. } = source;
        let mut advisories = Advisories::default();
        let reader = match kind {
            Kind::Streaming(layer) => {
                let (_, reader, found) = spool(layer, &limits, progress)?;
                advisories = found;
                reader
            }
            Kind::Opened(opened) => {
                advisories = opened.advisories().clone();
                opened.reader().clone()
            }
            Kind::Reader(reader) => reader,
            Kind::Stack(layers) => {
                let (_, reader, found) = stack::open(layers, &limits, progress)?;
                advisories = found;
                reader
            }
            Kind::Tree(tree) => {
                let (tree, contents) = split(tree);
                let id = BlobId::new(b"memory").expect("a valid id");
                let tree = tree.map(|_, _, _| Spans::default());
                return Ok(Self {
                    image: Arc::new(TreeImage::new(tree, id, 0)),
                    contents,
                    limits,
                    advisories,
                });
            }
        };
        Ok(Self {
            image: Arc::clone(reader.image()),
            contents: Contents::Image(reader),
            limits,
            advisories,
        })
    }
}

/// The tree, and the content of its files, which are known by their positions in it.
fn split(tree: Tree<FileContent<'_>>) -> (Tree<Ino>, Contents<'_>) {
    let mut files = Vec::new();
    files.resize_with(tree.len(), || None);
    let tree = tree.map(|id, _, content| {
        files[id.index()] = Some(content);
        Ino(id.index() as u64)
    });
    (tree, Contents::Files(files))
}

/// A layer, decoded into a temporary file: its tree, what reads it, and what is odd about it.
fn spool(
    layer: Streaming<'_>,
    limits: &Limits,
    progress: &mut dyn Progress,
) -> Result<(Arc<TreeImage>, Reader, Advisories), ConvertError> {
    let (spooling, layer) = layer.spooling(limits);
    let LayerImage {
        image,
        source,
        advisories,
        ..
    } = LayerImage::from_stream(layer, &spooling, progress)?;
    let image = Arc::new(image);
    let shared = Arc::clone(&image) as SharedImage;
    let reader = Reader::new(shared, BlobStore::single(source), ReadOptions::new(limits));
    Ok((image, reader, advisories))
}

impl<'a> Input<'a> {
    /// The tree of `source`. A layer that is streamed is decoded into a temporary file first.
    pub(crate) fn new(
        source: Source<'a>,
        progress: &mut dyn Progress,
    ) -> Result<Self, ConvertError> {
        let Source { kind, limits, .. } = source;
        let mut advisories = Advisories::default();
        let (tree, contents, order) = match kind {
            Kind::Streaming(layer) => {
                let (image, reader, found) = spool(layer, &limits, progress)?;
                advisories = found;
                let tree = numbered(&image);
                (tree, Contents::Image(reader), DataOrder::Tar)
            }
            Kind::Opened(opened) => {
                advisories = opened.advisories().clone();
                Self::opened(&opened, &limits)?
            }
            Kind::Reader(reader) => {
                let tree = copy_tree(&**reader.image(), &limits)?;
                (tree, Contents::Image(reader), DataOrder::Stored)
            }
            Kind::Tree(tree) => {
                let (tree, contents) = split(tree);
                (tree, contents, DataOrder::Stored)
            }
            Kind::Stack(layers) => {
                let (tree, reader, found) = stack::open(layers, &limits, progress)?;
                advisories = found;
                (tree, Contents::Image(reader), DataOrder::Stored)
            }
        };
        let contents = match contents {
            // Headers between the files are read with them.
            Contents::Image(reader) if order == DataOrder::Tar => {
                let gap = reader.options().gap.max(TAR_GAP);
                let options = reader.options().clone().gap(gap);
                Contents::Image(reader.with_options(options))
            }
            other => other,
        };
        Ok(Self {
            tree,
            contents,
            order,
            limits,
            advisories,
        })
    }

    fn opened(
        opened: &OpenImage,
        limits: &Limits,
    ) -> Result<(Tree<Ino>, Contents<'a>, DataOrder), ConvertError> {
        let contents = Contents::Image(opened.reader().clone());
        Ok(match opened.tree() {
            None => (
                copy_tree(opened.image(), limits)?,
                contents,
                DataOrder::Stored,
            ),
            Some(tree) if opened.format() == image_read::Format::Directory => {
                (numbered(tree), contents, DataOrder::Directory)
            }
            Some(tree) => (numbered(tree), contents, DataOrder::Tar),
        })
    }
}

/// The tree of `image`, each file known by its number there.
fn numbered(image: &TreeImage) -> Tree<Ino> {
    let number = |id: InodeId, _, _| Ino(id.index() as u64);
    image.tree().clone().map(number)
}

impl Contents<'_> {
    /// The same, read `window` bytes ahead at most.
    pub(crate) fn look_ahead(self, window: u64) -> Self {
        match self {
            Self::Image(reader) => {
                let options = reader.options().clone();
                let window = options.window.min(window);
                Self::Image(reader.with_options(options.window(window)))
            }
            files @ Self::Files(_) => files,
        }
    }

    /// Hands the content of each of `files`, from its first byte to its last, to `take`, with its
    /// position among `files`; one file after the other. `path` is asked only for errors.
    pub(crate) fn read(
        &mut self,
        files: &[(Ino, u64)],
        order: FileOrder,
        path: &dyn Fn(usize) -> ImagePath,
        take: &mut dyn FnMut(usize, ExtentBytes<'_>) -> Result<(), ConvertError>,
    ) -> Result<(), ConvertError> {
        match self {
            Self::Image(reader) => read_image(reader, files, order, path, take),
            Self::Files(contents) => {
                for (position, &(number, size)) in files.iter().enumerate() {
                    let content = contents.get_mut(number.0 as usize).and_then(Option::take);
                    read_file(content.unwrap_or_default(), size, &mut |bytes| {
                        take(position, bytes)
                    })
                    .map_err(|error| match error {
                        Failed::Take(error) => error,
                        Failed::Read(source) => ConvertError::FileContent {
                            path: path(position),
                            source,
                        },
                    })?;
                }
                Ok(())
            }
        }
    }
}

fn read_image(
    reader: &Reader,
    files: &[(Ino, u64)],
    order: FileOrder,
    path: &dyn Fn(usize) -> ImagePath,
    take: &mut dyn FnMut(usize, ExtentBytes<'_>) -> Result<(), ConvertError>,
) -> Result<(), ConvertError> {
    enum Stopped {
        Read(ReadError),
        Take(ConvertError),
    }
    impl From<ReadError> for Stopped {
        fn from(error: ReadError) -> Self {
            Self::Read(error)
        }
    }
    let inodes: Vec<_> = files.iter().map(|(ino, _)| *ino).collect();
    let mut last = 0;
    let read = reader.read_all(&inodes, order, &mut |piece, bytes| {
        last = piece.tag as usize;
        take(last, bytes).map_err(Stopped::Take)
    });
    read.map_err(|stopped| match stopped {
        Stopped::Take(error) => error,
        Stopped::Read(source @ ReadError::TooMuch { .. }) => ConvertError::TooMuchContent(source),
        Stopped::Read(source) => {
            let of = |(ino, _)| inodes.iter().position(|at| *at == ino);
            ConvertError::Content {
                path: path(source.place().and_then(of).unwrap_or(last)),
                source,
            }
        }
    })
}

enum Failed {
    Read(FileContentError),
    Take(ConvertError),
}

/// Reads a file that has to have `size` bytes.
fn read_file(
    content: FileContent<'_>,
    size: u64,
    take: &mut dyn FnMut(ExtentBytes<'_>) -> Result<(), ConvertError>,
) -> Result<(), Failed> {
    let failed = |source| Failed::Read(FileContentError::Io { source });
    let mut reader = content.into_reader().map_err(failed)?;
    let mut piece = vec![0; size.clamp(1, PIECE_LEN as u64) as usize];
    let mut found = 0;
    loop {
        let read = match reader.read(&mut piece) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            read => read.map_err(failed)? as u64,
        };
        found += read;
        if found > size || (read == 0 && found < size) {
            return Err(Failed::Read(FileContentError::Size { size, found }));
        }
        if read == 0 {
            return Ok(());
        }
        take(ExtentBytes::Data(&piece[..read as usize])).map_err(Failed::Take)?;
    }
}

/// Why the content of a file of a tree cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileContentError {
    /// Its reader fails.
    #[error("cannot read the file content")]
    Io {
        /// Why.
        source: std::io::Error,
    },
    /// There are more bytes than the tree says, or fewer.
    #[error("the tree says {size} bytes, but the content has at least {found}")]
    Size {
        /// Bytes that the tree says.
        size: u64,
        /// Bytes that were read.
        found: u64,
    },
}

impl Blame for FileContentError {
    fn fault(&self) -> Fault {
        match self {
            Self::Io { .. } => Fault::Io,
            Self::Size { .. } => Fault::Misuse,
        }
    }
}
