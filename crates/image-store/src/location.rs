//! How images are named on command lines.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use image_read::LayerImageOptions;

use crate::docker_archive::DockerArchive;
use crate::docker_archive_writer::DockerArchiveWriter;
use crate::error::ImageStoreError;
use crate::layout::Layout;
use crate::layout_writer::LayoutWriter;
use crate::oci_archive_writer::OciArchiveWriter;
use crate::store::ImageStore;
use crate::target::ImageTarget;

/// Where a whole image is, in the words of skopeo and podman.
///
/// | text | is |
/// |---|---|
/// | `oci:DIRECTORY[:NAME]` | an image in a layout |
/// | `oci-archive:FILE[:NAME]` | an image in a tar of a layout |
/// | `docker-archive:FILE[:NAME]` | an image in an archive of `docker save` |
///
/// A name is behind the last colon that has no slash behind it, a tag or, in an archive, a whole
/// reference such as `docker.io/library/alpine:3`. Without a name there has to be one image.
///
/// ```
/// use lazyoci_image_store::{Location, Transport};
/// let location = Location::parse("oci:/var/images:v1").expect("a location");
/// assert_eq!(location.transport, Transport::Oci);
/// assert_eq!((location.path.to_str(), location.name.as_deref()), (Some("/var/images"), Some("v1")));
/// assert_eq!(Location::parse("layer.tar"), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Location {
    /// What is there.
    pub transport: Transport,
    /// The directory or file.
    pub path: PathBuf,
    /// Which image of those that are there.
    pub name: Option<String>,
}

/// What images are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// A layout.
    Oci,
    /// A tar of a layout.
    OciArchive,
    /// An archive of `docker save`.
    DockerArchive,
}

impl Location {
    /// Reads a location; `None` if the text is none, and may be a path.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (transport, rest) = text.split_once(':')?;
        let transport = match transport {
            "oci" => Transport::Oci,
            "oci-archive" => Transport::OciArchive,
            "docker-archive" => Transport::DockerArchive,
            _ => return None,
        };
        let (path, name) = match transport {
            // The reference has slashes of its own.
            Transport::DockerArchive => match rest.split_once(':') {
                Some((path, name)) => (path, Some(name)),
                None => (rest, None),
            },
            _ => match rest
                .rsplit_once(':')
                .filter(|(_, name)| !name.contains('/'))
            {
                Some((path, name)) => (path, Some(name)),
                None => (rest, None),
            },
        };
        Some(Self {
            transport,
            path: Path::new(path).into(),
            name: name.filter(|name| !name.is_empty()).map(Into::into),
        })
    }

    /// Opens the place; archives, which are tars, as `options` say.
    ///
    /// # Errors
    /// [`ImageStoreError`] if there is none.
    pub fn open(
        &self,
        options: &LayerImageOptions,
    ) -> Result<Arc<dyn ImageStore>, ImageStoreError> {
        Ok(match self.transport {
            Transport::Oci => Arc::new(Layout::open(&self.path)?),
            Transport::OciArchive => Arc::new(Layout::open_archive(&self.path, options)?),
            Transport::DockerArchive => Arc::new(DockerArchive::open(&self.path, options)?),
        })
    }
    /// Opens the place to put the image there, under [`name`](Self::name): a layout, which is made if it is not
    /// there, or a new archive in the place of one that may be there.
    ///
    /// # Errors
    /// [`ImageStoreError`] if it does not take images, or none of that name.
    pub fn create(&self) -> Result<Box<dyn ImageTarget>, ImageStoreError> {
        Ok(match self.transport {
            Transport::Oci => Box::new(LayoutWriter::open(&self.path)?),
            Transport::OciArchive => Box::new(OciArchiveWriter::create(&self.path)?),
            Transport::DockerArchive => {
                // Now, rather than when all is done.
                let name = self.name.as_deref();
                name.map(DockerArchiveWriter::reference).transpose()?;
                Box::new(DockerArchiveWriter::create(&self.path)?)
            }
        })
    }
}
