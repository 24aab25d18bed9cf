//! Writing archives of layouts.

use std::fs::File;
use std::path::{Path, PathBuf};

use blob_io::ObjectWriter;
use oci_image::{Descriptor, Index};

use crate::archive_file::ArchiveFile;
use crate::error::ImageStoreError;
use crate::layout::{HEADER, Header, INDEX};
use crate::spool::Spool;
use crate::target::ImageTarget;

/// Writes an archive of an OCI image layout (`oci-archive`). Read it with
/// [`Layout::open_archive`](crate::Layout::open_archive).
///
/// Objects are kept in a private directory beside the archive until this is dropped. Publishing an image
/// writes an archive of all objects stored and all images published so far, and replaces the previous one
/// atomically. Disk space is needed for twice the length of the archive; a file that is replaced remains
/// until then, too.
///
/// | member | content |
/// |---|---|
/// | `oci-layout`, `index.json` | the marker of a layout, and its list of images |
/// | `blobs/`, `blobs/sha256/` | directories |
/// | `blobs/sha256/DIGITS` | the objects, in the order of their digests |
///
/// Members belong to root and have modification time 0: the same images give the same bytes.
///
/// ```
/// use lazyoci_image_store::oci_image::{Family, Index, MediaType};
/// use lazyoci_image_store::{ImageStore, ImageTarget, Layout, OciArchiveWriter, put_document};
/// # let directory = tempfile::tempdir()?;
/// let path = directory.path().join("images.tar");
/// let archive = OciArchiveWriter::create(&path)?;
/// let image = put_document(&archive, MediaType::Index(Family::Oci), &Index::new(Vec::new()))?;
/// archive.publish(Some("v1"), &image)?;
/// let layout = Layout::open_archive(&path, &Default::default())?;
/// assert_eq!(layout.index().manifests[0].name(), Some("v1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct OciArchiveWriter {
    spool: Spool,
}

impl OciArchiveWriter {
    /// Starts an archive that will be at `target`, replacing an existing file.
    ///
    /// # Errors
    /// [`ImageStoreError::Write`] if the target exists and is not a file, or nothing can be created beside
    /// it.
    pub fn create(target: impl Into<PathBuf>) -> Result<Self, ImageStoreError> {
        let spool = Spool::beside(target.into())?;
        Ok(Self { spool })
    }

    /// The final path of the archive.
    #[must_use]
    pub fn target(&self) -> &Path {
        self.spool.target()
    }

    fn write(&self, index: &Index) -> Result<(), ImageStoreError> {
        let mut archive = ArchiveFile::create(self.target())?;
        archive.document(HEADER, &Header::default())?;
        archive.document(INDEX, index)?;
        for (name, path) in self.spool.paths()? {
            let failed = |source| ImageStoreError::Io {
                path: path.clone(),
                source,
            };
            let file = File::open(&path).map_err(failed)?;
            let found = file.metadata().map_err(failed)?;
            match found.is_dir() {
                true => archive.directory(&name)?,
                false => archive.file(&name, found.len(), file)?,
            }
        }
        archive.finish()
    }
}

impl ImageTarget for OciArchiveWriter {
    fn has(&self, object: &Descriptor) -> Result<bool, ImageStoreError> {
        self.spool.has(object)
    }

    fn begin(&self) -> Result<Box<dyn ObjectWriter + Send + '_>, ImageStoreError> {
        self.spool.begin()
    }

    fn publish(&self, name: Option<&str>, image: &Descriptor) -> Result<(), ImageStoreError> {
        let write = |index: &Index| self.write(index);
        self.spool.publish(name, image, write)
    }
}
