//! Writing tar archives.

use std::io::{self, BufWriter, Read};
use std::path::Path;

use blob_io::AtomicFile;
use image_model::{ImagePath, Metadata, Node};
use serde::Serialize;
use tar_stream::TarWriter;

use crate::error::ImageStoreError;
use crate::target::document_bytes;

/// Bytes written at once.
const PIECE: usize = 1 << 20;

/// A tar that appears whole or not at all. Members belong to root and have modification time 0, so that the
/// bytes depend only on their content.
pub(crate) struct ArchiveFile {
    tar: TarWriter<BufWriter<AtomicFile>>,
}

impl ArchiveFile {
    /// Starts an archive that will be at `target`, replacing an existing file.
    pub(crate) fn create(target: &Path) -> Result<Self, ImageStoreError> {
        let file = AtomicFile::create(target)?;
        let tar = TarWriter::new(BufWriter::with_capacity(PIECE, file));
        Ok(Self { tar })
    }

    /// Adds a directory.
    pub(crate) fn directory(&mut self, path: &str) -> Result<(), ImageStoreError> {
        self.append(path, 0o755, &Node::Directory(Default::default()))
    }

    /// Adds a file with the `len` bytes of `content`.
    pub(crate) fn file(
        &mut self,
        path: &str,
        len: u64,
        content: impl Read,
    ) -> Result<(), ImageStoreError> {
        let node = Node::File {
            size: len,
            content: (),
        };
        self.append(path, 0o644, &node)?;
        // Too few bytes are detected below, too many by the tar writer.
        let copied = io::copy(&mut { content }, &mut self.tar);
        copied.map_err(put(path)).map(drop)
    }

    /// Adds a document.
    pub(crate) fn document(
        &mut self,
        path: &str,
        document: &impl Serialize,
    ) -> Result<(), ImageStoreError> {
        let bytes = document_bytes(path, document)?;
        self.file(path, bytes.len() as u64, &bytes[..])
    }

    /// Gives the archive its name.
    pub(crate) fn finish(self) -> Result<(), ImageStoreError> {
        let ended = self.tar.finish().map_err(io::Error::from);
        let file = ended.and_then(|file| file.into_inner().map_err(io::Error::from));
        Ok(file.map_err(put("the archive"))?.commit_synced()?)
    }

    fn append(&mut self, path: &str, mode: u16, node: &Node<()>) -> Result<(), ImageStoreError> {
        let name = ImagePath::clean(path.as_bytes()).map_err(io::Error::other);
        let metadata = Metadata {
            mode,
            ..Metadata::default()
        };
        let appended = name.and_then(|name| Ok(self.tar.append(&name, &metadata, node)?));
        appended.map_err(put(path))
    }
}

fn put(name: &str) -> impl FnOnce(io::Error) -> ImageStoreError {
    let name = name.to_owned();
    move |source| ImageStoreError::Put { name, source }
}
