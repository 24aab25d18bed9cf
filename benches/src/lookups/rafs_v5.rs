//! Lookups in RAFS v5.

use std::fs;
use std::hint::black_box;
use std::path::Path;

use lazyoci::model::Limits;
use lazyoci::rafs_format::OwnedBootstrap;
use lazyoci::rafs_format::v5::Bootstrap;

use super::{COUNT, Digests, Names, RAFS_V5};

/// A RAFS v5 image, and what to ask it.
#[derive(Debug)]
pub struct RafsV5 {
    /// The bootstrap, and places in it.
    pub names: Names<Bootstrap>,
    /// The bootstrap, decoded.
    pub copy: OwnedBootstrap,
    /// Its chunks as a dictionary.
    pub digests: Digests,
}

impl RafsV5 {
    /// Opens the image that [`prepare`](super::prepare) wrote into `directory`.
    ///
    /// # Panics
    /// If it is not there, or another image.
    #[must_use]
    pub fn open(directory: &Path) -> Self {
        let path = directory.join(RAFS_V5).join("image.boot");
        let bytes = fs::read(path).expect("the bootstrap is there");
        let limits = Limits::default();
        let bootstrap = Bootstrap::open(bytes.into(), &limits).expect("it was written by us");
        let copy = bootstrap.to_chunked().expect("it was written by us");
        Self {
            digests: Digests::of(&copy.image),
            names: Names::new(bootstrap),
            copy,
        }
    }

    /// Opens the bootstrap again, [`COUNT`] times.
    ///
    /// # Panics
    /// If it is damaged.
    pub fn reopen(&self) {
        for _ in 0..COUNT {
            let bytes = self.names.image.bytes().clone();
            let bootstrap = Bootstrap::open(black_box(bytes), &Limits::default());
            black_box(bootstrap.expect("it was opened before"));
        }
    }

    /// Digests to frames, [`COUNT`] times.
    ///
    /// # Panics
    /// If the image is damaged.
    pub fn find_digests(&self) {
        self.digests.find(&self.copy.image);
    }
}
