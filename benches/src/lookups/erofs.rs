//! Lookups in plain EROFS.

use std::fs;
use std::hint::black_box;
use std::path::Path;

use bytes::Bytes;
use lazyoci::erofs_format::ErofsImage;
use lazyoci::model::Limits;

use super::{COUNT, EROFS, Names};

/// A plain EROFS image, and what to ask it.
#[derive(Debug)]
pub struct Erofs {
    /// The image, and places in it.
    pub names: Names<ErofsImage>,
    /// All of it.
    pub bytes: Bytes,
}

impl Erofs {
    /// Opens the image that [`prepare`](super::prepare) wrote into `directory`.
    ///
    /// # Panics
    /// If it is not there, or another image.
    #[must_use]
    pub fn open(directory: &Path) -> Self {
        let bytes = Bytes::from(fs::read(directory.join(EROFS)).expect("the image is there"));
        let image = ErofsImage::open(bytes.clone(), &Limits::default());
        Self {
            names: Names::new(image.expect("it was written by us")),
            bytes,
        }
    }

    /// Opens the image again, [`COUNT`] times.
    ///
    /// # Panics
    /// If it is damaged.
    pub fn reopen(&self) {
        for _ in 0..COUNT {
            let image = ErofsImage::open(black_box(self.bytes.clone()), &Limits::default());
            black_box(image.expect("it was opened before"));
        }
    }
}
