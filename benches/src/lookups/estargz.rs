//! Lookups in eStargz.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use lazyoci::estargz_toc::image::{EstargzImage, ImageOptions};
use lazyoci::estargz_toc::open::{Need, OpenError, OpenedToc, Opener, StepMachine as _};
use lazyoci::model::{BlobId, ChunkedImage, Limits};

use super::{Digests, ESTARGZ, Names};

/// What an eStargz layer's TOC describes, and what to ask it.
#[derive(Debug)]
pub struct Estargz {
    /// The image, and places in it.
    pub names: Names<ChunkedImage>,
    /// Its chunks as a dictionary.
    pub digests: Digests,
}

impl Estargz {
    /// Opens the layer that [`prepare`](super::prepare) wrote into `directory`.
    ///
    /// # Panics
    /// If it is not there, or another image.
    #[must_use]
    pub fn open(directory: &Path) -> Self {
        let image = estargz_image(&estargz_toc(&read_estargz(directory))).image;
        Self {
            digests: Digests::of(&image),
            names: Names::new(Arc::unwrap_or_clone(image)),
        }
    }

    /// Digests to frames, [`COUNT`](super::COUNT) times.
    ///
    /// # Panics
    /// If the image is damaged.
    pub fn find_digests(&self) {
        self.digests.find(&self.names.image);
    }
}

/// The eStargz layer that [`prepare`](super::prepare) wrote into `directory`.
///
/// # Panics
/// If it is not there.
#[must_use]
pub fn read_estargz(directory: &Path) -> Vec<u8> {
    fs::read(directory.join(ESTARGZ)).expect("the layer is there")
}

/// The TOC of an eStargz layer.
///
/// # Panics
/// If it has none.
#[must_use]
pub fn estargz_toc(layer: &[u8]) -> OpenedToc {
    let opener = Opener::new(layer.len() as u64, &Limits::default());
    let read = |need: Need| {
        let bytes = &layer[need.range.start as usize..need.range.end as usize];
        Ok::<_, OpenError>(bytes.to_vec().into())
    };
    opener.drive(read).expect("it was written by us")
}

/// The image that a TOC describes.
///
/// # Panics
/// If it describes none.
#[must_use]
pub fn estargz_image(toc: &OpenedToc) -> EstargzImage {
    let id = BlobId::new(b"layer").expect("it is a name");
    let decoded = toc.image(id, &ImageOptions::default());
    decoded.expect("it was written by us")
}
