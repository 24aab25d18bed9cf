//! Layers that are read by zTOCs.

use std::io::Read;
use std::sync::Arc;

use blob_io::ReadAt;
use bytes::Bytes;
use image_model::{Blame, Fault, Limits};
use lazyoci_image_read::soci_ztoc::{
    CheckpointFault, FileFault, FileType, GzipZinfo, Zinfo, Ztoc, ZtocError,
};
use lazyoci_image_read::{
    Follow, Format, LayerImageError, LayerIndex, LayerIndexError, OpenError, OpenOptions,
    ReadError, ZtocOptions,
};
use tar_stream::Compression;

use crate::indexed::{digest, found, gzip, noise, open, tar_of_files};

pub(crate) fn build(layer: &[u8], span_size: u64) -> Result<LayerIndex, LayerIndexError> {
    let options = ZtocOptions::default().span_size(span_size);
    LayerIndex::build_ztoc(layer, &options, &Default::default(), &mut ())
}

fn index(layer: &[u8]) -> LayerIndex {
    let bytes = build(layer, 100_000).expect("a layer").bytes().clone();
    LayerIndex::from_bytes(bytes, &Limits::default()).expect("a zTOC")
}

/// The index that says what `change` makes of that of `layer`.
pub(crate) fn changed(
    layer: &[u8],
    change: impl FnOnce(&mut Ztoc),
) -> Result<LayerIndex, LayerIndexError> {
    let mut ztoc = index(layer).ztoc().expect("a zTOC").clone();
    change(&mut ztoc);
    let bytes = ztoc.encode().expect("it is short");
    LayerIndex::from_bytes(bytes.into(), &Limits::default())
}

/// One member, two of them with an empty one between, and the tar itself.
fn layers() -> [Vec<u8>; 3] {
    let tar = tar_of_files();
    let (a, b) = tar.split_at(450_000);
    [gzip(&tar), [gzip(a), gzip(b""), gzip(b)].concat(), tar]
}

/// See tests/goldens/soci/README.md.
#[test]
fn bytes_are_those_of_soci() {
    let layer = include_bytes!("../goldens/soci/odd.tar.gz");
    let golden = include_bytes!("../goldens/soci/odd.ztoc");
    let index = build(layer, 30_000).unwrap();
    let Zinfo::Gzip(zinfo) = &index.ztoc().unwrap().zinfo else {
        panic!("a gzip layer");
    };
    let points = zinfo
        .checkpoints()
        .map(|point| (point.stored_offset, point.decoded_offset, point.bits));
    assert_eq!(
        points.collect::<Vec<_>>(),
        [(18, 0, 0), (13399, 36000, 5), (17275, 71680, 4)]
    );
    assert!(index.bytes() == &golden[..]);
    let mut tar = Vec::new();
    let stream = tar_stream::LayerStream::open(&layer[..], &Default::default());
    stream.unwrap().read_to_end(&mut tar).unwrap();
    let golden = include_bytes!("../goldens/soci/odd-plain.ztoc");
    assert!(build(&tar, 30_000).unwrap().bytes() == &golden[..]);
}

/// The dump beside it is made by this test if `UPDATE_GOLDENS` is set.
#[test]
fn a_golden_is_dumped() {
    let golden = Bytes::from_static(include_bytes!("../goldens/soci/odd.ztoc"));
    let mut dump = String::new();
    Ztoc::dump(&golden, &Limits::default(), &mut dump).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/soci/odd.dump");
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(path, &dump).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap();
    assert!(dump == expected, "another dump than {path}");
}

#[test]
fn every_file_is_read_as_without_it() {
    for layer in layers() {
        let (plain, _) = open(&layer, &OpenOptions::default()).expect("a layer");
        let index = index(&layer);
        assert!(index.span_count() >= 9, "{}", index.span_count());
        let (image, source) = open(&layer, &OpenOptions::default().index(index.clone())).unwrap();
        assert_eq!(digest(&image), digest(&plain));
        assert_eq!(image.format(), plain.format());
        assert_eq!(found(&layer, index.clone()), [""; 0]);
        // One span for a short read.
        let (image, _) = open(&layer, &OpenOptions::default().index(index)).unwrap();
        let file = image.resolve("/d/long", Follow::All).unwrap();
        let mut content = Vec::new();
        image
            .read_range(file, 500_000..500_100, &mut content)
            .unwrap();
        assert_eq!(content, noise(900_000, 1)[500_000..500_100]);
        drop(source);
    }
}

#[test]
fn the_tar_comes_out_of_any_number_of_threads() {
    let tar = tar_of_files();
    for layer in layers() {
        let index = index(&layer);
        let source: Arc<dyn ReadAt> = Arc::new(Bytes::from(layer));
        for threads in [0, 1, 2, 3, 7] {
            let mut decoded = Vec::new();
            let mut stream = index.stream(&source, threads).unwrap();
            stream.read_to_end(&mut decoded).unwrap();
            assert_eq!(stream.read(&mut [0; 9]).unwrap(), 0);
            // Up to the blocks that end the tar, at least.
            assert!(decoded.len() as u64 >= index.decoded_len());
            assert!(decoded == tar[..decoded.len()]);
        }
    }
}

#[test]
fn files_are_listed_as_the_tar_says() {
    let [layer, ..] = layers();
    let index = index(&layer);
    let ztoc = index.ztoc().unwrap();
    assert_eq!(ztoc.files.len(), 305);
    let long = &ztoc.files[1];
    assert_eq!(
        (&long.name[..], long.kind),
        (&b"d/long"[..], FileType::Regular)
    );
    assert_eq!((long.offset, long.size), (1_024, 900_000));
    assert_eq!(&ztoc.files[2].link_target[..], b"long");
    assert_eq!(index.compression(), Compression::Gzip);
    assert_eq!(index.stored_len(), layer.len() as u64);
    assert!(index.gzip().is_none());
}

#[test]
fn flips_of_digests_and_windows_are_found() {
    let [layer, ..] = layers();
    let lies = changed(&layer, |ztoc| {
        let mut bytes = *ztoc.digests[3].as_bytes();
        bytes[9] ^= 1;
        ztoc.digests[3] = image_model::Digest::new(image_model::DigestAlgorithm::Sha256, bytes);
    })
    .unwrap();
    let span = lies.ztoc().unwrap().span(3).unwrap();
    let (image, _) = open(&layer, &OpenOptions::default().index(lies.clone())).unwrap();
    let file = image.resolve("/d/long", Follow::All).unwrap();
    let from = span.decoded.start - 1_024;
    let error = image
        .read_range(file, from..from + 10, &mut Vec::new())
        .unwrap_err();
    assert!(matches!(error, ReadError::Frame { .. }), "{error:?}");
    assert_eq!(error.fault(), Fault::Corrupt);
    let lie = "corrupt: the layer is not what the index says: span 3 has another digest";
    assert_eq!(found(&layer, lies).last().map(String::as_str), Some(lie));

    // The text after the long file refers to what is before it.
    let mut nth = 0;
    let lies = changed(&layer, |ztoc| {
        let Zinfo::Gzip(zinfo) = &ztoc.zinfo else {
            panic!("a gzip layer");
        };
        let mut points = zinfo.checkpoints().collect::<Vec<_>>();
        nth = points
            .iter()
            .position(|point| point.decoded_offset > 910_000)
            .unwrap();
        let flipped = points[nth].window.iter().map(|byte| byte ^ 1).collect();
        points[nth].window = flipped;
        ztoc.zinfo = Zinfo::Gzip(GzipZinfo::new(100_000, &points));
    })
    .unwrap();
    let lie =
        format!("corrupt: the layer is not what the index says: span {nth} has another digest");
    assert_eq!(found(&layer, lies), [lie]);
}

#[test]
fn lies_about_files_are_found() {
    let [layer, ..] = layers();
    let lies = changed(&layer, |ztoc| ztoc.files[3].mode ^= 0o111).unwrap();
    let lie =
        "corrupt: the layer is not what the index says: file 3 of the zTOC is not as the tar says";
    assert_eq!(found(&layer, lies), [lie]);
    let lies = changed(&layer, |ztoc| {
        ztoc.files.pop();
    })
    .unwrap();
    let lie = "corrupt: the layer is not what the index says: another number of files, or another end of the tar";
    assert_eq!(found(&layer, lies), [lie]);
    // Another spelling of a time is none.
    let same = changed(&layer, |ztoc| {
        ztoc.files[0].mod_time = Bytes::from_static(b"2020-09-13T13:26:40+01:00");
    });
    let same = same.unwrap();
    assert_eq!(
        same.ztoc().unwrap().files[1].mod_time,
        "2020-09-13T12:26:40Z"
    );
    assert_eq!(found(&layer, same), [""; 0]);
}

#[test]
fn damage_of_the_layer_is_found() {
    for layer in layers() {
        let index = index(&layer);
        let span = index.ztoc().unwrap().span(3).unwrap();
        let mut damaged = layer;
        damaged[(span.stored.start + 5_000) as usize] ^= 4;
        let (image, _) = open(&damaged, &OpenOptions::default().index(index)).unwrap();
        let file = image.resolve("/d/long", Follow::All).unwrap();
        let from = span.decoded.start - 1_024;
        let mut out = Vec::new();
        let error = image
            .read_range(file, from..from + 10, &mut out)
            .unwrap_err();
        assert!(matches!(error, ReadError::Frame { .. }), "{error:?}");
        image.read_range(file, 0..10, &mut out).unwrap();
        assert_eq!(out, noise(10, 1));
    }
}

#[test]
fn hostile_checkpoints_are_refused() {
    let [layer, ..] = layers();
    let lie = |change: fn(&mut Vec<(u64, u64, u8)>)| {
        let lies = changed(&layer, |ztoc| {
            let Zinfo::Gzip(zinfo) = &ztoc.zinfo else {
                panic!("a gzip layer");
            };
            let points = zinfo.checkpoints();
            let mut places = points
                .map(|point| (point.stored_offset, point.decoded_offset, point.bits))
                .collect();
            change(&mut places);
            let points = places.into_iter().map(|(stored, decoded, bits)| {
                lazyoci_image_read::soci_ztoc::Checkpoint::new(stored, decoded, bits)
            });
            ztoc.zinfo = Zinfo::Gzip(GzipZinfo::new(100_000, &points.collect::<Vec<_>>()));
        });
        match lies.unwrap_err() {
            LayerIndexError::Ztoc(ZtocError::Checkpoint { index, fault }) => (index, fault),
            error => panic!("{error}"),
        }
    };
    assert_eq!(
        lie(|at| at[2].2 = 8),
        (2, CheckpointFault::Bits { bits: 8 })
    );
    assert_eq!(lie(|at| at[0].0 = 9), (0, CheckpointFault::Outside));
    assert_eq!(lie(|at| at[0].2 = 1), (0, CheckpointFault::Outside));
    assert_eq!(lie(|at| at[0].1 = 1), (0, CheckpointFault::NotFirst));
    assert_eq!(lie(|at| at[4].0 = at[3].0), (4, CheckpointFault::Order));
    assert_eq!(lie(|at| at[4].1 = at[3].1), (4, CheckpointFault::Order));
    assert_eq!(
        lie(|at| at.last_mut().unwrap().0 = 1 << 62),
        (8, CheckpointFault::TooLong)
    );
}

#[test]
fn hostile_files_are_refused() {
    let [layer, ..] = layers();
    let lie = |change: fn(&mut Ztoc)| match changed(&layer, change).unwrap_err() {
        LayerIndexError::Ztoc(ZtocError::File { index, fault }) => (index, fault),
        error => panic!("{error}"),
    };
    assert_eq!(
        lie(|ztoc| ztoc.files[1].size += 2_048),
        (2, FileFault::Overlap)
    );
    assert_eq!(
        lie(|ztoc| ztoc.files[304].size = 1 << 40),
        (304, FileFault::Outside)
    );
    assert_eq!(
        lie(|ztoc| ztoc.files[304].size = u64::MAX),
        (304, FileFault::Outside)
    );
    let lies = changed(&layer, |ztoc| {
        ztoc.files[1].mod_time = Bytes::from_static(b"noon");
    });
    let error = open(&layer, &OpenOptions::default().index(lies.unwrap())).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Layer(LayerImageError::Time { offset: 1_024, .. })
        ),
        "{error}"
    );
}

#[test]
fn the_first_checkpoint_is_after_the_header() {
    let [layer, ..] = layers();
    let index = index(&layer);
    let mut other = layer;
    // A name, which is not where the header says that none is.
    other[3] = 8;
    let error = open(&other, &OpenOptions::default().index(index)).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Layer(LayerImageError::Entered { offset: 10 })
        ),
        "{error}"
    );
    assert_eq!(error.fault(), Fault::Corrupt);
}

#[test]
fn what_no_ztoc_can_be_of() {
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0];
    let error = build(&zstd, 1_000).unwrap_err();
    assert!(
        matches!(
            error,
            LayerIndexError::Compression {
                compression: Compression::Zstd
            }
        ),
        "{error}"
    );
    assert_eq!(error.fault(), Fault::Unsupported);
    let error = build(&[], 1_000).unwrap_err();
    assert!(matches!(error, LayerIndexError::Empty), "{error}");
    assert_eq!(error.fault(), Fault::Unsupported);
    let (image, _) = open(tar_of_files(), &OpenOptions::default()).unwrap();
    assert_eq!(image.format(), Format::Tar(Compression::None));
}
