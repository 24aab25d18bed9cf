//! Layers to zstd:chunked of both dialects and to eStargz with an external TOC, and read again.

use std::io::Read as _;
use std::sync::Arc;

use lazyoci::blob_io::MemoryOutput;
use lazyoci::blob_io::ObjectRole;
use lazyoci::blob_io::bytes::Bytes;
use lazyoci::convert::{
    ConvertError, EstargzOptions, Source, Streaming, ZstdChunkedDialect, ZstdChunkedOptions,
    to_estargz, to_zstd_chunked,
};
use lazyoci::frame_codec::Compression;
use lazyoci::model::{Digest, Limits};
use lazyoci::read::{LayerImage, LayerImageOptions, NoBlobs, OpenOptions, open_source};
use lazyoci::tar_stream::LayerStream;
use lazyoci::verify::{self, Profile, TreeDigest, TreeDigestOptions};

use super::converted::check_refusal;
use super::input::Input;
use super::memory::Memory;
use super::reading::reader;
use super::tar::repair_checksums;

/// Takes choices and the bytes of a layer, with the checksums of tar headers made right, and writes it in each way
/// that has a TOC. Where the tar is kept it is the same; and each layer read by its TOC is the tree of the source.
pub fn convert_chunked(data: &[u8]) {
    let input = &mut Input::new(data);
    let choices = input.byte();
    let mut layer = input.rest().to_vec();
    repair_checksums(&mut layer);
    let limits = Limits::small();
    let options = LayerImageOptions::default().limits(limits.clone());
    let opened = LayerImage::open(Arc::new(Memory(layer.clone())), &options);
    let expected = opened.ok().and_then(|LayerImage { image, source, .. }| {
        let image: Arc<dyn lazyoci::model::Image + Send + Sync> = Arc::new(image);
        let mut reader = reader(&image, source);
        let options = TreeDigestOptions::default()
            .profile(Profile::Layer)
            .limits(Limits::small());
        verify::tree_digest(&*image, &mut reader, options, &mut ()).ok()
    });
    let streaming = || Source::from(Streaming::new(&layer[..]).limits(limits.clone()));
    let min_chunk_size = u32::from(choices >> 4) * 600;
    let kept = choices & 1 != 0;
    for dialect in [ZstdChunkedDialect::Stargz, ZstdChunkedDialect::Containers] {
        let options = ZstdChunkedOptions::default()
            .dialect(dialect)
            .compression(Compression::Zstd { level: 1 })
            .chunk_size(4096)
            .min_chunk_size(if kept { 0 } else { min_chunk_size })
            .lossless(kept)
            .threads(1 + usize::from(choices & 2 != 0));
        let mut output = MemoryOutput::default();
        let written = to_zstd_chunked(streaming(), &mut output, &options, &mut ());
        let keeps = kept || dialect == ZstdChunkedDialect::Containers;
        let written = written.map(|report| (report.diff_id, None));
        check(written, &output, (&layer, keeps), expected);
    }
    let options = EstargzOptions::default()
        .compression(Compression::Gzip { level: 1 })
        .chunk_size(4096)
        .min_chunk_size(if kept { 0 } else { min_chunk_size })
        .external_toc(true)
        .lossless(kept)
        .threads(1);
    let mut output = MemoryOutput::default();
    let written = to_estargz(streaming(), &mut output, &options, &mut ());
    let toc = output.object(ObjectRole::Toc).map(|toc| toc.bytes.clone());
    let written = written.map(|report| (report.diff_id, toc));
    check(written, &output, (&layer, kept), expected);
}

/// Reads what was written: a layer of this DiffID, with its TOC if that is apart.
fn check(
    written: Result<(Digest, Option<Bytes>), ConvertError>,
    output: &MemoryOutput,
    (layer, keeps): (&[u8], bool),
    expected: Option<TreeDigest>,
) {
    let (diff_id, toc) = match (written, expected) {
        (Ok(written), _) => written,
        (Err(error), Some(_)) => return check_refusal(&error),
        (Err(_), None) => return,
    };
    let blob = output
        .object(ObjectRole::Layer)
        .expect("it was written")
        .bytes
        .clone();
    let tar = tar_of(&blob);
    assert_eq!(verify::sha256(&tar), diff_id);
    if keeps {
        assert!(tar == tar_of(layer), "it is another tar");
    }
    let Some(expected) = expected else { return };
    let options = match toc {
        Some(toc) => OpenOptions::default().external_toc(toc),
        None => OpenOptions::default(),
    };
    let image = open_source(Arc::new(blob), None, NoBlobs, &options).expect("it was written by us");
    let digest = image.tree_digest(Profile::Layer, &mut ());
    assert_eq!(digest.expect("it was written by us"), expected);
}

fn tar_of(layer: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    let mut stream = LayerStream::open(layer, &Default::default()).expect("it could be read");
    stream.read_to_end(&mut tar).expect("it could be read");
    tar
}
