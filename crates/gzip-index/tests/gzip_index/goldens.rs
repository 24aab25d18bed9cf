//! An index as it is stored: see tests/goldens/README.md.

use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use image_model::Limits;
use lazyoci_gzip_index::{GzipIndex, IndexBuilder};

use crate::support::{read_backwards, small};

fn path(name: &str) -> PathBuf {
    let goldens = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens");
    PathBuf::from(goldens).join(name)
}

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap()
}

/// The dump beside it is made by this test if `UPDATE_GOLDENS` is set.
#[test]
fn a_golden_is_read_dumped_and_written_as_it_was() {
    let bytes = golden("odd.index");
    let index = GzipIndex::decode(&bytes, &Limits::default()).unwrap();
    let mut dump = String::new();
    index.dump(&mut dump).unwrap();
    let path = path("odd.dump");
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&path, &dump).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert!(dump == expected, "another dump than {}", path.display());
    assert!(index.encode() == bytes);
    let layer = golden("odd.tar.gz");
    let tar = read_backwards(&index, &layer);
    let mut kept = index.kept();
    for range in index.kept_ranges() {
        kept.seek(SeekFrom::Start(range.start)).unwrap();
        let mut bytes = vec![0; (range.end - range.start) as usize];
        kept.read_exact(&mut bytes).unwrap();
        assert!(bytes == tar[range.start as usize..range.end as usize]);
    }
}

/// What the golden keeps is known to whoever reads tars; all else is found again.
#[test]
fn the_bytes_are_those_of_the_golden() {
    let golden_index = golden("odd.index");
    let expected = GzipIndex::decode(&golden_index, &Limits::default()).unwrap();
    let layer = golden("odd.tar.gz");
    let mut builder = IndexBuilder::new(&layer[..], &small(4096));
    let mut tar = Vec::new();
    builder.read_to_end(&mut tar).unwrap();
    for range in expected.kept_ranges() {
        let kept = &tar[range.start as usize..range.end as usize];
        builder.keep(range.start, kept).unwrap();
    }
    let (built, _) = builder.finish().unwrap();
    assert_eq!(built, expected);
    assert!(built.encode() == golden_index);
    let dumped = |index: &GzipIndex| {
        let mut dump = String::new();
        index.dump(&mut dump).unwrap();
        dump
    };
    assert_eq!(dumped(&built), dumped(&expected));
}
