//! Names of images on command lines.

use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(feature = "registry")]
use blob_io::registry::{Client, ClientOptions, DockerConfig, Reference};
use image_read::LayerImageOptions;

use crate::docker_archive::DockerArchive;
use crate::docker_archive_writer::DockerArchiveWriter;
use crate::error::ImageStoreError;
use crate::layout::Layout;
use crate::layout_writer::LayoutWriter;
use crate::oci_archive_writer::OciArchiveWriter;
#[cfg(feature = "registry")]
use crate::registry_store::RegistryStore;
#[cfg(feature = "registry")]
use crate::registry_target::RegistryTarget;
use crate::store::ImageStore;
use crate::target::ImageTarget;

/// The location of an image, in the syntax of skopeo and podman.
///
/// | text | location |
/// |---|---|
/// | `oci:DIRECTORY[:NAME]` | an image in a layout |
/// | `oci-archive:FILE[:NAME]` | an image in a tar of a layout |
/// | `docker-archive:FILE[:NAME]` | an image in an archive of `docker save` |
/// | `docker://HOST/REPOSITORY[:TAG][@DIGEST]` | an image in a registry (feature `registry`) |
///
/// The name follows the last colon that has no slash after it: a tag or, in an archive, a full reference such
/// as `docker.io/library/alpine:3`. Without a name, there must be exactly one image.
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
    /// How it is stored.
    pub transport: Transport,
    /// The directory or file; for a registry, the text after `docker://`.
    pub path: PathBuf,
    /// The name of the image within it.
    pub name: Option<String>,
}

/// How images are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// A layout.
    Oci,
    /// A tar of a layout.
    OciArchive,
    /// An archive of `docker save`.
    DockerArchive,
    /// A registry.
    Docker,
}

impl Location {
    /// Parses a location; `None` if the text is not one, and may be a path.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(reference) = text.strip_prefix("docker://") {
            return Some(Self {
                transport: Transport::Docker,
                path: Path::new(reference).into(),
                name: None,
            });
        }
        let (transport, rest) = text.split_once(':')?;
        let transport = match transport {
            "oci" => Transport::Oci,
            "oci-archive" => Transport::OciArchive,
            "docker-archive" => Transport::DockerArchive,
            _ => return None,
        };
        let (path, name) = match transport {
            // The reference may contain slashes.
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

    /// Opens the location for reading; archives with `options`, registries with the credentials of Docker or
    /// podman.
    ///
    /// # Errors
    /// [`ImageStoreError`] if it cannot be opened.
    pub fn open(
        &self,
        options: &LayerImageOptions,
    ) -> Result<Arc<dyn ImageStore>, ImageStoreError> {
        Ok(match self.transport {
            Transport::Oci => Arc::new(Layout::open(&self.path)?),
            Transport::OciArchive => Arc::new(Layout::open_archive(&self.path, options)?),
            Transport::DockerArchive => Arc::new(DockerArchive::open(&self.path, options)?),
            Transport::Docker => return self.open_registry(),
        })
    }

    /// The reference of the image, if it is in a registry.
    ///
    /// # Errors
    /// [`ImageStoreError`] if the text is not a reference.
    #[cfg(feature = "registry")]
    pub fn reference(&self) -> Result<Option<Reference>, ImageStoreError> {
        match self.transport {
            Transport::Docker => Ok(Some(self.path.to_string_lossy().parse()?)),
            _ => Ok(None),
        }
    }

    #[cfg(feature = "registry")]
    fn open_registry(&self) -> Result<Arc<dyn ImageStore>, ImageStoreError> {
        let (client, reference) = self.registry()?;
        Ok(Arc::new(RegistryStore::open(&client, &reference)?))
    }

    #[cfg(feature = "registry")]
    fn registry(&self) -> Result<(Client, Reference), ImageStoreError> {
        let reference: Reference = self.path.to_string_lossy().parse()?;
        let options = ClientOptions::default().credentials(DockerConfig::find()?);
        Ok((Client::new(options)?, reference))
    }

    #[cfg(not(feature = "registry"))]
    fn open_registry(&self) -> Result<Arc<dyn ImageStore>, ImageStoreError> {
        Err(self.not_built_in())
    }

    /// Opens the location for writing an image as [`name`](Self::name): a layout, which is created if missing, a new
    /// archive, which replaces an existing one, or a repository, where the name is the tag of the
    /// [`reference`](Self::reference), with the credentials of Docker or podman.
    ///
    /// # Errors
    /// [`ImageStoreError`] if it cannot be written, or not under that name.
    pub fn create(&self) -> Result<Box<dyn ImageTarget>, ImageStoreError> {
        Ok(match self.transport {
            Transport::Oci => Box::new(LayoutWriter::open(&self.path)?),
            Transport::OciArchive => Box::new(OciArchiveWriter::create(&self.path)?),
            Transport::DockerArchive => {
                // Fail early rather than when publishing.
                let name = self.name.as_deref();
                name.map(DockerArchiveWriter::reference).transpose()?;
                Box::new(DockerArchiveWriter::create(&self.path)?)
            }
            Transport::Docker => return self.create_in_registry(),
        })
    }

    #[cfg(feature = "registry")]
    fn create_in_registry(&self) -> Result<Box<dyn ImageTarget>, ImageStoreError> {
        let (client, reference) = self.registry()?;
        let repository = client.repository(&reference)?;
        Ok(Box::new(RegistryTarget::new(repository)))
    }

    #[cfg(not(feature = "registry"))]
    fn create_in_registry(&self) -> Result<Box<dyn ImageTarget>, ImageStoreError> {
        Err(self.not_built_in())
    }

    #[cfg(not(feature = "registry"))]
    fn not_built_in(&self) -> ImageStoreError {
        ImageStoreError::NotBuiltIn {
            place: format!("docker://{}", self.path.display()),
            feature: "registry",
        }
    }
}
