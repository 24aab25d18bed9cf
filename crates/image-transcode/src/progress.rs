//! Progress of image conversions, by layer and in all.

use std::sync::Arc;

use image_model::{Cancelled, Progress};

use crate::tally::Tally;

/// Receives the progress of a conversion; may stop it. Whatever is a [`Progress`] is one, and gets the bytes of all
/// layers.
///
/// ```
/// use lazyoci_image_transcode::model::Cancelled;
/// use lazyoci_image_transcode::{ImageProgress, LayersProgress};
///
/// struct Layers;
///
/// impl ImageProgress for Layers {
///     fn advance_layers(&mut self, now: &LayersProgress<'_>) -> Result<(), Cancelled> {
///         let done = now.layers.iter().filter(|layer| layer.done).count();
///         println!("{done} of {} layers, {} of {} bytes", now.layers.len(), now.done, now.total);
///         Ok(())
///     }
/// }
/// ```
pub trait ImageProgress {
    /// Called often, on the thread that called [`transcode`](crate::transcode()): keep it cheap.
    ///
    /// # Errors
    /// [`Cancelled`] stops the conversion. Nothing is published then; complete objects remain.
    fn advance_layers(&mut self, now: &LayersProgress<'_>) -> Result<(), Cancelled>;
}

impl<P: Progress> ImageProgress for P {
    fn advance_layers(&mut self, now: &LayersProgress<'_>) -> Result<(), Cancelled> {
        self.advance(now.done, Some(now.total))
    }
}

/// How far a conversion is. Copies of originals are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayersProgress<'l> {
    /// Bytes of the source layers, as they are stored, that have been read, or need not be.
    pub done: u64,
    /// Bytes of the source layers.
    pub total: u64,
    /// The source layers of all images, lowest first. A nydus image, whose layers are merged, is a single one.
    pub layers: &'l [LayerProgress],
}

/// How far the conversion of a layer is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerProgress {
    /// The digest of the source layer; of the manifest, for a nydus image.
    pub digest: String,
    /// Its length in bytes, as it is stored.
    pub len: u64,
    /// How many of them have been read, or need not be.
    pub read: u64,
    /// Whether it has been converted, and the target has the result.
    pub done: bool,
}

/// Tells the caller how far sources are, whatever the work itself reports.
pub(crate) struct Reporter<'p> {
    tallies: Vec<Arc<Tally>>,
    layers: Vec<LayerProgress>,
    to: &'p mut dyn ImageProgress,
}

impl<'p> Reporter<'p> {
    pub(crate) fn new(tallies: Vec<Arc<Tally>>, to: &'p mut dyn ImageProgress) -> Self {
        Self {
            layers: tallies.iter().map(|tally| tally.progress()).collect(),
            tallies,
            to,
        }
    }

    /// Tells how far the work is.
    pub(crate) fn tell(&mut self) -> Result<(), Cancelled> {
        for (layer, tally) in self.layers.iter_mut().zip(&self.tallies) {
            tally.update(layer);
        }
        let sum = |of: fn(&LayerProgress) -> u64| {
            let bytes = self.layers.iter().map(of);
            bytes.fold(0, u64::saturating_add)
        };
        self.to.advance_layers(&LayersProgress {
            done: sum(|layer| layer.read),
            total: sum(|layer| layer.len),
            layers: &self.layers,
        })
    }
}

impl Progress for Reporter<'_> {
    fn advance(&mut self, _: u64, _: Option<u64>) -> Result<(), Cancelled> {
        self.tell()
    }
}
