//! The content of files in a tree built in memory.

use std::fmt;
use std::io::{self, Read};

use bytes::Bytes;

type Open<'a> = Box<dyn FnOnce() -> io::Result<Box<dyn Read + 'a>> + 'a>;

/// The content of a file of a [`Tree`](image_model::Tree) that is a [`Source`](crate::Source): bytes,
/// or a reader that is opened when its turn comes. Its length must be the one in the tree.
///
/// ```
/// use image_model::{Metadata, Name, Node, Tree};
/// use lazyoci_image_convert::{FileContent, RafsOptions, to_rafs};
/// use blob_io::MemoryOutput;
///
/// let mut tree = Tree::new(Metadata::implied_directory());
/// let motd = Node::File { size: 5, content: FileContent::from("hello") };
/// let motd = tree.add(Metadata::default(), motd);
/// tree.link(Tree::<FileContent>::ROOT, Name::new(*b"motd")?, motd)?;
///
/// let mut image = MemoryOutput::default();
/// to_rafs(tree, &mut image, &RafsOptions::default(), &mut ())?;
/// assert_eq!(image.objects().len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FileContent<'a>(Kind<'a>);

enum Kind<'a> {
    Bytes(Bytes),
    Slice(&'a [u8]),
    Reader(Open<'a>),
}

impl<'a> FileContent<'a> {
    /// What `open` opens, once, when the file's turn comes: so no more than one of a tree's readers is
    /// open at any time.
    pub fn open<R: Read + 'a>(open: impl FnOnce() -> io::Result<R> + 'a) -> Self {
        Self(Kind::Reader(Box::new(|| Ok(Box::new(open()?)))))
    }

    /// What `reader` gives, from where it is.
    pub fn reader(reader: impl Read + 'a) -> Self {
        Self::open(|| Ok(reader))
    }

    /// The bytes, as a reader.
    pub(super) fn into_reader(self) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self.0 {
            Kind::Bytes(bytes) => Box::new(io::Cursor::new(bytes)),
            Kind::Slice(slice) => Box::new(slice),
            Kind::Reader(open) => open()?,
        })
    }
}

impl Default for FileContent<'_> {
    /// No bytes.
    fn default() -> Self {
        Self(Kind::Slice(&[]))
    }
}

impl From<Bytes> for FileContent<'_> {
    fn from(bytes: Bytes) -> Self {
        Self(Kind::Bytes(bytes))
    }
}

impl From<Vec<u8>> for FileContent<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Kind::Bytes(bytes.into()))
    }
}

impl<'a> From<&'a [u8]> for FileContent<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(Kind::Slice(bytes))
    }
}

impl<'a> From<&'a str> for FileContent<'a> {
    fn from(text: &'a str) -> Self {
        Self(Kind::Slice(text.as_bytes()))
    }
}

impl fmt::Debug for FileContent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Bytes(bytes) => write!(f, "FileContent({} bytes)", bytes.len()),
            Kind::Slice(bytes) => write!(f, "FileContent({} bytes)", bytes.len()),
            Kind::Reader(_) => f.write_str("FileContent(reader)"),
        }
    }
}
