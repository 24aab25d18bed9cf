//! Whole images, named as skopeo and podman name them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lazyoci::blob_io::registry::Reference;
use lazyoci::model::Progress;
#[cfg(feature = "gzip-index")]
use lazyoci::read::OpenOptions;
#[cfg(feature = "gzip-index")]
use lazyoci::read::gzip_index::GzipIndex;
use lazyoci::read::{LayerImageOptions, OpenImage};
use lazyoci::store::{ImageStore, Location, RegistryStore, ResolvedImage, resolve};

use super::Failure;
use super::open::OpenArgs;
use super::progress::Bar;

/// What `name` means, if it is how whole images are named, and no file is called so.
pub fn location(name: &Path) -> Option<Location> {
    let location = name.to_str().and_then(Location::parse);
    location.filter(|_| !name.exists())
}

/// A place of images, and what is meant there.
pub struct Place {
    /// How it was named.
    pub location: Location,
    /// What the image is called, if it is in a registry.
    pub reference: Option<Reference>,
    /// The place.
    pub store: Arc<dyn ImageStore>,
}

/// The place that `name` means, opened, if that is how whole images are named.
pub fn place(name: &Path, args: &OpenArgs) -> Result<Option<Place>, Failure> {
    let Some(location) = location(name) else {
        return Ok(None);
    };
    let of = |error: Failure| error.of(name.display());
    let options = LayerImageOptions::default()
        .lenient(args.lenient())
        .limits(args.limits());
    let reference = location.reference().map_err(|error| of(error.into()))?;
    let store: Arc<dyn ImageStore> = match &reference {
        Some(reference) => {
            let client = args.registry.client(reference).map_err(of)?;
            let store = RegistryStore::open(&client, reference);
            Arc::new(store.map_err(|error| of(error.into()))?)
        }
        None => location.open(&options).map_err(|error| of(error.into()))?,
    };
    Ok(Some(Place {
        location,
        reference,
        store,
    }))
}

/// An image in a layout, an archive or a registry.
pub struct Whole {
    name: PathBuf,
    store: Arc<dyn ImageStore>,
    image: ResolvedImage,
}

impl Whole {
    /// The image that `name` means, if that is how whole images are named, and no file is called so.
    pub fn find(name: &Path, args: &OpenArgs) -> Result<Option<Self>, Failure> {
        let Some(place) = place(name, args)? else {
            return Ok(None);
        };
        let Place {
            location,
            reference,
            store,
        } = place;
        if reference.is_none() {
            args.registry.refuse(name)?;
        }
        let image = resolve(&*store, location.name.as_deref(), args.platform.as_ref());
        Ok(Some(Self {
            name: name.into(),
            image: image.map_err(|error| Failure::from(error).of(name.display()))?,
            store,
        }))
    }

    /// The image.
    pub fn image(&self) -> &ResolvedImage {
        &self.image
    }

    /// Opens it, or the layer of it that is asked for.
    pub fn open(&self, args: &OpenArgs) -> Result<OpenImage, Failure> {
        args.refuse_index_of_all(&self.name)?;
        let options = args.options();
        let opened = match args.layer {
            Some(layer) => {
                #[cfg(feature = "gzip-index")]
                let options = self.indexed(args, layer, options)?;
                self.image.open_layer(&*self.store, layer, &options)
            }
            None => (self.image).open(&self.store, &options, &mut Bar::new("opening")),
        };
        opened.map_err(|error| Failure::from(error).of(self.name.display()))
    }

    /// `options` with the index that was given, which has to be of layer number `layer`, as far as it says so.
    #[cfg(feature = "gzip-index")]
    fn indexed(
        &self,
        args: &OpenArgs,
        layer: usize,
        options: OpenOptions,
    ) -> Result<OpenOptions, Failure> {
        let Some(index) = args.layer_index()? else {
            return Ok(options);
        };
        let listed = self.image.manifest.layers.get(layer);
        let listed = listed.and_then(|layer| layer.parse_digest().ok());
        let said = index.gzip().and_then(GzipIndex::stored_digest);
        if let (Some(expected), Some(found)) = (listed, said)
            && expected.algorithm() == found.algorithm()
            && expected != found
        {
            let what = format!("the index is of the layer {found}, but this one is {expected}");
            return Err(Failure::bad(what).of(self.name.display()));
        }
        Ok(options.index(index))
    }

    /// Compares its layers, or the one that is asked for, with their digests.
    pub fn check(&self, args: &OpenArgs, progress: &mut dyn Progress) -> Result<(), Failure> {
        let layers = match args.layer {
            Some(layer) => layer..layer + 1,
            None => 0..self.image.manifest.layers.len(),
        };
        for layer in layers {
            let checked = self.image.check_layer(&*self.store, layer, progress);
            checked.map_err(|error| Failure::from(error).of(self.name.display()))?;
        }
        Ok(())
    }
}
