//! One image on its way.

use std::io::Read;
use std::sync::Arc;

use image_convert::{Source, Streaming};
use image_read::OpenImage;
use image_store::{ImageStore, ImageStoreError, ImageTarget, ResolvedImage};
use oci_image::{Descriptor, EstargzLayer, NydusLayer};

use crate::error::TranscodeError;
use crate::options::TranscodeOptions;
use crate::tally::Tally;

/// The conversion of one image.
pub(crate) struct Conversion<'c> {
    pub(crate) image: &'c ResolvedImage,
    store: &'c Arc<dyn ImageStore>,
    pub(crate) target: &'c dyn ImageTarget,
    pub(crate) options: &'c TranscodeOptions,
    /// The layers to convert, lowest first; `None` stands for the file tree of a nydus image.
    pub(crate) sources: Vec<Option<&'c Descriptor>>,
    /// How far each of them is.
    pub(crate) tallies: Vec<Arc<Tally>>,
}

/// A layer to convert.
pub(crate) enum Incoming {
    /// A tar stream.
    Layer(Streaming<'static>),
    /// A layer opened for random access.
    Image(Box<OpenImage>),
}

impl From<Incoming> for Source<'static> {
    fn from(incoming: Incoming) -> Self {
        match incoming {
            Incoming::Layer(layer) => layer.into(),
            Incoming::Image(image) => (*image).into(),
        }
    }
}

/// Whether it is a nydus image, whose layers have been merged.
pub(crate) fn is_merged(image: &ResolvedImage) -> Result<bool, TranscodeError> {
    let Some(last) = image.manifest.layers.last() else {
        return Ok(false);
    };
    let last = NydusLayer::read(&last.annotations).map_err(ImageStoreError::from)?;
    Ok(matches!(last, Some(NydusLayer::Bootstrap { .. })))
}

impl<'c> Conversion<'c> {
    pub(crate) fn new(
        image: &'c ResolvedImage,
        store: &'c Arc<dyn ImageStore>,
        target: &'c dyn ImageTarget,
        options: &'c TranscodeOptions,
    ) -> Result<Self, TranscodeError> {
        let layers = &image.manifest.layers;
        let sources: Vec<_> = match is_merged(image)? {
            true => vec![None],
            false => layers.iter().map(Some).collect(),
        };
        let tally = |source: &Option<&Descriptor>| match source {
            Some(layer) => Tally::new(&layer.digest, layer.size),
            None => {
                let lens = layers.iter().map(|layer| layer.size);
                let len = lens.fold(0, u64::saturating_add);
                Tally::new(&image.descriptor.digest, len)
            }
        };
        Ok(Self {
            image,
            store,
            target,
            options,
            tallies: sources.iter().map(tally).map(Arc::new).collect(),
            sources,
        })
    }

    /// The same, of which nothing was read yet.
    pub(crate) fn again(&self) -> Result<Self, TranscodeError> {
        Self::new(self.image, self.store, self.target, self.options)
    }

    /// The source at a position.
    pub(crate) fn open(&self, position: usize) -> Result<Incoming, TranscodeError> {
        Ok(match self.open_image(position)? {
            Some(image) => Incoming::Image(Box::new(image)),
            None => Incoming::Layer(self.streaming(self.stream(position)?)),
        })
    }

    /// The source at a position, if it can be opened for random access: the file tree of a nydus image, and an eStargz
    /// layer by its TOC, if that is found, without its eStargz-specific files.
    pub(crate) fn open_image(&self, position: usize) -> Result<Option<OpenImage>, TranscodeError> {
        let store = self.tallies[position].count(self.store);
        let options = self.options.open();
        let Some(layer) = self.sources[position] else {
            return Ok(Some(self.image.open(&store, &options, &mut ())?));
        };
        let estargz = EstargzLayer::read(&layer.annotations).map_err(ImageStoreError::from)?;
        if estargz.is_none() || self.options.as_layer {
            return Ok(None);
        }
        Ok(self.image.open_layer_lazily(&*store, position, &options)?)
    }

    /// The bytes of a layer, which fail at their end if they do not match its digest.
    pub(crate) fn stream(&self, position: usize) -> Result<impl Read + use<>, ImageStoreError> {
        let store = self.tallies[position].count(self.store);
        self.image.stream_layer(&*store, position)
    }

    /// A layer that is read as a stream.
    pub(crate) fn streaming(&self, layer: impl Read + 'static) -> Streaming<'static> {
        let options = self.options;
        let streaming = Streaming::new(layer)
            .lenient(options.lenient)
            .limits(options.limits.clone());
        match &options.spool_directory {
            Some(directory) => streaming.spool_directory(directory),
            None => streaming,
        }
    }
}
