//! Layers that are blobs as they were, described by nydus-image.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;

use blob_io::ReadAt;
use bytes::Bytes;
use image_model::{Blob, BlobId, BlobIndex, Decode, Digest, DigestAlgorithm, Fault, Image as _};
use lazyoci_image_read::{
    NoBlobs, OpenBlob, OpenError, OpenImage, OpenOptions, StoreError, VerifyOptions,
    VerifySourceOptions, open_source, verify_source,
};
use verify::Profile;

use crate::flips::{
    bits, bits_but_of_runs, flipped, one_thread, some, those_that_pass, those_that_pass_open,
};
use crate::support::{Flipping, goldens, lines, verify as found_in, worst};

const TREE: &str = "tree1:243222fffe4f6799088d67735d2fc2e64a5ed5f4fbd7e3f6c71c23ac5bb8c1e8";
const LAYER: &str = "f12458d2d0fc5120e7ab885c16417490e51718c0e333e6897270e03618df36d0";
const META: &str = "c3a090331746b490d695cf876c61286123cd1283e3f7ab72d4c7167ed2d0703b";
const INLINE: &str = "b5c977a090736fd1e1fa412bd9817c78583da006b876f3280f6ce0c8cf07d1fe";

/// Files by their names.
#[derive(Clone)]
pub(crate) struct Files(pub(crate) HashMap<String, Bytes>);

impl OpenBlob for Files {
    fn open_blob(&self, _index: BlobIndex, blob: &Blob) -> Result<Arc<dyn ReadAt>, StoreError> {
        let missing = || StoreError::Missing {
            id: blob.id.clone(),
        };
        let file = self.0.get(blob.id.as_str()).ok_or_else(missing)?;
        Ok(Arc::new(file.clone()))
    }
}

/// Files, of which one is changed while they are open.
struct OneFlipping {
    id: String,
    file: Arc<Flipping>,
    others: Files,
}

impl OpenBlob for OneFlipping {
    fn open_blob(&self, index: BlobIndex, blob: &Blob) -> Result<Arc<dyn ReadAt>, StoreError> {
        match blob.id.as_str() == self.id {
            true => Ok(Arc::clone(&self.file) as _),
            false => self.others.open_blob(index, blob),
        }
    }
}

/// An image: the file that is opened, its name, and the others.
#[derive(Clone)]
pub(crate) struct Layered {
    pub(crate) opened: Bytes,
    pub(crate) id: Option<BlobId>,
    pub(crate) files: Files,
}

fn read(path: &str) -> Bytes {
    fs::read(goldens().join(path)).unwrap().into()
}

/// `NAME/image.boot` with all files of `NAME/blobs`.
fn separate(name: &str) -> Layered {
    let mut files = HashMap::new();
    for file in fs::read_dir(goldens().join(name).join("blobs")).unwrap() {
        let file = file.unwrap();
        let id = file.file_name().into_string().unwrap();
        files.insert(id, fs::read(file.path()).unwrap().into());
    }
    Layered {
        opened: read(&format!("{name}/image.boot")),
        id: None,
        files: Files(files),
    }
}

fn inlined() -> Layered {
    let layer = read(&format!("a4-v6-zran/blobs/{LAYER}"));
    Layered {
        opened: read(&format!("a4-v6-zran-inline-toc/blobs/{INLINE}")),
        id: Some(BlobId::new(INLINE.as_bytes()).unwrap()),
        files: Files(HashMap::from([(LAYER.into(), layer)])),
    }
}

impl Layered {
    pub(crate) fn open(&self) -> OpenImage {
        self.try_open().unwrap()
    }

    pub(crate) fn try_open(&self) -> Result<OpenImage, OpenError> {
        let (source, options) = (Arc::new(self.opened.clone()), OpenOptions::default());
        open_source(source, self.id.as_ref(), self.files.clone(), &options)
    }

    pub(crate) fn found(&self, options: &VerifyOptions) -> Vec<String> {
        let (opened, files) = (self.opened.clone(), self.files.clone());
        lines(&found_in(opened, self.id.as_ref(), files, options).0)
    }

    pub(crate) fn worst(&self, options: &VerifyOptions) -> Option<Fault> {
        let options = VerifySourceOptions::default()
            .id(self.id.clone())
            .verify(options.clone());
        let (source, files) = (Arc::new(self.opened.clone()), self.files.clone());
        worst(|progress, tell| verify_source(source, files, &options, progress, tell))
    }

    /// The image, opened by its digest, and the file `id`, any bit of which can be flipped.
    fn flipping(&self, id: &str) -> (OpenImage, Arc<Flipping>) {
        let file = Arc::new(Flipping::new(&self.files.0[id]));
        let blobs = OneFlipping {
            id: id.to_owned(),
            file: Arc::clone(&file),
            others: self.files.clone(),
        };
        let options = OpenOptions::default().metadata_digest(self.digest());
        let source = Arc::new(self.opened.clone());
        let image = open_source(source, self.id.as_ref(), blobs, &options);
        (image.unwrap(), file)
    }

    fn digest(&self) -> Digest {
        verify::sha256(&self.opened)
    }

    /// The flips in the file `id` that are not found, if the digest of the opened file is known.
    fn unfound(&self, id: &str) -> Vec<usize> {
        self.unfound_of(id, bits(&self.files.0[id]))
    }

    /// The same of some bits.
    fn unfound_of(&self, id: &str, bits: Vec<usize>) -> Vec<usize> {
        let file = &self.files.0[id];
        // Of longer files some are enough: nothing but their digest vouches for them.
        let step = file.len().div_ceil(5_000);
        let bits = some(bits, step * step);
        if step > 1 {
            return those_that_pass_open(&bits, || self.flipping(id), &one_thread());
        }
        let options = one_thread().expect(self.digest());
        those_that_pass(&bits, |bit| {
            let mut damaged = self.clone();
            damaged.files.0.insert(id.into(), flipped(file, bit));
            damaged.worst(&options).is_none()
        })
    }
}

#[test]
fn all_of_it_is_read() {
    for image in [
        separate("a4-v6-zran"),
        inlined(),
        separate("a4-v6-tar-ref"),
        separate("a4-v6-tarfs"),
        separate("a4-v6-tarfs-4k"),
    ] {
        let opened = image.open();
        let digest = opened.tree_digest(Profile::Default, &mut ()).unwrap();
        assert_eq!(digest.to_string(), TREE);
        assert_eq!(opened.read("/d/h", 5).unwrap(), b"hello");
        let file = opened.resolve(b"/z", lazyoci_image_read::Follow::All);
        let mut part = Vec::new();
        opened
            .read_range(file.unwrap(), 9_998..20_000, &mut part)
            .unwrap();
        assert_eq!(part, b"AA");
        assert_eq!(image.found(&one_thread()), [""; 0]);
    }
}

/// Of the layer one span is read: all of it, as it is short.
#[test]
fn contexts_are_frames() {
    let opened = separate("a4-v6-zran").open();
    let rafs = opened.rafs().unwrap();
    assert_eq!(rafs.frame_bound(), 3);
    let mut frames = Vec::new();
    let file = opened.resolve(b"/f", lazyoci_image_read::Follow::All);
    rafs.extents(file.unwrap(), 0..5, &mut |extent| {
        let image_model::ExtentSource::Chunk {
            frame,
            offset_in_frame,
            ..
        } = extent.source
        else {
            panic!("{extent:?}")
        };
        frames.push((frame.0, offset_in_frame));
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(frames, [(2, 0x400)]);
    let frame = rafs.frame(image_model::FrameId(2)).unwrap();
    assert_eq!(
        (frame.offset, frame.stored_len, frame.len),
        (10, 202, 13_584)
    );
    let recipe = rafs.recipe(frame.recipe).unwrap();
    assert_eq!(recipe.decode, Decode::DeflateMembers(Default::default()));
    assert!(rafs.frame(image_model::FrameId(3)).is_err());
}

/// The files of the layer but for its landmark and its TOC.
#[test]
fn an_estargz_layer_is_read() {
    let image = separate("vector1-v6-estargz-ref");
    let found = image.open().tree_digest(Profile::Default, &mut ()).unwrap();
    let layer = Arc::new(read("estargz/vector1.esgz"));
    let layer = open_source(layer, None, NoBlobs, &OpenOptions::default()).unwrap();
    let expected = layer.tree_digest(Profile::Default, &mut ()).unwrap();
    assert_eq!(found, expected);
    assert_eq!(image.found(&one_thread()), [""; 0]);
}

/// A tar that cannot be told from another has no name that vouches for it.
#[test]
fn a_tar_with_another_name_is_unvouched() {
    let image = separate("a4-v6-tarfs");
    let opened = image.open();
    let mut named = image.opened.to_vec();
    for at in [1408, 4096] {
        named[at..at + 64].fill(0);
        named[at..at + 3].copy_from_slice(b"tar");
    }
    let id = opened.image().blobs()[0].id.to_string();
    let mut files = image.files.clone();
    let tar = files.0.remove(&id).unwrap();
    let len = tar.len() as u64;
    files.0.insert("tar".into(), tar);
    let unvouched = |opened: Bytes, files: Files| {
        let (source, options) = (Arc::new(opened), OpenOptions::default());
        let image = open_source(source, None, files, &options).unwrap();
        let mut found = Vec::new();
        let tell = &mut |finding: lazyoci_image_read::Finding| found.push(finding.to_string());
        let summary = image.verify(&one_thread(), &mut (), tell).unwrap();
        assert_eq!(found, [""; 0]);
        (summary.unvouched_len, summary.audit.unverifiable_chunks)
    };
    assert_eq!(unvouched(image.opened.clone(), image.files.clone()), (0, 2));
    assert_eq!(unvouched(named.into(), files), (len, 2));
}

/// What describes the layer may be missing: the tree can be listed.
#[test]
fn names_need_no_contexts() {
    let mut image = separate("a4-v6-zran");
    image.files.0.remove(META);
    let opened = image.open();
    let names: Vec<_> = [b"/f".as_slice(), b"/d/l"]
        .into_iter()
        .map(|path| opened.resolve(path, lazyoci_image_read::Follow::Parents))
        .collect();
    assert!(names.iter().all(Result::is_ok), "{names:?}");
    assert!(opened.read("/f", 5).is_err());
    let found = image.found(&one_thread());
    let missing = format!("i/o: blob `{META}` is missing");
    assert!(found.contains(&missing), "{found:#?}");
    let mut image = separate("a4-v6-zran");
    image.files.0.remove(LAYER);
    assert_eq!(image.worst(&one_thread()), Some(Fault::Io));
}

#[test]
fn no_flip_in_a_file_beside_the_bootstrap_passes() {
    let image = separate("a4-v6-zran");
    assert_eq!(image.unfound(META), [0; 0]);
    assert_eq!(image.unfound(LAYER), [0; 0]);
    assert_eq!(inlined().unfound(LAYER), [0; 0]);
    for image in [separate("a4-v6-tarfs"), separate("vector1-v6-estargz-ref")] {
        for id in image.files.0.keys() {
            assert_eq!(image.unfound(id), [0; 0], "{id}");
        }
    }
    // The tar is that of tarfs.
    let image = separate("a4-v6-tar-ref");
    for (id, file) in &image.files.0 {
        let bits = bits_but_of_runs(file);
        assert_eq!(image.unfound_of(id, bits), [0; 0], "{id}");
    }
}

#[test]
fn no_flip_in_an_opened_file_passes() {
    for image in [
        inlined(),
        separate("a4-v6-zran"),
        separate("a4-v6-tarfs-4k"),
    ] {
        let options = one_thread().expect(image.digest());
        no_flip_passes(&image, &bits(&image.opened), &options);
    }
}

/// One digest vouches for all of it, of either kind; the content is verified elsewhere.
#[test]
fn no_flip_in_the_bootstrap_of_any_mode_passes() {
    for name in [
        "a4-v6-tar-ref",
        "a4-v6-tarfs",
        "vector1-v6-estargz-ref",
        "a4-v6-zstd-sha256-batch",
        "a4-v6-none-blake3-batch-toc",
    ] {
        let image = separate(name);
        let bits = some(bits(&image.opened), 101);
        let digest = verify::digest(DigestAlgorithm::Blake3, &image.opened).unwrap();
        no_flip_passes(&image, &bits, &one_thread().content(false).expect(digest));
    }
}

/// Each flip of `bits` in the opened file is found.
fn no_flip_passes(image: &Layered, bits: &[usize], options: &VerifyOptions) {
    assert_eq!(image.worst(options), None);
    let passed = those_that_pass(bits, |bit| {
        let damaged = Layered {
            opened: flipped(&image.opened, bit),
            ..image.clone()
        };
        damaged.worst(options).is_none()
    });
    assert_eq!(passed, [0; 0]);
}
