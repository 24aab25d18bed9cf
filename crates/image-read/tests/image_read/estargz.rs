//! eStargz by its TOC: goldens of the reference implementation.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use estargz_toc::footer;
use estargz_toc::image::Prefetch;
use estargz_toc::write::toc_member;
use frame_codec::{CodecError, Compression, Encoder};
use image_model::walk::Walk;
use image_model::{Blame, Codec, DigestAlgorithm, Fault, FileKind, Limits};
use lazyoci_image_read::{
    BlobStore, Follow, Format, FrameError, NoBlobs, OpenError, OpenImage, OpenOptions, ReadError,
    ReadOptions, Reader, open, open_source, read_toc,
};
use verify::CheckError;

use crate::damage::cause;
use crate::open::{golden, open_default};
use crate::support::sha256;

pub(crate) const VECTOR: &str =
    "sha256:d73551bfdda94f1746db96e41b8382877c9a870d6ef8dc7f86d0bd519b9e32a9";

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
        let options = OpenOptions::default().as_layer(true);
        let by_tar = open(layer(name), &options).unwrap();
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
        let digest = digest.parse().unwrap();
        let options = OpenOptions::default().metadata_digest(digest);
        open(golden(name), &options)
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
fn the_toc_tells_its_digest() {
    let image = open_default(&layer("vector1")).unwrap();
    let digest_of = |algorithm| image.metadata_digest(algorithm).unwrap().unwrap();
    assert_eq!(digest_of(DigestAlgorithm::Sha256).to_string(), VECTOR);
    #[cfg(feature = "blake3")]
    {
        let toc = read_toc(image.source().unwrap(), &Limits::default()).unwrap();
        let expected = verify::digest(DigestAlgorithm::Blake3, &toc.json).unwrap();
        assert_eq!(digest_of(DigestAlgorithm::Blake3), expected);
    }
    // The layer that it is too has none.
    let options = OpenOptions::default().as_layer(true);
    let as_layer = open(layer("vector1"), &options).unwrap();
    let none = as_layer.metadata_digest(DigestAlgorithm::Sha256);
    assert_eq!(none.unwrap(), None);
}

/// A TOC that is no JSON is not even looked at if it is another one than expected.
#[test]
fn the_digest_is_checked_before_anything_is_decoded() {
    let layer = layer_of(&[member(b"hello")], "no entries");
    let options = |digest: &str| OpenOptions::default().metadata_digest(digest.parse().unwrap());
    let open_with = |options: &OpenOptions| {
        let source = Arc::new(Bytes::from(layer.clone()));
        open_source(source, None, NoBlobs, options).unwrap_err()
    };
    let error = open_with(&OpenOptions::default());
    assert!(matches!(error, OpenError::Toc(_)), "{error:?}");
    let error = open_with(&options(VECTOR));
    assert!(matches!(error, OpenError::Metadata(_)), "{error:?}");

    let boot = golden("a4-v6-none-sha256/image.boot");
    let mut bytes = std::fs::read(boot).unwrap();
    bytes[1152] ^= 1;
    let source = Arc::new(Bytes::from(bytes));
    let error = open_source(source, None, NoBlobs, &options(VECTOR)).unwrap_err();
    assert!(matches!(error, OpenError::Metadata(_)), "{error:?}");
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
        ReadError::Frame { .. } | ReadError::Chunk { .. }
    ));
}

/// A layer of these members, with a TOC of `entries`.
pub(crate) fn layer_of(members: &[Vec<u8>], entries: &str) -> Vec<u8> {
    let mut layer = members.concat();
    let toc_offset = layer.len() as u64;
    let json = format!(r#"{{"version": 1, "entries": [{entries}]}}"#);
    layer.extend(member(&toc_member(json.as_bytes()).unwrap()));
    layer.extend(footer::encode(toc_offset));
    layer
}

pub(crate) fn member(plain: &[u8]) -> Vec<u8> {
    let mut stored = Vec::new();
    let mut encoder = Encoder::new(Compression::Gzip { level: 1 }).unwrap();
    encoder.encode_frame(plain, &mut stored).unwrap();
    stored
}

pub(crate) fn entry(name: &str, content: &[u8], offset: usize) -> String {
    let (size, digest) = (content.len(), sha256(content));
    format!(
        r#"{{"name": "{name}", "type": "reg", "size": {size}, "offset": {offset}, "digest": "{digest}"}}"#
    )
}

/// Bytes that do not compress.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u64;
    let next = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u8
    });
    next.take(len).collect()
}

fn open_limited(layer: Vec<u8>, max_frame_len: u32) -> OpenImage {
    let options = OpenOptions::default().limits(Limits::default().max_frame_len(max_frame_len));
    open_source(Arc::new(Bytes::from(layer)), None, NoBlobs, &options).unwrap()
}

#[test]
fn members_of_headers_are_not_fetched_with_a_file() {
    // As behind a short file with many hard links: more than any frame may have.
    let mut members = vec![member(b"hello")];
    members.extend(vec![member(&noise(50_000)); 20]);
    let end = members.concat().len();
    let last = member(b"world");
    let last_len = last.len() as u64;
    members.push(last);
    let entries = [entry("a", b"hello", 0), entry("b", b"world", end)].join(",");
    let image = open_limited(layer_of(&members, &entries), 100_000);
    assert_eq!(image.read(b"a", 10).unwrap(), b"hello");
    let stats = image.stats();
    assert_eq!((stats.requests, stats.bytes), (1, 65_541));
    assert_eq!(image.read(b"b", 10).unwrap(), b"world");
    let stats = image.stats();
    assert_eq!((stats.requests, stats.bytes), (2, 65_541 + last_len));
}

#[test]
fn a_chunk_of_the_longest_length_may_not_compress() {
    let content = noise(100_000);
    let members = [member(&content)];
    let stored = members[0].len() as u64;
    assert!(stored > 100_000);
    let layer = layer_of(&members, &entry("a", &content, 0));
    let image = open_limited(layer.clone(), 100_000);
    assert_eq!(image.read(b"a", 100_000).unwrap(), content);
    assert_eq!(image.stats().bytes, stored);

    let long = image.estargz().unwrap().toc.image.frames[0];
    let ino = image.resolve(b"a", Follow::Never).unwrap();
    let read = |max_frame_len| {
        let options = ReadOptions::new(&Limits::default().max_frame_len(max_frame_len));
        let blobs = BlobStore::single(Arc::new(Bytes::from(layer.clone())));
        let reader = Reader::new(Arc::clone(image.reader().image()), blobs, options);
        reader.read_range(ino, 0..1, &mut Vec::new())
    };
    assert_eq!(read(100_000).unwrap(), 1);
    match cause(&read(99_999).unwrap_err()) {
        FrameError::TooLong { frame, limit } => assert_eq!((*frame, *limit), (long, 99_999)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_member_that_holds_less_than_declared() {
    // Nothing follows in the frame.
    let members = [member(b"hello")];
    let stored_len = members[0].len() as u64;
    let image = open_bytes(layer_of(&members, &entry("a", b"hello world", 0))).unwrap();
    let whole = image.estargz().unwrap().toc.image.frames[0];
    assert_eq!(u64::from(whole.stored_len), stored_len);
    match cause(&image.read(b"a", 100).unwrap_err()) {
        FrameError::Decode { frame, source } => {
            let codec = Codec::Gzip;
            let truncated = CodecError::Truncated { codec, stored_len };
            assert_eq!((*frame, source), (whole, &truncated));
        }
        other => panic!("{other:?}"),
    }
    // The bytes of the next member do not make up for it.
    let members = [member(b"hello"), member(b" there")];
    let image = open_bytes(layer_of(&members, &entry("a", b"hello world", 0))).unwrap();
    match image.read(b"a", 100).unwrap_err() {
        ReadError::Chunk {
            file_offset: 0,
            source: CheckError::Digest { expected, found },
            ..
        } => {
            assert_eq!(expected, sha256(b"hello world"));
            assert_eq!(found, sha256(b"hello there"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_toc_beyond_its_limit_is_not_opened() {
    let source = Bytes::from(bytes("vector1"));
    let limits = |max_toc_len| Limits::default().max_toc_len(max_toc_len);
    read_toc(&source, &limits(1063)).unwrap();
    match read_toc(&source, &limits(1062)).unwrap_err() {
        OpenError::Estargz(estargz_toc::open::OpenError::TooLong { len, limit }) => {
            assert_eq!((len, limit), (1063, 1062));
        }
        other => panic!("{other:?}"),
    }
}
