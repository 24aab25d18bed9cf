//! Loading what a blob says of its chunks.

use bytes::Bytes;
use image_model::{Blame, BlobId, BlobIndex, Fault, Image, Limits};
use lazyoci_rafs_format::RafsImage;
use lazyoci_rafs_format::blob::{
    BlobError, BlobMeta, CiHeader, LoadCiHeader, LoadMeta, LocateSections, Need, Object, Sections,
    StepMachine, Trailer,
};
use lazyoci_rafs_format::flags::BlobFeatures;

use crate::support::{drive, golden, golden_blob, golden_bootstrap};

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
fn the_toc_is_found_in_the_blob() {
    let (image, blob) = image();
    let machine = image.locate_toc(FIRST, blob.len() as u64).unwrap();
    let (trailer, asked) = drive(machine, &blob).unwrap();
    assert!(matches!(trailer, Trailer::Toc(_)));
    assert_eq!(asked[0].object, Object::Blob(FIRST));
}

#[test]
fn a_blob_alone_leads_to_its_chunk_information() {
    let (image, blob) = image();
    let (sections, _) = drive(LocateSections::new(blob.len() as u64), &blob).unwrap();
    let (header, asked) = drive(LoadCiHeader::new(&sections).unwrap(), &blob).unwrap();
    let range = sections.chunk_info_header().unwrap();
    assert_eq!(asked, [Need::opened(range.clone())]);
    let id = BlobId::new(b"alone").unwrap();
    let entry = sections.entry(id, &header).unwrap();
    let (alone, asked) = drive(LoadMeta::new(&entry, &Limits::default()).unwrap(), &blob).unwrap();
    let listed = image.load_meta(FIRST).unwrap();
    let (listed, as_listed) = drive(listed, &blob).unwrap();
    assert_eq!(asked, [Need::opened(as_listed[0].range.clone())]);
    for index in 0..2 {
        assert_eq!(alone.chunk(index), listed.chunk(index));
    }

    // A byte that no writer sets.
    let mut damaged = blob.to_vec();
    damaged[range.end as usize - 100] = 1;
    let structure = "header of the chunk information";
    let loaded = drive(LoadCiHeader::new(&sections).unwrap(), &damaged.into());
    assert_eq!(loaded.unwrap_err(), BlobError::Reserved { structure });
    let error = LoadCiHeader::new(&sections).unwrap().supply(Bytes::new());
    assert_eq!(
        error.unwrap_err(),
        BlobError::Given {
            piece: structure,
            expected: CiHeader::LEN as u64,
            found: 0
        }
    );
    assert!(LoadCiHeader::new(&Sections::bare(5_000)).is_none());
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
    entry.features = entry.features | BlobFeatures::ENCRYPTED | BlobFeatures::CHUNK_INFO_V2;
    let error = LoadMeta::new(&entry, &Limits::default()).unwrap_err();
    let features = BlobFeatures::ENCRYPTED.bits();
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
