//! eStargz by its TOC: goldens of the reference implementation.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use estargz_toc::image::Prefetch;
use image_model::walk::Walk;
use image_model::{Blame, Digest, Fault, FileKind, Limits};
use image_read::{
    Follow, Format, NoBlobs, OpenError, OpenImage, OpenOptions, ReadError, open, open_source,
    read_toc,
};

use crate::open::{golden, open_default};
use crate::support::sha256;

const VECTOR: &str = "sha256:d73551bfdda94f1746db96e41b8382877c9a870d6ef8dc7f86d0bd519b9e32a9";

fn layer(name: &str) -> PathBuf {
    golden("estargz").join(format!("{name}.esgz"))
}

pub(crate) fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(layer(name)).unwrap()
}

fn open_bytes(blob: Vec<u8>) -> Result<OpenImage, OpenError> {
    let source = Arc::new(Bytes::from(blob));
    open_source(source, None, NoBlobs, &OpenOptions::default())
}

/// Every regular file with its content, by path.
fn files(image: &OpenImage) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut walk = Walk::new(image.image(), &Limits::default());
    while let Some(entry) = walk.next_entry() {
        let entry = entry.unwrap();
        if entry.attributes.kind == FileKind::File {
            let mut content = Vec::new();
            image
                .read_range(entry.ino, 0..u64::MAX, &mut content)
                .unwrap();
            files.push((entry.path.to_string(), content));
        }
    }
    files
}

#[test]
fn a_toc_is_an_image_of_its_own() {
    let image = open_default(&layer("vector1")).unwrap();
    assert_eq!(image.format(), Format::Estargz);
    assert!(image.bootstrap().is_none() && image.tree().is_none());
    let estargz = image.estargz().unwrap();
    assert_eq!(estargz.toc.digest.to_string(), VECTOR);
    assert_eq!(estargz.toc_len, 1063);
    assert_eq!(estargz.toc.prefetch, Some(Prefetch::Nothing));
    let toc = read_toc(&Bytes::from(bytes("vector1")), &Limits::default()).unwrap();
    assert_eq!(sha256(&toc.json), estargz.toc.digest);
    assert_eq!(toc.toc_offset, estargz.toc_offset);
}

#[test]
fn toc_and_tar_have_the_same_files() {
    for name in ["vector1", "vector2", "odd-chunk-1000", "odd-prefetch"] {
        let by_toc = open_default(&layer(name)).unwrap();
        let options = OpenOptions {
            as_layer: true,
            ..OpenOptions::default()
        };
        let by_tar = open(&layer(name), &options).unwrap();
        assert!(by_tar.estargz().is_none());
        let mut expected = files(&by_tar);
        let names = ["landmark", "stargz.index.json"];
        expected.retain(|(path, _)| !names.iter().any(|name| path.ends_with(name)));
        assert!(!expected.is_empty());
        assert_eq!(files(&by_toc), expected, "{name}");
    }
}

#[test]
fn a_range_costs_the_members_that_hold_it() {
    let image = open_default(&layer("odd-chunk-1000")).unwrap();
    let (path, content) = (files(&image).into_iter())
        .max_by_key(|(_, content)| content.len())
        .unwrap();
    let image = open_default(&layer("odd-chunk-1000")).unwrap();
    let ino = image.resolve(path.as_bytes(), Follow::Never).unwrap();
    let mut range = Vec::new();
    image.read_range(ino, 1500..1600, &mut range).unwrap();
    assert_eq!(range, content[1500..1600]);
    let chunks = &image.estargz().unwrap().toc.image;
    let second = chunks
        .frames
        .iter()
        .map(|frame| u64::from(frame.stored_len));
    let stats = image.stats();
    assert_eq!(stats.requests, 1);
    assert!(second.into_iter().any(|len| len == stats.bytes));
}

#[test]
fn what_to_fetch_ahead_is_told() {
    let image = open_default(&layer("odd-prefetch")).unwrap();
    let Some(Prefetch::UpTo(end)) = image.estargz().unwrap().toc.prefetch else {
        panic!("there is a landmark");
    };
    assert!(0 < end && end < image.estargz().unwrap().toc_offset);
}

#[test]
fn another_toc_than_expected_is_refused() {
    let with = |name: &str, digest: &str| {
        let options = OpenOptions {
            metadata_digest: Some(digest.parse::<Digest>().unwrap()),
            ..OpenOptions::default()
        };
        open(&golden(name), &options)
    };
    with("estargz/vector1.esgz", VECTOR).unwrap();
    let error = with("estargz/vector2.esgz", VECTOR).unwrap_err();
    assert!(matches!(error, OpenError::Metadata(_)), "{error:?}");
    assert_eq!(error.fault(), Fault::Corrupt);
    let error = with("a4-v6-none-sha256/image.boot", VECTOR).unwrap_err();
    assert!(matches!(error, OpenError::Metadata(_)), "{error:?}");
    let bootstrap = std::fs::read(golden("a4-v6-none-sha256/image.boot")).unwrap();
    with(
        "a4-v6-none-sha256/image.boot",
        &sha256(&bootstrap).to_string(),
    )
    .unwrap();
    let error = with("estargz", VECTOR).unwrap_err();
    assert!(matches!(
        error,
        OpenError::NoMetadata {
            found: Format::Directory
        }
    ));
    assert_eq!(error.fault(), Fault::Misuse);
}

#[test]
fn damage_is_told() {
    let whole = bytes("vector1");
    let toc_offset = open_bytes(whole.clone())
        .unwrap()
        .estargz()
        .unwrap()
        .toc_offset as usize;
    let mut toc = whole.clone();
    toc[toc_offset + 20] ^= 1;
    let error = open_bytes(toc).unwrap_err();
    assert!(matches!(error, OpenError::Estargz(_)), "{error:?}");
    assert_eq!(error.fault(), Fault::Corrupt);

    let image = open_bytes(whole.clone()).unwrap();
    let frame = *image.estargz().unwrap().toc.image.frames.last().unwrap();
    let (path, _) = files(&image).pop().unwrap();
    let mut content = whole;
    content[frame.offset as usize + 12] ^= 4;
    let image = open_bytes(content).unwrap();
    let error = image.read(path.as_bytes(), 1 << 20).unwrap_err();
    assert_eq!(error.fault(), Fault::Corrupt);
    assert!(matches!(
        error,
        ReadError::Decode { .. } | ReadError::Extent { .. }
    ));
}
