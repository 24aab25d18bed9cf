//! What the reference implementations get wrong when they make layers with a TOC: not here.

use std::io::{self, Read};

use blob_io::MemoryOutput;
use estargz_toc::toc::{EntryType, Toc};
use frame_codec::{Compression, Encoder};
use image_model::{Blame, Fault, Limits};
use image_read::{NoBlobs, OpenImage, OpenOptions, open_source, read_toc};
use lazyoci_image_convert::{
    ConvertError, EstargzOptions, Streaming, ZstdChunkedDialect, ZstdChunkedOptions, to_estargz,
    to_zstd_chunked,
};

use crate::peer_cases::{header, raw};
use crate::support::{Tar, noise};

/// Writes a layer of each kind, which has to fail; nothing is left of it.
fn each_kind_fails<R: Read + Send>(source: impl Fn() -> R, fault: Fault) {
    let check = |kind: &str, made: Result<(), ConvertError>, memory: &MemoryOutput| {
        let error = made.unwrap_err();
        assert_eq!(error.fault(), fault, "{kind}: {error:?}");
        assert_eq!(memory.objects().len(), 0, "{kind}");
    };
    let estargz = EstargzOptions::default().threads(2);
    for (kind, options) in [
        ("inline", estargz.clone()),
        ("external", estargz.clone().external_toc(true)),
        ("kept", estargz.external_toc(true).lossless(true)),
    ] {
        let mut memory = MemoryOutput::default();
        let made = to_estargz(Streaming::new(source()), &mut memory, &options, &mut ());
        check(kind, made.map(drop), &memory);
    }
    let chunked = ZstdChunkedOptions::default().threads(2);
    let stargz = chunked.clone().dialect(ZstdChunkedDialect::Stargz);
    for (kind, options) in [
        ("b", chunked),
        ("a", stargz.clone()),
        ("a kept", stargz.lossless(true)),
    ] {
        let mut memory = MemoryOutput::default();
        let made = to_zstd_chunked(Streaming::new(source()), &mut memory, &options, &mut ());
        check(kind, made.map(drop), &memory);
    }
}

/// Bytes, then an error.
struct Failing<'b>(&'b [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buf) {
            Ok(0) => Err(io::Error::other("broken")),
            read => read,
        }
    }
}

/// Containers/storage takes what it has read by then for all of the layer, and writes no TOC.
#[test]
fn a_source_that_fails_makes_no_layer() {
    let tar = Tar::new()
        .file("first", &noise(1, 300_000))
        .file("second", &noise(2, 300_000))
        .finish();
    // In a header, in content, and in the end.
    for len in [100, 400_000, tar.len() - 600] {
        each_kind_fails(|| Failing(&tar[..len]), Fault::Io);
    }
    each_kind_fails(|| &tar[..400_000], Fault::Corrupt);
}

fn opened(layer: &[u8]) -> OpenImage {
    let source = std::sync::Arc::new(bytes::Bytes::copy_from_slice(layer));
    open_source(source, None, NoBlobs, &OpenOptions::default()).unwrap()
}

fn estargz(source: &[u8]) -> (Vec<u8>, String) {
    let mut layer = Vec::new();
    let mut output = blob_io::WriterOutput::new(&mut layer);
    let options = EstargzOptions::default();
    let made = to_estargz(Streaming::new(source), &mut output, &options, &mut ()).unwrap();
    (layer, made.blob.descriptor().unwrap().media_type)
}

/// Its converter says of gzip that it is zstd if that is what the source was.
#[test]
fn a_layer_of_gzip_is_said_to_be_gzip() {
    let tar = raw("", "a");
    let mut zstd = Vec::new();
    let mut encoder = Encoder::new(Compression::Zstd { level: 3 }).unwrap();
    encoder.encode_frame(&tar, &mut zstd).unwrap();
    for source in [tar, zstd] {
        let (_, media_type) = estargz(&source);
        assert_eq!(media_type, "application/vnd.oci.image.layer.v1.tar+gzip");
    }
}

/// It lets the link lead to the second file.
#[test]
fn a_link_keeps_the_content_of_its_target() {
    let (layer, _) = estargz(&raw("", "a:first b=a a:second"));
    let image = opened(&layer);
    assert_eq!(image.read("b", 10).unwrap(), b"first");
    assert_eq!(image.read("a", 10).unwrap(), b"second");
}

/// It fails on them ("write too long"), or copies them into a TOC that no partial pull accepts.
#[test]
fn sizes_of_what_has_no_content_are_left_out() {
    let mut tar = raw("", "a:content")[..1024].to_vec();
    for (name, kind, size, link) in [
        ("h", b'1', 7, "a"),
        ("s", b'2', 1, "a"),
        ("d/", b'5', 4096, ""),
        ("p", b'6', 9, ""),
    ] {
        tar.extend(header(name, kind, size, link));
    }
    tar.extend([0; 1024]);
    let (layer, _) = estargz(&tar);
    let opened = read_toc(&bytes::Bytes::from(layer), &Limits::default()).unwrap();
    let toc = Toc::from_json(&opened.json, &Limits::default()).unwrap();
    let sizes = toc.entries.iter().map(|entry| (&*entry.name, entry.size));
    let sizes: Vec<_> = sizes.filter(|(_, size)| *size > 0).collect();
    assert_eq!(sizes, [(".no.prefetch.landmark", 1), ("a", 7)]);
    let links = toc.entries.iter();
    let links = links.filter(|entry| entry.kind == EntryType::Hardlink);
    assert_eq!(links.count(), 1);
}
