//! Writing archives of the `docker save` format.

use std::collections::HashSet;
use std::io::{BufReader, Read, Seek as _, Write};
use std::path::{Path, PathBuf};

use blob_io::{DigestWriter, ObjectWriter};
use image_model::Digest;
use image_read::LayerImageError;
use oci_image::{Descriptor, ImageConfig, Index, NydusLayer};
use tar_stream::{LayerError, LayerStream, StreamOptions};

use crate::archive_file::ArchiveFile;
use crate::docker_archive::{Listed, MANIFEST};
use crate::error::ImageStoreError;
use crate::layout::Layout;
use crate::open::{REQUEST, known};
use crate::reference;
use crate::resolve::{ResolvedImage, resolve};
use crate::spool::Spool;
use crate::store::{Digested, digest_of, fetch};
use crate::target::ImageTarget;
use crate::toc_image::TocImage;

/// Writes an archive of the `docker save` format (`docker-archive`). Read it with
/// [`DockerArchive`](crate::DockerArchive), `docker load`, podman or skopeo.
///
/// Objects are kept in a private directory beside the archive until this is dropped. Publishing an image
/// writes an archive of all images published so far and replaces the previous one atomically. Its layers are
/// uncompressed tars, which are compared with the DiffIDs of the configuration while they are written. Disk
/// space is needed for the stored objects, the archive, and the largest of its layers; a file that is
/// replaced remains until then, too.
///
/// | member | content |
/// |---|---|
/// | `DIFFID.tar` | a layer, stored once even if it is repeated |
/// | `DIGEST.json` | a configuration, unchanged |
/// | `manifest.json` | the list of images: the names of those files, and full references |
///
/// The members for Docker before 1.10, `repositories` and a directory for each layer, are not written.
/// Annotations, compression and lazy-loading metadata of layers are lost. From an index, the image for this
/// machine is taken. Members belong to root and have modification time 0: the same images give the same
/// bytes.
///
/// ```
/// use lazyoci_image_store::DockerArchiveWriter;
/// let name = DockerArchiveWriter::reference("alpine")?;
/// assert_eq!(name, "docker.io/library/alpine:latest");
/// # Ok::<(), lazyoci_image_store::ImageStoreError>(())
/// ```
#[derive(Debug)]
pub struct DockerArchiveWriter {
    spool: Spool,
}

impl DockerArchiveWriter {
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

    /// The full reference of an image published as `name`.
    ///
    /// # Errors
    /// [`ImageStoreError::NotReference`] if it is not a repository with an optional tag.
    pub fn reference(name: &str) -> Result<String, ImageStoreError> {
        reference::normalised(name).ok_or_else(|| ImageStoreError::NotReference {
            name: name.to_owned(),
        })
    }

    fn write(&self, index: &Index) -> Result<(), ImageStoreError> {
        let mut archive = ArchiveFile::create(self.target())?;
        let mut members = Members::default();
        let mut digests: Vec<&str> = Vec::new();
        let mut list: Vec<Listed> = Vec::new();
        for image in &index.manifests {
            let there = digests.iter().position(|digest| *digest == image.digest);
            let position = match there {
                Some(position) => position,
                None => {
                    let store = self.spool.store(image);
                    let resolved = resolve(&store, None, None)?;
                    list.push(self.image(&store, &resolved, &mut archive, &mut members)?);
                    digests.push(&image.digest);
                    list.len() - 1
                }
            };
            let names = list[position].repo_tags.get_or_insert_default();
            names.extend(image.name().map(Into::into));
        }
        archive.document(MANIFEST, &list)?;
        archive.finish()
    }

    /// Adds the files of an image.
    fn image(
        &self,
        store: &Layout,
        image: &ResolvedImage,
        archive: &mut ArchiveFile,
        members: &mut Members,
    ) -> Result<Listed, ImageStoreError> {
        let config = config(image)?;
        let name = format!("{}.json", digest_of(&image.manifest.config)?.hex());
        let bytes = fetch(store, &image.manifest.config)?;
        let layers = image.manifest.layers.iter().zip(&config.rootfs.diff_ids);
        let layers = layers.enumerate().map(|(position, (layer, diff_id))| {
            let name = self.layer(store, layer, diff_id, archive, members);
            name.map_err(ImageStoreError::in_layer(position))
        });
        let layers = layers.collect::<Result<_, _>>()?;
        if members.names.insert(name.clone()) {
            archive.file(&name, bytes.len() as u64, &bytes[..])?;
        }
        Ok(Listed {
            config: name,
            repo_tags: Some(Vec::new()),
            layers: Some(layers),
        })
    }

    /// Adds a layer as an uncompressed tar. Returns the name of the member.
    fn layer(
        &self,
        store: &Layout,
        layer: &Descriptor,
        diff_id: &str,
        archive: &mut ArchiveFile,
        members: &mut Members,
    ) -> Result<String, ImageStoreError> {
        known(layer)?;
        let listed: Digest = diff_id
            .parse()
            .map_err(|source| ImageStoreError::BadDigest {
                name: "a layer in the configuration".into(),
                source,
            })?;
        let name = format!("{}.tar", listed.hex());
        if !members.layers.insert((layer.digest.clone(), listed)) {
            return Ok(name);
        }
        let mut stored = Digested::open(store, layer)?;
        let buffered = BufReader::with_capacity(REQUEST, stored.by_ref());
        let mut plain = DigestWriter::new(self.spool.file()?);
        let decoded = decode(buffered, &mut plain, layer);
        // A digest mismatch takes precedence over decoding errors.
        stored.finish()?;
        decoded?;
        let (mut file, found) = plain.finish();
        if found.digest != listed {
            return Err(ImageStoreError::DiffId {
                listed: diff_id.into(),
                found: found.digest.to_string(),
            });
        }
        if members.names.insert(name.clone()) {
            let rewound = file.rewind();
            rewound.map_err(ImageStoreError::put(layer))?;
            archive.file(&name, found.len, file)?;
        }
        Ok(name)
    }
}

/// The members written so far.
#[derive(Default)]
struct Members {
    names: HashSet<String>,
    /// Layers whose DiffIDs have been checked.
    layers: HashSet<(String, Digest)>,
}

/// The configuration of an image whose layers are tars.
fn config(image: &ResolvedImage) -> Result<&ImageConfig, ImageStoreError> {
    if TocImage::is_one(&image.manifest) {
        return Err(ImageStoreError::TocsInDockerArchive);
    }
    for layer in &image.manifest.layers {
        if NydusLayer::read(&layer.annotations)?.is_some() {
            return Err(ImageStoreError::NydusInDockerArchive);
        }
    }
    image.config()
}

/// Decompresses the tar in `stored` to `plain`.
fn decode(
    stored: impl Read,
    plain: &mut impl Write,
    layer: &Descriptor,
) -> Result<(), ImageStoreError> {
    let stream = LayerStream::open(stored, &StreamOptions::default());
    let mut stream = stream.map_err(LayerImageError::from)?;
    let mut piece = vec![0; REQUEST];
    loop {
        let read = stream.read(&mut piece).map_err(|error| {
            LayerImageError::Stream(match error.downcast() {
                Ok(error) => error,
                Err(source) => LayerError::Io { source },
            })
        });
        let len = read?;
        if len == 0 {
            return Ok(());
        }
        let written = plain.write_all(&piece[..len]);
        written.map_err(ImageStoreError::put(layer))?;
    }
}

impl ImageTarget for DockerArchiveWriter {
    fn has(&self, object: &Descriptor) -> Result<bool, ImageStoreError> {
        self.spool.has(object)
    }

    fn begin(&self) -> Result<Box<dyn ObjectWriter + Send + '_>, ImageStoreError> {
        self.spool.begin()
    }

    fn publish(&self, name: Option<&str>, image: &Descriptor) -> Result<(), ImageStoreError> {
        let name = name.map(Self::reference).transpose()?;
        let write = |index: &Index| self.write(index);
        self.spool.publish(name.as_deref(), image, write)
    }
}
