//! The lookups, shared by the benchmarks of time and of instructions.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use lazyoci::chunk_dedup::ChunkTable;
use lazyoci::frame_codec::Decoder;
use lazyoci::model::{Chunk, Digest, Image as _, Ino, Limits};
use lazyoci::rafs_format::blob::BlobMeta;
use lazyoci::rafs_format::v6::Bootstrap;
use lazyoci::read::{Follow, resolve};

use crate::content::Random;
use crate::layer::{Shape, path};

/// How many lookups are done in one go.
pub const COUNT: usize = 1000;

/// The shape of the image that is asked.
pub const SHAPE: Shape = Shape::METADATA;

/// A RAFS v6 image, and what to ask it.
#[derive(Debug)]
pub struct RafsV6 {
    /// The bootstrap.
    pub bootstrap: Bootstrap,
    /// The chunk information of its blob.
    pub meta: BlobMeta,
    /// All chunks.
    pub chunks: Vec<Chunk>,
    /// A dictionary of them.
    pub table: ChunkTable,
    /// Paths of files.
    pub paths: Vec<String>,
    /// Paths beside them where nothing is.
    pub missing: Vec<String>,
    /// Files with an offset in each.
    pub places: Vec<(Ino, u64)>,
    /// Addresses in the blob.
    pub addresses: Vec<u64>,
    /// Digests and lengths of chunks.
    pub digests: Vec<(Digest, u32)>,
}

impl RafsV6 {
    /// Opens the image that [`Shape::rafs_v6`] wrote to `directory` for [`SHAPE`].
    ///
    /// # Panics
    /// If it is not there, or another image.
    #[must_use]
    pub fn open(directory: &Path) -> Self {
        let limits = Limits::default();
        let bytes = fs::read(directory.join("image.boot")).expect("the bootstrap is there");
        let bootstrap = Bootstrap::open(bytes.into(), &limits).expect("it was written by us");
        let entry = &bootstrap.blob_entries()[0];
        let blob =
            fs::read(directory.join("blobs").join(entry.id.as_str())).expect("so is the blob");
        let range = BlobMeta::range(entry, &limits).expect("it was written by us");
        let ci = blob[range.start as usize..range.end as usize].to_vec();
        let meta = BlobMeta::decode(entry, &ci.into(), &mut Decoder::new(), &limits)
            .expect("it was written by us");
        let chunks = bootstrap.to_chunked().expect("it was written by us").chunks;

        let random = &mut Random::new(1);
        let numbers: Vec<u32> = (0..COUNT)
            .map(|_| 100 * random.below(u64::from(SHAPE.files) / 100) as u32 + 20)
            .collect();
        let paths: Vec<String> = numbers.iter().map(|&number| path(number)).collect();
        let place = |path: &String| {
            let ino = resolve(&bootstrap, path.as_bytes(), Follow::Never).expect("it is there");
            let size = bootstrap.attributes(ino).expect("it is sound").size;
            (ino, size / 2)
        };
        let chunk = |_| chunks[random.below(chunks.len() as u64) as usize];
        let sample: Vec<Chunk> = (0..COUNT).map(chunk).collect();
        Self {
            missing: paths.iter().map(|path| format!("{path}~")).collect(),
            places: paths.iter().map(place).collect(),
            addresses: sample.iter().map(|chunk| chunk.address + 1).collect(),
            digests: (sample.iter())
                .map(|chunk| (chunk.digest.expect("RAFS chunks have one"), chunk.len))
                .collect(),
            table: ChunkTable::of(&chunks),
            bootstrap,
            meta,
            chunks,
            paths,
        }
    }

    /// Looks something up, [`COUNT`] times; returns how often something was found.
    ///
    /// # Panics
    /// If the image answers with an error.
    #[must_use]
    pub fn look_up(&self, what: Lookup) -> usize {
        match what {
            Lookup::Path => self.resolve(&self.paths),
            Lookup::MissingPath => self.resolve(&self.missing),
            Lookup::Offset => self.frames(),
            Lookup::Address => self.at_addresses(),
            Lookup::Digest => self.with_digests(),
        }
    }

    fn resolve(&self, paths: &[String]) -> usize {
        let found = |path: &&String| resolve(&self.bootstrap, path.as_bytes(), Follow::All).is_ok();
        paths.iter().filter(found).count()
    }

    fn frames(&self) -> usize {
        let mut count = 0;
        for &(ino, offset) in &self.places {
            let mut take = |_| {
                count += 1;
                ControlFlow::Break(())
            };
            let answer = self.bootstrap.extents(ino, offset..offset + 1, &mut take);
            answer.expect("the file is sound");
        }
        count
    }

    fn at_addresses(&self) -> usize {
        let found = |&&address: &&u64| self.meta.chunk_at(address).expect("it is sound").is_some();
        self.addresses.iter().filter(found).count()
    }

    fn with_digests(&self) -> usize {
        let found =
            |(digest, len): &&(Digest, u32)| self.table.find(&self.chunks, digest, *len).is_some();
        self.digests.iter().filter(found).count()
    }
}

/// What is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// A path, to an inode.
    Path,
    /// A path where nothing is.
    MissingPath,
    /// A file and an offset, to a frame.
    Offset,
    /// An address in a blob, to a chunk.
    Address,
    /// A digest, to a chunk.
    Digest,
}

impl Lookup {
    /// All, with their names.
    pub const ALL: [(&'static str, Self); 5] = [
        ("path", Self::Path),
        ("missing-path", Self::MissingPath),
        ("offset-to-frame", Self::Offset),
        ("address-to-chunk", Self::Address),
        ("digest-to-chunk", Self::Digest),
    ];
}
