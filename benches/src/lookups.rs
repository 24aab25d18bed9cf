//! The lookups, shared by the benchmarks of time and of instructions.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use lazyoci::chunk_dedup::ChunkTable;
use lazyoci::estargz_toc::image::ImageOptions;
use lazyoci::estargz_toc::open::{OpenedToc, Opener, Step};
use lazyoci::frame_codec::Decoder;
use lazyoci::model::{BlobId, Chunk, ChunkedImage, Digest, Image, Ino, Limits};
use lazyoci::rafs_format::blob::BlobMeta;
use lazyoci::rafs_format::v6::Bootstrap;
use lazyoci::read::{Follow, resolve};

use crate::content::Random;
use crate::layer::{Shape, path};

/// How many lookups are done in one go.
pub const COUNT: usize = 1000;

/// The shape of the image that is asked.
pub const SHAPE: Shape = Shape::METADATA;

/// Name of the directory with the RAFS v6 image in the directory of images.
const RAFS_V6: &str = "rafs-v6";
/// Name of the eStargz layer there.
const ESTARGZ: &str = "layer.esgz";

/// Writes the images that are asked into `directory`.
///
/// # Panics
/// If they cannot be written.
pub fn prepare(directory: &Path) {
    SHAPE.rafs_v6(&directory.join(RAFS_V6));
    fs::write(directory.join(ESTARGZ), SHAPE.estargz()).expect("there is room");
}

/// An image of [`SHAPE`], with places in it to look for.
#[derive(Debug)]
pub struct Names<I> {
    /// The image.
    pub image: I,
    /// Paths of files.
    pub paths: Vec<String>,
    /// Paths beside them where nothing is.
    pub missing: Vec<String>,
    /// Files with an offset in each.
    pub places: Vec<(Ino, u64)>,
}

impl<I: Image> Names<I> {
    /// Chooses places in `image`.
    ///
    /// # Panics
    /// If it is another image.
    #[must_use]
    pub fn new(image: I) -> Self {
        let random = &mut Random::new(1);
        let hundreds = u64::from(SHAPE.files) / 100;
        let numbers = (0..COUNT).map(|_| 100 * random.below(hundreds) as u32 + 20);
        let paths: Vec<String> = numbers.map(path).collect();
        let place = |path: &String| {
            let ino = resolve(&image, path.as_bytes(), Follow::Never).expect("it is there");
            let size = image.attributes(ino).expect("it is sound").size;
            (ino, size / 2)
        };
        Self {
            missing: paths.iter().map(|path| format!("{path}~")).collect(),
            places: paths.iter().map(place).collect(),
            paths,
            image,
        }
    }

    /// Paths to inodes, [`COUNT`] times; how many were found.
    #[must_use]
    pub fn find_paths(&self) -> usize {
        self.resolve(&self.paths)
    }

    /// The same for paths where nothing is.
    #[must_use]
    pub fn find_missing(&self) -> usize {
        self.resolve(&self.missing)
    }

    /// Files and offsets to frames, [`COUNT`] times; how many were found.
    ///
    /// # Panics
    /// If the image is damaged.
    #[must_use]
    pub fn find_frames(&self) -> usize {
        let mut count = 0;
        for &(ino, offset) in &self.places {
            let mut take = |_| {
                count += 1;
                ControlFlow::Break(())
            };
            let answer = self.image.extents(ino, offset..offset + 1, &mut take);
            answer.expect("the file is sound");
        }
        count
    }

    fn resolve(&self, paths: &[String]) -> usize {
        let found = |path: &&String| resolve(&self.image, path.as_bytes(), Follow::All).is_ok();
        paths.iter().filter(found).count()
    }
}

/// A RAFS v6 image, and what to ask it.
#[derive(Debug)]
pub struct RafsV6 {
    /// The bootstrap, and places in it.
    pub names: Names<Bootstrap>,
    /// The chunk information of its blob.
    pub meta: BlobMeta,
    /// All chunks.
    pub chunks: Vec<Chunk>,
    /// A dictionary of them.
    pub table: ChunkTable,
    /// Addresses in the blob.
    pub addresses: Vec<u64>,
    /// Digests and lengths of chunks.
    pub digests: Vec<(Digest, u32)>,
}

impl RafsV6 {
    /// Opens the image that [`prepare`] wrote into `directory`.
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
        let ci = blob[range.start as usize..range.end as usize].to_vec();
        let meta = BlobMeta::decode(entry, &ci.into(), &mut Decoder::new(), &limits)
            .expect("it was written by us");
        let chunks = bootstrap.to_chunked().expect("it was written by us").chunks;

        let random = &mut Random::new(2);
        let chunk = |_| chunks[random.below(chunks.len() as u64) as usize];
        let sample: Vec<Chunk> = (0..COUNT).map(chunk).collect();
        Self {
            addresses: sample.iter().map(|chunk| chunk.address + 1).collect(),
            digests: (sample.iter())
                .map(|chunk| (chunk.digest.expect("RAFS chunks have one"), chunk.len))
                .collect(),
            table: ChunkTable::of(&chunks),
            names: Names::new(bootstrap),
            meta,
            chunks,
        }
    }

    /// Addresses in the blob to chunks, [`COUNT`] times; how many were found.
    ///
    /// # Panics
    /// If the chunk information is damaged.
    #[must_use]
    pub fn find_addresses(&self) -> usize {
        let found = |&&address: &&u64| self.meta.chunk_at(address).expect("it is sound").is_some();
        self.addresses.iter().filter(found).count()
    }

    /// Digests to chunks, [`COUNT`] times; how many were found.
    #[must_use]
    pub fn find_digests(&self) -> usize {
        let found =
            |(digest, len): &&(Digest, u32)| self.table.find(&self.chunks, digest, *len).is_some();
        self.digests.iter().filter(found).count()
    }
}

/// The TOC of the eStargz layer that [`prepare`] wrote into `directory`.
///
/// # Panics
/// If it is not there.
#[must_use]
pub fn estargz_toc(directory: &Path) -> OpenedToc {
    let layer = fs::read(directory.join(ESTARGZ)).expect("the layer is there");
    let mut opener = Opener::new(layer.len() as u64, &Limits::default());
    let mut step = opener.start();
    loop {
        match step.expect("it was written by us") {
            Step::Need(range) => {
                step = opener.supply(&layer[range.start as usize..range.end as usize]);
            }
            Step::Done(toc) => return toc,
        }
    }
}

/// The image that a TOC describes.
///
/// # Panics
/// If it describes none.
#[must_use]
pub fn estargz_image(toc: &OpenedToc) -> ChunkedImage {
    let id = BlobId::new(b"layer").expect("it is a name");
    let decoded = toc.image(id, &ImageOptions::default());
    decoded.expect("it was written by us").image
}
