//! Flipped bits of layers with a TOC whose files have several chunks, or share members: what is not found changes nothing.

use std::io::Read as _;
use std::sync::Arc;

use blob_io::{MemoryOutput, ObjectRole, WriterOutput};
use bytes::Bytes;
use estargz_toc::toc::{Toc, TocEntry};
use image_model::{Digest, Limits};
use image_read::{
    NoBlobs, OpenOptions, VerifyOptions, VerifySourceOptions, open_source, verify_source,
};
use lazyoci_image_convert::{
    EstargzOptions, Streaming, ZstdChunkedDialect, ZstdChunkedOptions, to_estargz, to_zstd_chunked,
};
use tar_stream::LayerStream;

use crate::support::Tar;

/// A file of three chunks, and two that fit one member.
fn tar() -> Vec<u8> {
    let long = b"0123456789abcdef".repeat(160);
    let tar = Tar::new().file("long", &long[..2500]);
    tar.file("a", b"one").file("b", b"two").finish()
}

/// A layer, and what else is known of it.
struct Layer {
    bytes: Vec<u8>,
    open: OpenOptions,
    diff_id: Digest,
}

fn estargz(options: &EstargzOptions) -> Layer {
    let mut memory = MemoryOutput::default();
    let options = options.clone().chunk_size(1000).threads(1);
    let tar = tar();
    let report = to_estargz(Streaming::new(&tar[..]), &mut memory, &options, &mut ()).unwrap();
    let bytes = |role| memory.object(role).map(|object| object.bytes.to_vec());
    let mut open = OpenOptions::default().metadata_digest(report.toc_digest);
    open.external_toc = bytes(ObjectRole::Toc).map(Bytes::from);
    Layer {
        bytes: bytes(ObjectRole::Layer).unwrap(),
        open,
        diff_id: report.diff_id,
    }
}

fn dialect_a(options: &ZstdChunkedOptions) -> Layer {
    let options = options
        .clone()
        .dialect(ZstdChunkedDialect::Stargz)
        .chunk_size(1000)
        .threads(1);
    let mut bytes = Vec::new();
    let tar = tar();
    let mut output = WriterOutput::new(&mut bytes);
    let report = to_zstd_chunked(Streaming::new(&tar[..]), &mut output, &options, &mut ()).unwrap();
    Layer {
        bytes,
        open: OpenOptions::default().metadata_digest(report.toc_digest.unwrap()),
        diff_id: report.diff_id,
    }
}

impl Layer {
    fn findings(&self, bytes: &[u8]) -> u64 {
        let options = VerifySourceOptions::default()
            .open(self.open.clone())
            .verify(VerifyOptions::default().threads(1).diff_id(self.diff_id));
        let source = Arc::new(Bytes::copy_from_slice(bytes));
        let summary = verify_source(source, NoBlobs, &options, &mut (), &mut |_| {});
        summary.unwrap().findings
    }

    /// The number of entries of `long` in its TOC, and how many entries of all begin inside of a member.
    fn chunks(&self) -> (usize, usize) {
        let source = Arc::new(Bytes::copy_from_slice(&self.bytes));
        let image = open_source(source, None, NoBlobs, &self.open).unwrap();
        let json = image.read_toc().unwrap().unwrap().json;
        let toc = Toc::from_json(&json, &Limits::default()).unwrap();
        let count = |holds: &dyn Fn(&TocEntry<'_>) -> bool| {
            toc.entries.iter().filter(|entry| holds(entry)).count()
        };
        (
            count(&|entry| entry.name == "long"),
            count(&|entry| entry.inner_offset > 0),
        )
    }

    /// Flips one bit of every byte, with `LAZYOCI_EVERY_BIT` every third bit. The layer has to be sound.
    fn flip(&self, name: &str) {
        assert_eq!(self.findings(&self.bytes), 0, "{name}");
        let every = std::env::var_os("LAZYOCI_EVERY_BIT").is_some();
        let (mut unfound, mut all) = (0, 0);
        let mut flipped = self.bytes.clone();
        for bit in 0..8 * flipped.len() {
            let looked_at = match every {
                true => bit % 3 == 0,
                false => bit % 8 == bit / 8 % 8,
            };
            if !looked_at {
                continue;
            }
            all += 1;
            flipped[bit / 8] ^= 1 << (bit % 8);
            if self.findings(&flipped) == 0 {
                unfound += 1;
                let same = inside(&flipped) == inside(&self.bytes);
                assert!(same, "{name}: bit {bit}");
            }
            flipped[bit / 8] ^= 1 << (bit % 8);
        }
        println!("{name}: {unfound} of {all} flips are not found, which change nothing");
        assert!(unfound < all / 4, "{name}");
    }
}

/// The tar, from front to end.
fn inside(layer: &[u8]) -> Option<Vec<u8>> {
    let mut tar = Vec::new();
    let mut stream = LayerStream::open(layer, &Default::default()).ok()?;
    stream.read_to_end(&mut tar).ok()?;
    Some(tar)
}

#[test]
fn members_of_estargz() {
    let layer = estargz(&EstargzOptions::default());
    assert_eq!(layer.chunks(), (3, 0));
    layer.flip("inline");
    let layer = estargz(&EstargzOptions::default().min_chunk_size(1500));
    assert_eq!(layer.chunks(), (3, 3));
    layer.flip("inline, shared members");
}

#[test]
fn members_of_a_layer_whose_toc_is_another_blob() {
    let options = EstargzOptions::default().external_toc(true);
    let layer = estargz(&options);
    assert_eq!(layer.chunks(), (3, 0));
    layer.flip("external");
    let layer = estargz(&options.min_chunk_size(1500));
    assert_eq!(layer.chunks(), (3, 3));
    layer.flip("external, shared members");
}

#[test]
fn frames_of_stargz_snapshotters_zstd() {
    let layer = dialect_a(&ZstdChunkedOptions::default());
    assert_eq!(layer.chunks(), (3, 0));
    layer.flip("dialect a");
    let layer = dialect_a(&ZstdChunkedOptions::default().min_chunk_size(1500));
    assert_eq!(layer.chunks(), (3, 3));
    layer.flip("dialect a, shared frames");
}
