//! How many requests opening costs: the bytes that tell what a file is are not read again.

use std::path::Path;
use std::sync::Arc;

use blob_io::{Counted, LocalFile, ReadAt, ReadStats};
#[cfg(feature = "gzip")]
use estargz_toc::footer::{self, FOOTER_LEN};
#[cfg(feature = "gzip")]
use estargz_toc::open::TAIL_LEN;
use lazyoci_image_read::{DETECT_LEN, Format, NoBlobs, OpenImage, OpenOptions, open_source};
use rafs_format::blob::{Section, TarHeader};

#[cfg(feature = "gzip")]
use crate::estargz::{entry, layer_of, member, noise};
use crate::open::{blob_of, golden};

/// Opens a file of `bytes`, as what it is said to be, and tells what was read.
fn open(bytes: &[u8], said: Option<Format>) -> (OpenImage, ReadStats) {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, bytes).unwrap();
    let source = Arc::new(Counted::new(LocalFile::from(file)));
    let mut options = OpenOptions::default();
    options.format = said;
    let shared: Arc<dyn ReadAt> = source.clone();
    let image = open_source(shared, None, NoBlobs, &options).unwrap();
    assert_eq!(image.metadata_stats(), source.stats());
    (image, source.stats())
}

fn stats(requests: u64, bytes: usize) -> ReadStats {
    let mut stats = ReadStats::default();
    stats.requests = requests;
    stats.bytes = bytes as u64;
    stats
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

/// A layer whose TOC takes `len` bytes, compressed: empty gzip members follow it.
#[cfg(feature = "gzip")]
fn layer_with_toc_of(len: usize) -> Vec<u8> {
    const EMPTY: usize = 22;
    let content = noise(100_000);
    let stored = member(&content);
    let toc_offset = stored.len();
    let mut layer = layer_of(&[stored], &entry("a", &content, 0));
    layer.truncate(layer.len() - FOOTER_LEN);
    while let Some(missing @ 1..) = (toc_offset + len).checked_sub(layer.len()) {
        let extra = if missing < 50_000 { missing } else { 40_000 } - EMPTY;
        layer.extend([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff]);
        layer.extend((extra as u16).to_le_bytes());
        layer.extend(vec![b'x'; extra]);
        layer.extend([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    layer.extend(footer::encode(toc_offset as u64));
    layer
}

#[cfg(feature = "gzip")]
#[test]
fn estargz() {
    let tail = TAIL_LEN as usize;
    let said = Some(Format::Estargz);
    for (toc_len, more) in [(1_000, 0), (65_557, 0), (65_558, 1), (150_000, 84_443)] {
        let layer = layer_with_toc_of(toc_len);
        let further = u64::from(more > 0);
        let (image, read) = open(&layer, None);
        assert_eq!(
            read,
            stats(2 + further, DETECT_LEN + tail + more),
            "{toc_len}"
        );
        assert_eq!(image.read(b"a", 1 << 20).unwrap(), noise(100_000));
        let (image, read) = open(&layer, said);
        assert_eq!(read, stats(1 + further, tail + more), "{toc_len}");
        assert_eq!(image.format(), Format::Estargz);
    }
    // A short one is read once, whole.
    let layer = crate::estargz::bytes("vector1");
    assert_eq!(open(&layer, None).1, stats(1, layer.len()));
    assert_eq!(open(&layer, said).1, stats(1, layer.len()));
}

#[test]
fn a_bootstrap() {
    let boot = read(&golden("a4-v6-none-sha256").join("image.boot"));
    assert_eq!(open(&boot, None).1, stats(2, boot.len()));
    assert_eq!(open(&boot, Some(Format::RafsV6)).1, stats(1, boot.len()));
}

#[test]
fn a_blob_with_a_bootstrap() {
    let small = read(&blob_of("a4-v6-none-sha256-inline"));
    let said = Some(Format::RafsBlob);
    // All of it is among the bytes that tell what it is.
    assert_eq!(open(&small, None).1, stats(2, small.len()));
    let (image, read) = open(&small, said);
    assert_eq!(read, stats(1, small.len()));

    // A longer bootstrap, behind more data.
    let mut boot = image.bootstrap().unwrap().bytes().to_vec();
    boot.resize(100 * 4096, 0);
    let header = TarHeader::new(Section::Bootstrap, boot.len() as u64).to_bytes();
    let blob = [&[1; 200_000][..], &boot, &header].concat();
    let (_, read) = open(&blob, None);
    assert_eq!(read, stats(3, DETECT_LEN + boot.len() + header.len()));
    assert_eq!(open(&blob, said).1, stats(2, boot.len() + header.len()));
}

#[cfg(feature = "zstd")]
#[test]
fn a_blob_with_a_bootstrap_and_a_toc() {
    let blob = read(&blob_of("a4-v6-zstd-sha256-inline-toc"));
    let (image, read) = open(&blob, None);
    assert_eq!(read, stats(2, blob.len()));
    assert!(image.rafs().unwrap().toc().is_some());
}
