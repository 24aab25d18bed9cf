//! From an image to its files.

use std::io::{BufReader, Read};
use std::sync::Arc;

use blob_io::ReadAt;
use image_model::advisory::Advisories;
use image_model::{Blob, BlobId, BlobIndex, Progress};
use image_read::estargz_toc::image::TocKind;
use image_read::estargz_toc::open::{Described, OpenError as TocOpenError};
use image_read::{
    LayerImageOptions, NoBlobs, OpenBlob, OpenError, OpenImage, OpenOptions, Stack, StoreError,
    TarLayer, open_source,
};
use oci_image::zstd_chunked::Dialect;
use oci_image::{
    AnnotationError, Annotations, Descriptor, EstargzLayer, MediaType, NydusLayer, ZstdChunkedLayer,
};
use tar_stream::Compression;

use crate::bootstrap_layer::read_bootstrap;
use crate::error::ImageStoreError;
use crate::resolve::ResolvedImage;
use crate::store::{Digested, ImageStore, check, check_stream, digest_of};
use crate::toc_image::Tocs;

/// Bytes of a layer requested at once.
pub(crate) const REQUEST: usize = 1 << 20;

/// Length of the prefix by which a layer's compression is detected.
const START_LEN: u64 = 6;

impl ResolvedImage {
    /// Opens the image: its layers, applied to one another, or the file system in the bootstrap of a nydus
    /// image.
    ///
    /// Everything that is read is compared with a digest. A layer of eStargz or zstd:chunked whose annotations [vouch for
    /// its TOC](described), which may be in a [TOC image](crate::TocImage), and the blobs of a nydus image, are read lazily; every other layer is read whole and compared
    /// with its digest now, and decoded into a temporary file if it is compressed. `progress` counts the
    /// bytes of the current layer.
    ///
    /// # Errors
    /// [`ImageStoreError`].
    pub fn open(
        &self,
        store: &Arc<dyn ImageStore>,
        options: &OpenOptions,
        progress: &mut dyn Progress,
    ) -> Result<OpenImage, ImageStoreError> {
        let layers = &self.manifest.layers;
        if let Some(last) = layers.last()
            && let Some(NydusLayer::Bootstrap { .. }) = NydusLayer::read(&last.annotations)?
        {
            let opened = self.nydus(store, last, options, progress);
            return opened.map_err(ImageStoreError::in_layer(layers.len() - 1));
        }
        let mut tocs = Tocs::new(&**store, self.name.as_deref());
        let mut stack = Stack::default();
        let mut advisories = Advisories::default();
        for (position, layer) in layers.iter().enumerate() {
            let pushed = push(&mut stack, (&**store, &mut tocs), layer, options, progress);
            advisories.append(pushed.map_err(ImageStoreError::in_layer(position))?);
        }
        Ok(OpenImage::of_stack(stack, advisories, options))
    }

    /// Opens a single layer of any kind, as [`image_read::open`] opens a file. Its bytes are not compared
    /// with the digest of the layer; only its metadata is verified, as far as annotations have digests of it.
    ///
    /// # Errors
    /// [`ImageStoreError`].
    pub fn open_layer(
        &self,
        store: &dyn ImageStore,
        position: usize,
        options: &OpenOptions,
    ) -> Result<OpenImage, ImageStoreError> {
        let layer = self.layer(position)?;
        let mut tocs = Tocs::new(store, self.name.as_deref());
        let opened = open_by_either_toc(store, &mut tocs, layer, options);
        opened.map_err(ImageStoreError::in_layer(position))
    }

    /// Opens a single layer by its TOC, if its annotations [vouch for one](described), and it is in the layer or in a
    /// [TOC image](crate::TocImage).
    ///
    /// # Errors
    /// [`ImageStoreError`].
    pub fn open_layer_lazily(
        &self,
        store: &dyn ImageStore,
        position: usize,
        options: &OpenOptions,
    ) -> Result<Option<OpenImage>, ImageStoreError> {
        let layer = self.layer(position)?;
        let mut tocs = Tocs::new(store, self.name.as_deref());
        let opened = open_lazily(store, &mut tocs, layer, options);
        opened.map_err(ImageStoreError::in_layer(position))
    }

    /// Reads the whole layer at `position`, and compares it with its digest and length.
    ///
    /// # Errors
    /// [`ImageStoreError`].
    pub fn check_layer(
        &self,
        store: &dyn ImageStore,
        position: usize,
        progress: &mut dyn Progress,
    ) -> Result<(), ImageStoreError> {
        let layer = self.layer(position)?;
        let checked =
            Digested::open(store, layer).and_then(|stream| check_stream(stream, progress));
        checked.map_err(ImageStoreError::in_layer(position))
    }

    /// Whether each layer is of a type that can be read, by its descriptor alone. The blobs of a nydus image are not.
    ///
    /// # Errors
    /// [`ImageStoreError`] if not, with the position of the first that cannot.
    pub fn check_layer_types(&self) -> Result<(), ImageStoreError> {
        for (position, layer) in self.manifest.layers.iter().enumerate() {
            let readable = known(layer).and_then(|()| digest_of(layer).map(drop));
            readable.map_err(ImageStoreError::in_layer(position))?;
        }
        Ok(())
    }

    /// The bytes of the layer at `position`, a tar, compressed or not, as a stream that fails at its end if
    /// the digest does not match.
    ///
    /// # Errors
    /// [`ImageStoreError`].
    pub fn stream_layer(
        &self,
        store: &dyn ImageStore,
        position: usize,
    ) -> Result<impl Read + use<>, ImageStoreError> {
        let layer = self.layer(position)?;
        let opened = known(layer).and_then(|()| Digested::open(store, layer));
        let opened = opened.map_err(ImageStoreError::in_layer(position))?;
        Ok(BufReader::with_capacity(REQUEST, opened))
    }

    fn layer(&self, position: usize) -> Result<&Descriptor, ImageStoreError> {
        let layers = &self.manifest.layers;
        let count = layers.len();
        layers
            .get(position)
            .ok_or(ImageStoreError::NoLayer { count })
    }

    /// The image whose bootstrap is in `layer`.
    fn nydus(
        &self,
        store: &Arc<dyn ImageStore>,
        layer: &Descriptor,
        options: &OpenOptions,
        progress: &mut dyn Progress,
    ) -> Result<OpenImage, ImageStoreError> {
        let bootstrap = read_bootstrap(&**store, layer, options, progress)?;
        let blobs = ManifestBlobs {
            store: Arc::clone(store),
            layers: self.manifest.layers.clone(),
        };
        Ok(open_source(Arc::new(bootstrap), None, blobs, options)?)
    }
}

/// Applies a layer to those so far. Returns its advisories.
fn push(
    stack: &mut Stack,
    (store, tocs): (&dyn ImageStore, &mut Tocs<'_>),
    layer: &Descriptor,
    options: &OpenOptions,
    progress: &mut dyn Progress,
) -> Result<Advisories, ImageStoreError> {
    known(layer)?;
    if let Some(opened) = open_lazily(store, tocs, layer, options)? {
        let advisories = opened.advisories().clone();
        stack.push(opened.to_layer()?, opened.reader())?;
        return Ok(advisories);
    }
    let spooling = layer_options(options);
    let mut tar = match read_in_place(store, layer)? {
        Some(source) => {
            check(&source, layer, progress)?;
            TarLayer::open(source, &spooling)?
        }
        None => {
            let mut stream = Digested::open(store, layer)?;
            let buffered = BufReader::with_capacity(REQUEST, stream.by_ref());
            let spooled = TarLayer::from_stream(buffered, &spooling, progress);
            // A digest mismatch takes precedence over decoding errors.
            stream.finish()?;
            spooled?
        }
    };
    let advisories = std::mem::take(&mut tar.advisories);
    let (tree, reader) = tar.into_parts()?;
    stack.push(tree, &reader)?;
    Ok(advisories)
}

/// Rejects objects that are not supported as layers.
pub(crate) fn known(layer: &Descriptor) -> Result<(), ImageStoreError> {
    match layer.parse_media_type() {
        Ok(MediaType::Layer(layer)) if layer.encrypted() => Err(ImageStoreError::Encrypted),
        Ok(MediaType::Layer(_)) => Ok(()),
        _ => Err(ImageStoreError::NotLayer {
            media_type: layer.media_type.clone(),
        }),
    }
}

fn open_layer(
    store: &dyn ImageStore,
    layer: &Descriptor,
    options: &OpenOptions,
) -> Result<OpenImage, ImageStoreError> {
    if let Ok(MediaType::Layer(kind)) = layer.parse_media_type()
        && kind.encrypted()
    {
        return Err(ImageStoreError::Encrypted);
    }
    let described = described(&layer.annotations, options)?;
    let options = described.as_ref().unwrap_or(options);
    let id = layer.parse_digest().ok().map(|digest| digest.hex());
    let id = id.and_then(|id| BlobId::new(id.as_bytes()).ok());
    let source = store.open(layer)?;
    Ok(open_source(source, id.as_ref(), NoBlobs, options)?)
}

/// The same, with the TOC from a TOC image if it is not in the layer.
fn open_by_either_toc(
    store: &dyn ImageStore,
    tocs: &mut Tocs<'_>,
    layer: &Descriptor,
    options: &OpenOptions,
) -> Result<OpenImage, ImageStoreError> {
    let opened = open_layer(store, layer, options);
    if let Err(error) = &opened
        && is_external(error)
        && let Some(toc) = tocs.read(layer, &options.limits)?
    {
        return open_layer(store, layer, &options.clone().external_toc(toc));
    }
    opened
}

/// Whether a layer cannot be opened since its TOC is another blob.
fn is_external(error: &ImageStoreError) -> bool {
    let ImageStoreError::Open(OpenError::Estargz(error)) = error else {
        return false;
    };
    matches!(error, TocOpenError::External)
}

/// Opens a layer by its TOC, if its annotations vouch for one, and it is found.
fn open_lazily(
    store: &dyn ImageStore,
    tocs: &mut Tocs<'_>,
    layer: &Descriptor,
    options: &OpenOptions,
) -> Result<Option<OpenImage>, ImageStoreError> {
    if described(&layer.annotations, options)?.is_none() {
        return Ok(None);
    }
    match open_by_either_toc(store, tocs, layer, options) {
        Err(error) if is_external(&error) => Ok(None),
        opened => opened.map(Some),
    }
}

/// `options` with what `annotations` say of the TOC of a layer, by which it can be read lazily, every byte verified;
/// `None` if they say nothing, or layers are to be read as plain ones.
///
/// ```
/// use image_read::OpenOptions;
/// use lazyoci_image_store::open::described;
/// # use lazyoci_image_store::oci_image::{Annotations, ZstdChunkedLayer};
/// # let checksum = image_read::model::Digest::new(image_read::model::DigestAlgorithm::Sha256, [7; 32]);
/// # let mut annotations = Annotations::default();
/// # ZstdChunkedLayer::containers(checksum, image_read::model::StoredPiece::new(364, 539, 1298)).write(&mut annotations);
/// let options = described(&annotations, &OpenOptions::default())?;
/// assert!(options.is_some_and(|options| options.described.is_some()));
/// # Ok::<(), lazyoci_image_store::oci_image::AnnotationError>(())
/// ```
///
/// # Errors
/// [`AnnotationError`] if the annotations contradict each other, as those of both kinds of zstd:chunked do.
pub fn described(
    annotations: &Annotations,
    options: &OpenOptions,
) -> Result<Option<OpenOptions>, AnnotationError> {
    if options.as_layer {
        return Ok(None);
    }
    let Some(layer) = ZstdChunkedLayer::read(annotations)? else {
        let estargz = EstargzLayer::read(annotations)?;
        return Ok(estargz.map(|layer| options.clone().metadata_digest(layer.toc_digest)));
    };
    Ok(match layer.dialect {
        Dialect::Stargz(estargz) => {
            let described = Described::new(TocKind::ZstdChunked, layer.toc, layer.checksum);
            let options = options.clone().described(described);
            Some(options.metadata_digest(estargz.toc_digest))
        }
        Dialect::Containers { tar_split } => {
            let described = Described::new(TocKind::Containers, layer.toc, layer.checksum);
            Some(options.clone().described(described.tar_split(tar_split)))
        }
        _ => None,
    })
}

/// The bytes of a layer that can be read in place: local and uncompressed.
fn read_in_place(
    store: &dyn ImageStore,
    layer: &Descriptor,
) -> Result<Option<Arc<dyn ReadAt>>, ImageStoreError> {
    if store.is_remote() {
        return Ok(None);
    }
    let source = store.open(layer)?;
    let len = source.len();
    let start = len.and_then(|len| source.read_bytes(0, len.min(START_LEN) as usize));
    let start = start.map_err(|source| ImageStoreError::Read {
        name: layer.digest.clone(),
        source,
    })?;
    Ok(match Compression::detect(&start) {
        Compression::None => Some(source),
        _ => None,
    })
}

pub(crate) fn layer_options(options: &OpenOptions) -> LayerImageOptions {
    let layer = LayerImageOptions::default()
        .lenient(options.lenient)
        .limits(options.limits.clone());
    match &options.spool_directory {
        Some(directory) => layer.spool_directory(directory),
        None => layer,
    }
}

/// The blobs of a nydus image: layers of its manifest, found by their digests.
struct ManifestBlobs {
    store: Arc<dyn ImageStore>,
    layers: Vec<Descriptor>,
}

impl OpenBlob for ManifestBlobs {
    fn open_blob(&self, _index: BlobIndex, blob: &Blob) -> Result<Arc<dyn ReadAt>, StoreError> {
        let digest = format!("sha256:{}", blob.id);
        let is_it = |layer: &&Descriptor| layer.digest == digest;
        let layer = self.layers.iter().find(is_it);
        let layer = layer.ok_or_else(|| StoreError::Missing {
            id: blob.id.clone(),
        })?;
        self.store.open(layer).map_err(|error| StoreError::Other {
            id: blob.id.clone(),
            source: error.into(),
        })
    }
}
