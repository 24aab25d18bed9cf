//! Loading what a blob says of its chunks.

use bytes::Bytes;
use image_model::{Blame, BlobIndex, Fault, Image, Limits};
use lazyoci_rafs_format::RafsImage;
use lazyoci_rafs_format::blob::{
    BlobError, BlobMeta, LoadMeta, Need, Object, Section, StepMachine, TarHeader, Trailer,
};
use lazyoci_rafs_format::flags::BlobFeatures;

use crate::support::{a4_chunks, drive, golden, golden_blob, golden_bootstrap, locate, sha256};

const GOLDEN: &str = "a4-v6-zstd-sha256-toc";
const FIRST: BlobIndex = BlobIndex(0);

fn image() -> (RafsImage, Bytes) {
    let boot = golden(&format!("{GOLDEN}.boot"));
    let image = RafsImage::new(golden_bootstrap(boot));
    (image, golden(&format!("{GOLDEN}.blob")))
}

#[test]
fn slots_are_empty_until_somebody_fills_them() {
    let (image, blob) = image();
    assert!(image.meta(FIRST).is_none());
    let (meta, asked) = drive(image.load_meta(FIRST).unwrap(), &blob).unwrap();
    let entry = &image.bootstrap().blob_entries()[0];
    let object = Object::Blob(FIRST);
    let range = BlobMeta::range(entry, &Limits::default()).unwrap();
    assert_eq!(asked, [Need { object, range }]);
    assert!(image.meta(FIRST).is_none());
    let kept = image.keep_meta(FIRST, meta.clone()).unwrap();
    assert_eq!(kept.chunk_count(), 2);
    assert_eq!(image.meta(FIRST).unwrap().chunk(1), meta.chunk(1));
    // The first one stays.
    let kept = std::ptr::from_ref(kept);
    assert!(std::ptr::eq(kept, image.keep_meta(FIRST, meta).unwrap()));
}

#[test]
fn digests_are_loaded_by_the_toc() {
    let (image, blob) = image();
    let machine = image.locate_toc(FIRST, blob.len() as u64).unwrap();
    let (Trailer::Toc(toc), asked) = drive(machine, &blob).unwrap() else {
        panic!("it has a TOC");
    };
    assert_eq!(asked[0].object, Object::Blob(FIRST));
    let (digests, asked) = drive(image.load_digests(FIRST, &toc).unwrap(), &blob).unwrap();
    let object = Object::Blob(FIRST);
    let range = toc.entry(Section::ChunkDigests).unwrap().range();
    assert_eq!(asked, [Need { object, range }]);
    for (index, content) in (0..).zip(a4_chunks()) {
        assert_eq!(digests.digest(index), Some(sha256(&content)));
    }

    let empty = Bytes::copy_from_slice(&TarHeader::new(Section::Toc, 0).to_bytes());
    let Trailer::Toc(toc) = locate(&empty).unwrap() else {
        panic!("it has a TOC");
    };
    let section = Section::ChunkDigests;
    assert_eq!(
        image.load_digests(FIRST, &toc).unwrap_err(),
        BlobError::NoSection { section }
    );
}

#[test]
fn only_blobs_that_there_are() {
    let (image, blob) = image();
    let error = BlobError::NoSuchBlob {
        index: BlobIndex(1),
        count: 1,
    };
    assert_eq!(error.fault(), Fault::Misuse);
    let index = BlobIndex(1);
    assert_eq!(image.load_meta(index).unwrap_err(), error);
    assert_eq!(image.locate_toc(index, 100).unwrap_err(), error);
    let (meta, _) = drive(image.load_meta(FIRST).unwrap(), &blob).unwrap();
    assert_eq!(image.keep_meta(index, meta).unwrap_err(), error);
    assert!(image.meta(index).is_none());
}

#[test]
fn what_cannot_be_read_is_not_asked_for() {
    let (_, mut entry) = golden_blob(GOLDEN);
    entry.features = entry.features | BlobFeatures::BATCH | BlobFeatures::CHUNK_INFO_V2;
    let error = LoadMeta::new(FIRST, &entry, &Limits::default()).unwrap_err();
    let features = BlobFeatures::BATCH.bits();
    assert_eq!(error, BlobError::Features { features });
}

#[test]
fn the_wrong_bytes_are_the_callers_fault() {
    let (image, _) = image();
    let error = image.load_meta(FIRST).unwrap().supply(Bytes::new());
    assert!(
        matches!(error, Err(BlobError::Given { found: 0, .. })),
        "{error:?}"
    );
}

#[test]
fn the_image_is_that_of_its_bootstrap() {
    let (image, _) = image();
    let bootstrap = image.bootstrap().image();
    let mut walk = image_model::walk::Walk::new(&image, &Limits::default());
    let mut expected = image_model::walk::Walk::new(bootstrap, &Limits::default());
    while let Some(entry) = expected.next_entry() {
        let (entry, found) = (entry.unwrap(), walk.next_entry().unwrap().unwrap());
        assert_eq!((&found.path, found.ino), (&entry.path, entry.ino));
        assert_eq!(found.attributes, entry.attributes);
    }
    assert!(walk.next_entry().is_none());
    assert_eq!(image.blobs(), bootstrap.blobs());
    let frame = image_model::FrameId(0);
    let recipe = image.frame(frame).unwrap().recipe;
    assert_eq!(image.frame(frame).unwrap(), bootstrap.frame(frame).unwrap());
    assert_eq!(image.recipe(recipe), bootstrap.recipe(recipe));
}
