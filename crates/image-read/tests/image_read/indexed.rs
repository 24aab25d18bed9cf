//! gzip layers that are read where they are.

use std::io::{Read, Write};
use std::sync::Arc;

use blob_io::{Counted, LocalFile, ReadAt};
use gzip_index::{BuildError, IndexOptions};
use image_model::{Blame, Fault, Limits};
use lazyoci_image_read::{
    Follow, Format, LayerImageError, LayerIndex, LayerIndexError, NoBlobs, OpenError, OpenImage,
    OpenOptions, ReadError, ReadOptions, gzip_index, open_source,
};
use tar_stream::Compression;
use verify::Profile;

use crate::support::tar;

/// Bytes of which no part repeats.
pub(crate) fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// A tar with files of any length, and text between.
pub(crate) fn tar_of_files() -> Vec<u8> {
    let mut tar = tar::Builder::new();
    tar.directory("d");
    tar.file("d/long", &noise(900_000, 1));
    tar.symlink("d/link", "long");
    tar.file("d/empty", b"");
    for n in 0..300 {
        tar.file(
            &format!("d/{n}"),
            format!("file {n}\n").repeat(n).as_bytes(),
        );
    }
    tar.file("last", &noise(70_000, 2));
    tar.finish()
}

pub(crate) fn gzip(plain: &[u8]) -> Vec<u8> {
    let codec = frame_codec::Compression::Gzip { level: 6 };
    let mut layer = Vec::new();
    let mut encoder = frame_codec::Encoder::new(codec).expect("gzip is built in");
    encoder.encode_frame(plain, &mut layer).expect("it fits");
    layer
}

fn index(layer: &[u8]) -> LayerIndex {
    let options = IndexOptions::default().max_stored_span(100_000);
    let built = LayerIndex::build(layer, &options, &Default::default(), &mut ());
    let bytes = built.expect("a layer").bytes().clone();
    LayerIndex::from_bytes(bytes, &Limits::default()).expect("an index")
}

pub(crate) type Source = Arc<Counted<LocalFile>>;

pub(crate) fn open(
    layer: impl AsRef<[u8]>,
    options: &OpenOptions,
) -> Result<(OpenImage, Source), OpenError> {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(layer.as_ref()).expect("it is written");
    let source = Arc::new(Counted::new(LocalFile::from(file)));
    let shared: Arc<dyn ReadAt> = source.clone();
    Ok((open_source(shared, None, NoBlobs, options)?, source))
}

pub(crate) fn digest(image: &OpenImage) -> String {
    image
        .tree_digest(Profile::Default, &mut ())
        .expect("it is sound")
        .to_string()
}

#[test]
fn an_indexed_layer_is_the_same_image() {
    let layer = gzip(&tar_of_files());
    let (plain, _) = open(&layer, &OpenOptions::default()).unwrap();
    for threads in [1, 3] {
        let read = ReadOptions::default().threads(threads.try_into().unwrap());
        let options = OpenOptions::default().index(index(&layer)).read(read);
        let (image, _) = open(&layer, &options).unwrap();
        assert_eq!(image.format(), Format::Tar(Compression::Gzip));
        assert_eq!(digest(&image), digest(&plain));
        let summary = image
            .verify(&Default::default(), &mut (), &mut |found| panic!("{found}"))
            .unwrap();
        assert!(summary.is_sound());
    }
}

#[test]
fn files_are_listed_without_the_layer() {
    let layer = gzip(&tar_of_files());
    let (image, source) = open(&layer, &OpenOptions::default().index(index(&layer))).unwrap();
    assert_eq!(source.stats().bytes, 0);
    let last = image.resolve("/d/link", Follow::All).unwrap();
    assert_eq!(image.image().attributes(last).unwrap().size, 900_000);
    assert_eq!((source.stats().requests, source.stats().bytes), (0, 0));
}

#[test]
fn a_range_costs_the_spans_that_hold_it() {
    let tar = tar_of_files();
    let layer = gzip(&tar);
    let index = index(&layer);
    let spans = index.gzip().unwrap().spans().to_vec();
    assert!(spans.len() > 8);
    let content = noise(900_000, 1);
    // The file begins after its directory and its own header.
    let start = 1_024;
    for span in &spans[1..8] {
        let (image, source) = open(&layer, &OpenOptions::default().index(index.clone())).unwrap();
        let file = image.resolve("/d/long", Follow::All).unwrap();
        let from = (span.decoded_offset - start) as usize;
        let mut out = Vec::new();
        image
            .read_range(file, from as u64..from as u64 + 4_096, &mut out)
            .unwrap();
        assert!(out == content[from..from + 4_096]);
        assert_eq!(source.stats().requests, 1);
        assert_eq!(source.stats().bytes, u64::from(span.stored_len));
        // What was decoded is there.
        let before = source.stats();
        image
            .read_range(file, from as u64 + 9_000..from as u64 + 9_001, &mut out)
            .unwrap();
        assert_eq!(source.stats(), before);
    }
}

#[test]
fn damage_is_found_by_the_digest_of_the_span() {
    let layer = gzip(&tar_of_files());
    let index = index(&layer);
    let span = index.gzip().unwrap().spans()[3];
    let mut damaged = layer;
    damaged[(span.stored_offset + 5_000) as usize] ^= 4;
    let (image, _) = open(damaged, &OpenOptions::default().index(index)).unwrap();
    let file = image.resolve("/d/long", Follow::All).unwrap();
    let from = span.decoded_offset - 1_024;
    let mut out = Vec::new();
    let error = image
        .read_range(file, from..from + 10, &mut out)
        .unwrap_err();
    assert!(matches!(error, ReadError::Frame { .. }), "{error:?}");
    assert_eq!(error.fault(), Fault::Corrupt);
    assert_eq!(out, b"");
    let mut found = 0;
    let summary = image
        .verify(&Default::default(), &mut (), &mut |_| found += 1)
        .unwrap();
    assert!(!summary.is_sound() && found > 0);
    // What is before is sound.
    image.read_range(file, 0..10, &mut out).unwrap();
    assert_eq!(out, noise(10, 1));
}

#[test]
fn an_index_of_something_else_is_refused() {
    let layer = gzip(&tar_of_files());
    let options = OpenOptions::default().index(index(&layer));
    let len = layer.len() as u64;
    let error = open([&layer[..], &[0]].concat(), &options).unwrap_err();
    let expected = (len, len + 1);
    assert!(
        matches!(error, OpenError::Layer(LayerImageError::OtherLayer { expected: e, found }) if (e, found) == expected),
        "{error}"
    );
    assert_eq!(error.fault(), Fault::Corrupt);
    let error = LayerIndex::from_bytes(layer.into(), &Limits::default()).unwrap_err();
    assert!(
        matches!(
            error,
            LayerIndexError::Decode(gzip_index::DecodeError::Magic)
        ),
        "{error}"
    );
}

#[test]
fn the_digest_of_an_index_can_be_trusted() {
    let layer = gzip(&tar_of_files());
    let index = index(&layer);
    let right = verify::sha256(index.bytes());
    let options = OpenOptions::default().index(index);
    assert!(open(&layer, &options.clone().metadata_digest(right)).is_ok());
    let wrong = options.metadata_digest(verify::sha256(b""));
    let error = open(&layer, &wrong).unwrap_err();
    assert!(matches!(error, OpenError::Metadata(_)), "{error}");
    let none = OpenOptions::default().metadata_digest(right);
    let error = open(layer, &none).unwrap_err();
    assert!(matches!(error, OpenError::NoMetadata { .. }), "{error}");
}

#[test]
fn what_is_built_has_the_digest_of_the_layer_if_asked() {
    let layer = gzip(&tar_of_files());
    let build = |options: &IndexOptions| {
        LayerIndex::build(&layer[..], options, &Default::default(), &mut ()).expect("a layer")
    };
    let digest = |index: &LayerIndex| index.gzip().expect("one of ours").stored_digest();
    let options = IndexOptions::default();
    let index = build(&options);
    assert_eq!(digest(&index), Some(verify::sha256(&layer)));
    assert_eq!(digest(&build(&options.stored_digest(false))), None);
    // What is written before the bytes are asked for, and after.
    let write = |index: &LayerIndex| {
        let mut written = Vec::new();
        index.write_to(&mut written).expect("memory");
        written
    };
    let written = write(&index);
    assert!(index.bytes() == &written[..]);
    assert!(write(&index) == written);
    let again = LayerIndex::from_bytes(written.into(), &Limits::default()).expect("an index");
    assert_eq!(again.gzip(), index.gzip());
}

#[test]
fn what_keeps_no_headers_lists_no_files() {
    let layer = gzip(&tar_of_files());
    let (bare, _) = gzip_index::IndexBuilder::new(&layer[..], &IndexOptions::default())
        .finish()
        .unwrap();
    let bare = LayerIndex::from_bytes(bare.encode().into(), &Limits::default()).unwrap();
    let error = open(layer, &OpenOptions::default().index(bare)).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Layer(LayerImageError::NotKept { offset: 0 })
        ),
        "{error}"
    );
}

#[test]
fn layers_that_are_damaged_are_not_indexed() {
    let build = |layer: &[u8]| {
        let built = LayerIndex::build(
            layer,
            &IndexOptions::default(),
            &Default::default(),
            &mut (),
        );
        built.unwrap_err()
    };
    let layer = gzip(&tar_of_files());
    let error = build(&layer[..layer.len() - 9]);
    assert!(
        matches!(error, LayerIndexError::Build(BuildError::Cut { .. })),
        "{error}"
    );
    // The end of the stream is read, too, which is after that of the tar.
    let error = build(&layer[..layer.len() - 1]);
    assert!(
        matches!(error, LayerIndexError::Build(BuildError::Cut { .. })),
        "{error}"
    );
    let error = build(&tar_of_files());
    assert!(
        matches!(
            error,
            LayerIndexError::Build(BuildError::NoMember { stored: 0 })
        ),
        "{error}"
    );
    let error = build(&gzip(&[7; 2_000]));
    assert!(matches!(error, LayerIndexError::Tar(_)), "{error}");
    assert_eq!(error.fault(), Fault::Corrupt);
}

#[test]
fn a_layer_without_end_blocks_is_read() {
    let mut tar = tar::Builder::new();
    tar.file("f", &noise(1_000, 3));
    let mut tar = tar.finish();
    tar.truncate(2_048);
    for cut in [2_048, 1_536] {
        // Blocks, and with nothing after the payload, not even padding.
        let layer = gzip(&tar[..cut]);
        let lenient = OpenOptions::default().lenient(true);
        let (plain, _) = open(&layer, &lenient).unwrap();
        let (image, _) = open(&layer, &lenient.index(index(&layer))).unwrap();
        assert_eq!(digest(&image), digest(&plain));
        assert_eq!(image.advisories(), plain.advisories());
    }
}

#[test]
fn spans_are_decoded_by_any_number_of_threads() {
    let tar = tar_of_files();
    let layer = gzip(&tar);
    let index = index(&layer);
    let source: Arc<dyn ReadAt> = Arc::new(bytes::Bytes::from(layer));
    for threads in [0, 1, 2, 7, 1_000] {
        let mut stream = index.stream(&source, threads).unwrap();
        let mut decoded = Vec::new();
        stream.read_to_end(&mut decoded).unwrap();
        assert!(decoded == tar, "{threads}");
        assert_eq!(stream.read(&mut [0; 9]).unwrap(), 0);
    }
    // Not all of it is read.
    let mut stream = index.stream(&source, 3).unwrap();
    stream.read_exact(&mut [0; 10]).unwrap();
}

#[test]
fn a_damaged_span_ends_the_stream() {
    let tar = tar_of_files();
    let mut layer = gzip(&tar);
    let index = index(&layer);
    let span = index.gzip().unwrap().spans()[3];
    layer[(span.stored_offset + 5_000) as usize] ^= 4;
    let bytes = bytes::Bytes::from(layer);
    let source: Arc<dyn ReadAt> = Arc::new(bytes.clone());
    let mut stream = index.stream(&source, 2).unwrap();
    let mut decoded = Vec::new();
    let error = stream.read_to_end(&mut decoded).unwrap_err();
    assert!(decoded == tar[..span.decoded_offset as usize]);
    let error = error.downcast::<tar_stream::LayerError>().unwrap();
    assert!(
        matches!(error, tar_stream::LayerError::Corrupt { stored, .. } if stored == span.stored_offset),
        "{error}"
    );
    let again = stream.read(&mut [0; 9]).unwrap_err();
    let again = again.downcast::<tar_stream::LayerError>().unwrap();
    assert!(matches!(again, tar_stream::LayerError::Failed), "{again}");
    let other: Arc<dyn ReadAt> = Arc::new(bytes.slice(1..));
    let error = index.stream(&other, 2).unwrap_err();
    assert!(
        matches!(error, LayerImageError::OtherLayer { .. }),
        "{error}"
    );
}

/// What `verify` finds of `layer` by `index`.
pub(crate) fn found(layer: &[u8], index: LayerIndex) -> Vec<String> {
    let (image, _) = open(layer, &OpenOptions::default().index(index)).expect("it opens");
    let mut found = Vec::new();
    let verified = image.verify(&Default::default(), &mut (), &mut |finding| {
        found.push(finding.to_string());
    });
    let summary = verified.expect("nobody cancels");
    assert_eq!(summary.is_sound(), found.is_empty());
    found
}

#[test]
fn an_index_that_lies_about_headers_is_found() {
    let layer = gzip(&tar_of_files());
    let sound = index(&layer);
    assert_eq!(found(&layer, sound), [""; 0]);
    // The index of a layer that differs in a mode, with the spans of this one.
    let mut tar = tar_of_files();
    let mut builder = gzip_index::IndexBuilder::new(&layer[..], &IndexOptions::default());
    std::io::copy(&mut builder, &mut std::io::sink()).expect("it is sound");
    // The mode of the directory, and the checksum of its header.
    assert_eq!(tar[100..107], *b"0000755");
    tar[106] = b'4';
    tar[153] -= 1;
    let mut reader = tar_stream::TarReader::new(&tar[..], Default::default());
    while let Some(entry) = reader.next_entry().expect("a tar") {
        let raw = entry.raw();
        builder
            .keep(entry.payload_offset - raw.len() as u64, raw)
            .expect("in order");
    }
    let start = reader.trailer().expect("the tar has ended").offset();
    let end = vec![0; tar.len() - start as usize];
    builder.keep(start, &end).expect("in order");
    let (index, _) = builder.finish().expect("it is sound");
    let index =
        LayerIndex::from_bytes(index.encode().into(), &Limits::default()).expect("an index");
    let lie = "corrupt: the layer is not what the index says: the header of the tar at byte 0 is another one";
    assert_eq!(found(&layer, index), [lie]);
}
