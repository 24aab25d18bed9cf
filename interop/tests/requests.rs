//! How often a source is asked for bytes.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use lazyoci::blob_io::{Counted, LocalFile, ReadAt};
use lazyoci::convert::{Streaming, UnpackOptions, unpack};
use lazyoci::frame_codec::Compression;
use lazyoci::model::{Blob, BlobIndex, Extent, ExtentSource};
use lazyoci::read::{
    Follow, OpenBlob, OpenImage, OpenOptions, ReadOptions, StoreError, VerifyOptions, open_source,
};
use lazyoci::verify::Profile;
use lazyoci_interop::Corpus;
use lazyoci_interop::conversions::{Nowhere, TARGETS, Target, in_memory};

/// Bytes of a request.
const REQUEST: u64 = 1 << 20;

/// A file that counts, as the image and as its only blob.
#[derive(Debug, Clone)]
struct Source {
    metadata: Arc<Counted<LocalFile>>,
    blob: Arc<Counted<LocalFile>>,
}

impl OpenBlob for Source {
    fn open_blob(&self, _: BlobIndex, _: &Blob) -> Result<Arc<dyn ReadAt>, StoreError> {
        Ok(Arc::clone(&self.blob) as _)
    }
}

impl Source {
    /// A layer, or a bootstrap with a blob beside it.
    fn new(path: &Path) -> Self {
        let open = |path: &Path| Arc::new(Counted::new(LocalFile::open(path).expect("a file")));
        let metadata = open(path);
        let blobs = path.with_file_name("blobs");
        let blob = match std::fs::read_dir(blobs).ok().and_then(|mut all| all.next()) {
            Some(blob) => open(&blob.expect("a directory").path()),
            None => Arc::clone(&metadata),
        };
        Self { metadata, blob }
    }

    fn open(&self) -> OpenImage {
        let read = ReadOptions::default().threads(2).max_request(REQUEST);
        let options = OpenOptions::default().read(read);
        let metadata: Arc<dyn ReadAt> = Arc::clone(&self.metadata) as _;
        open_source(metadata, None, self.clone(), &options).expect("it was written by us")
    }

    /// Requests for all of the blob in order, a tenth more, and eight.
    fn most(&self) -> u64 {
        let len = self.blob.len().expect("a file");
        (len as f64 / REQUEST as f64 * 1.1) as u64 + 8
    }

    fn requests(&self) -> u64 {
        let metadata = match Arc::ptr_eq(&self.metadata, &self.blob) {
            true => 0,
            false => self.metadata.stats().requests,
        };
        metadata + self.blob.stats().requests
    }
}

/// RAFS v6 and eStargz of the Debian layer, in `dir`.
fn images(dir: &Path) -> [(&'static str, std::path::PathBuf); 2] {
    let corpus = Corpus::new("debian/peer");
    let layer = || Streaming::new(std::fs::File::open(corpus.tar()).expect("a corpus"));
    let rafs = Target::Rafs(Compression::Zstd { level: 3 });
    [
        ("rafs", rafs.write(layer(), &dir.join("rafs"))),
        (
            "estargz",
            Target::Estargz.write(layer(), &dir.join("estargz")),
        ),
    ]
}

#[test]
fn whole_images_cost_what_their_length_costs() {
    let dir = in_memory();
    let mut exceeded = Vec::new();
    for (form, path) in images(dir.path()) {
        let mut check = |what: String, work: &dyn Fn(&OpenImage)| {
            let source = Source::new(&path);
            work(&source.open());
            let (requests, most) = (source.requests(), source.most());
            println!("{what}: {requests} requests, at most {most}");
            if requests > most {
                exceeded.push(what);
            }
        };
        check(format!("verify {form}"), &|image| {
            let mut tell = |found| panic!("{found}");
            let verified = image.verify(&VerifyOptions::default(), &mut (), &mut tell);
            assert!(verified.is_ok_and(|summary| summary.is_sound()));
        });
        check(format!("digest {form}"), &|image| {
            let digest = image.tree_digest(Profile::Default, &mut ());
            digest.expect("it is sound");
        });
        check(format!("unpack {form}"), &|image| {
            let options = UnpackOptions::default().lossy(true);
            let output = dir.path().join(format!("unpacked-{form}"));
            unpack(image, &output, &options, &mut ()).expect("it is sound");
        });
        for target in TARGETS {
            check(format!("{form} to {target:?}"), &|image| {
                target.convert(image, &mut Nowhere).expect("it is sound");
            });
        }
    }
    assert!(exceeded.is_empty(), "too many requests: {exceeded:?}");
}

/// A file of some megabytes, and a range in the middle of it.
const FILE: &[u8] = b"usr/bin/git";
const RANGE: std::ops::Range<u64> = 1_500_000..1_500_100;

#[test]
fn a_range_costs_the_frames_that_it_needs() {
    let dir = in_memory();
    let content = std::fs::read(Corpus::new("debian/peer").dir().join("usr/bin/git"));
    let content = content.expect("a corpus");
    let expected = &content[RANGE.start as usize..RANGE.end as usize];
    for (form, path) in images(dir.path()) {
        let source = Source::new(&path);
        let image = source.open();
        let ino = image.resolve(FILE, Follow::All).expect("it is there");
        let mut frames = BTreeSet::new();
        let mut visit = |extent: Extent| {
            let ExtentSource::Chunk { frame, .. } = extent.source else {
                panic!("{form}: content lies in chunks")
            };
            frames.insert(frame);
            ControlFlow::Continue(())
        };
        let extents = image.image().extents(ino, RANGE, &mut visit);
        extents.expect("it is sound");
        let stored = frames.iter().map(|frame| {
            let frame = image.image().frame(*frame).expect("it is sound");
            u64::from(frame.stored_len)
        });
        let stored: u64 = stored.sum();
        let mut found = Vec::new();
        image
            .read_range(ino, RANGE, &mut found)
            .expect("it is sound");
        assert_eq!(found, expected, "{form}");
        let stats = image.stats();
        assert_eq!(stats.bytes, stored, "{form}");
        assert_eq!(stats.requests, stored.div_ceil(REQUEST), "{form}");
    }
    // A tar is not compressed: the range and nothing else.
    let source = Source::new(&Corpus::new("debian/peer").tar());
    let image = source.open();
    let ino = image.resolve(FILE, Follow::All).expect("it is there");
    let mut found = Vec::new();
    image
        .read_range(ino, RANGE, &mut found)
        .expect("it is sound");
    assert_eq!(found, expected);
    let stats = image.stats();
    assert_eq!((stats.requests, stats.bytes), (1, 100));
}
