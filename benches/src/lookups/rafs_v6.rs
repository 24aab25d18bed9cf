//! Lookups in RAFS v6.

use std::fs;
use std::hint::black_box;
use std::path::Path;

use bytes::Bytes;
use lazyoci::frame_codec::Decoder;
use lazyoci::model::Limits;
use lazyoci::rafs_format::blob::BlobMeta;
use lazyoci::rafs_format::v6::{Bootstrap, ChunkPlace, OwnedBootstrap};

use super::{COUNT, Digests, Names, RAFS_V6};
use crate::content::Random;

/// A RAFS v6 image, and what to ask it.
#[derive(Debug)]
pub struct RafsV6 {
    /// The bootstrap, and places in it.
    pub names: Names<Bootstrap>,
    /// The chunk information of its blob, as it is stored.
    pub stored_meta: Bytes,
    /// The same, decoded.
    pub meta: BlobMeta,
    /// The bootstrap, decoded.
    pub copy: OwnedBootstrap,
    /// Its chunks as a dictionary.
    pub digests: Digests,
    /// Addresses in the blob.
    pub addresses: Vec<u64>,
}

impl RafsV6 {
    /// Opens the image that [`prepare`](super::prepare) wrote into `directory`.
    ///
    /// # Panics
    /// If it is not there, or another image.
    #[must_use]
    pub fn open(directory: &Path) -> Self {
        let directory = directory.join(RAFS_V6);
        let limits = Limits::default();
        let bytes = fs::read(directory.join("image.boot")).expect("the bootstrap is there");
        let bootstrap = Bootstrap::open(bytes.into(), &limits).expect("it was written by us");
        let entry = &bootstrap.blob_entries()[0];
        let blob = directory.join("blobs").join(entry.id.as_str());
        let blob = fs::read(blob).expect("so is the blob");
        let range = BlobMeta::range(entry, &limits).expect("it was written by us");
        let stored_meta = Bytes::copy_from_slice(&blob[range.start as usize..range.end as usize]);
        let meta = BlobMeta::decode(entry, &stored_meta, &mut Decoder::new(), &limits)
            .expect("it was written by us");
        let copy = bootstrap.to_chunked().expect("it was written by us");
        let places: Vec<ChunkPlace> = Random::new(4).choose(copy.places.clone(), COUNT);
        Self {
            addresses: places.iter().map(|place| place.address).collect(),
            digests: Digests::of(&copy.image),
            names: Names::new(bootstrap),
            stored_meta,
            meta,
            copy,
        }
    }

    /// Addresses in the blob to chunks, [`COUNT`] times.
    ///
    /// # Panics
    /// If the chunk information is damaged.
    pub fn find_addresses(&self) {
        let found = |&&address: &&u64| self.meta.chunk_at(address).expect("it is sound").is_some();
        assert_eq!(self.addresses.iter().filter(found).count(), COUNT);
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
