//! Frames that are copied from one format to another.

use std::sync::Arc;

use blob_io::{MemoryOutput, ObjectRole, ReadAt, ReadError, WriterOutput};
use bytes::Bytes;
use frame_codec::Compression;
use image_model::Limits;
use image_read::{Finding, NoBlobs, OpenImage, OpenOptions, VerifyOptions, open_source};
use lazyoci_image_convert::{
    ChunkCounts, ConvertError, EstargzOptions, RafsOptions, Source, Streaming, ZstdChunkedDialect,
    ZstdChunkedOptions, to_estargz, to_rafs, to_zstd_chunked,
};
use verify::{AuditFault, audit};

use crate::support::{Tar, digest_of_tar, noise, path};

/// What was written, and how.
struct Written {
    layer: Vec<u8>,
    toc: Option<Vec<u8>>,
    counts: ChunkCounts,
    diff_id: String,
}

const ZSTD_1: Compression = Compression::Zstd { level: 1 };
const ZSTD_12: Compression = Compression::Zstd { level: 12 };

fn kept(image: &OpenImage) -> Source<'_> {
    Source::from(image).keep_frames(true)
}

fn text(seed: u32, len: usize) -> Vec<u8> {
    let words = noise(seed.into(), len / 3 + 1);
    let mut text: Vec<u8> = words.iter().flat_map(|byte| [b'a', byte & 7, 0]).collect();
    text.truncate(len);
    text
}

/// Files of all lengths around the boundaries of blocks, chunks and frames.
fn tar() -> Vec<u8> {
    let tar = (0..120).fold(Tar::new().directory("d"), |tar, n: u32| {
        tar.file(&format!("d/{n:03}"), &text(n, (n as usize * 701) % 40_000))
    });
    tar.directory("a")
        .file("a/long", &text(7, 300_000))
        .file("a/blocks", &text(8, 512 * 64))
        .file("a/zeros", &[0; 20_000])
        .link("hard", "d/007")
        .symlink("soft", "d")
        .finish()
}

fn estargz<'a>(source: impl Into<Source<'a>>, options: &EstargzOptions) -> Written {
    let mut memory = MemoryOutput::default();
    let options = options.clone().chunk_size(1 << 16);
    let report = to_estargz(source, &mut memory, &options, &mut ()).unwrap();
    let bytes = |role| memory.object(role).map(|object| object.bytes.to_vec());
    Written {
        layer: bytes(ObjectRole::Layer).unwrap(),
        toc: bytes(ObjectRole::Toc),
        counts: report.report.chunks,
        diff_id: report.diff_id.to_string(),
    }
}

fn gzip(level: u32) -> EstargzOptions {
    EstargzOptions::default().compression(Compression::Gzip { level })
}

fn chunked_with<'a>(source: impl Into<Source<'a>>, options: &ZstdChunkedOptions) -> Written {
    let mut layer = Vec::new();
    let mut output = WriterOutput::new(&mut layer);
    let report = to_zstd_chunked(source, &mut output, options, &mut ()).unwrap();
    Written {
        layer,
        toc: None,
        counts: report.report.chunks,
        diff_id: report.diff_id.to_string(),
    }
}

fn a(compression: Compression) -> ZstdChunkedOptions {
    ZstdChunkedOptions::default()
        .dialect(ZstdChunkedDialect::Stargz)
        .chunk_size(1 << 16)
        .compression(compression)
}

fn b(compression: Compression) -> ZstdChunkedOptions {
    ZstdChunkedOptions::default().compression(compression)
}

/// RAFS v6, and what reads it.
fn rafs<'a>(source: impl Into<Source<'a>>, compression: Compression) -> (OpenImage, ChunkCounts) {
    let mut memory = MemoryOutput::default();
    let options = RafsOptions::default()
        .compression(compression)
        .chunk_size(1 << 16);
    let report = to_rafs(source, &mut memory, &options, &mut ()).unwrap();
    let bootstrap = memory.object(ObjectRole::Bootstrap).unwrap().bytes.clone();
    let opened = open_source(Arc::new(bootstrap), None, memory, &OpenOptions::default());
    (opened.unwrap(), report.report.chunks)
}

/// Opens what was written, whose files have to be those of `tar`.
fn opened(written: &Written, tar: &[u8]) -> OpenImage {
    let options = match &written.toc {
        Some(toc) => OpenOptions::default().external_toc(toc.clone()),
        None => OpenOptions::default(),
    };
    let source = Arc::new(Bytes::copy_from_slice(&written.layer));
    let image = open_source(source, None, NoBlobs, &options).unwrap();
    check(&image, tar);
    // Its table of contents, too, against its tar.
    let mut tell = |finding: Finding| panic!("{finding}");
    let found = image.verify(&VerifyOptions::default(), &mut (), &mut tell);
    assert!(found.unwrap().is_sound());
    image
}

fn check(image: &OpenImage, tar: &[u8]) {
    let mut tell = |fault: AuditFault| panic!("{}: {fault}", fault.path());
    let mut reader = image.reader().clone();
    audit(image.image(), &mut reader, &Limits::default(), &mut tell).unwrap();
    let digest = image
        .tree_digest(verify::Profile::Default, &mut ())
        .unwrap();
    assert_eq!(digest.to_string(), digest_of_tar(tar));
}

/// The blob was exchanged after its TOC was made.
#[test]
fn a_kept_tar_that_is_not_what_its_toc_says_is_refused() {
    let options = gzip(0).external_toc(true);
    let written = |byte| {
        let tar = Tar::new().file("f", &[byte; 5000]).finish();
        estargz(Streaming::new(&tar[..]), &options)
    };
    let (sound, other) = (written(1), written(2));
    let open = |layer: &[u8]| {
        let toc = sound.toc.clone().unwrap();
        let options = OpenOptions::default().external_toc(toc);
        let source = Arc::new(Bytes::copy_from_slice(layer));
        open_source(source, None, NoBlobs, &options).unwrap()
    };
    let options = options.lossless(true);
    let same = estargz(kept(&open(&sound.layer)), &options);
    assert_eq!(same.diff_id, sound.diff_id);
    let exchanged = open(&other.layer);
    let error = to_estargz(
        kept(&exchanged),
        &mut MemoryOutput::default(),
        &options,
        &mut (),
    );
    let Err(ConvertError::Content { path, .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(path.as_bytes(), b"f");
}

/// The plain tar in a layer, as other tools decode it.
fn inside(layer: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    let mut stream = tar_stream::LayerStream::open(layer, &Default::default()).unwrap();
    std::io::Read::read_to_end(&mut stream, &mut tar).unwrap();
    tar
}

/// How many bytes at the end of `of` are those at the end of `other`.
fn common_end(of: &[u8], other: &[u8]) -> usize {
    let pairs = of.iter().rev().zip(other.iter().rev());
    pairs.take_while(|(one, other)| one == other).count()
}

#[test]
fn a_toc_moves_out_of_its_layer_and_back() {
    let tar = tar();
    let inline = estargz(Streaming::new(&tar[..]), &gzip(1));
    let image = opened(&inline, &tar);
    let external = estargz(kept(&image), &gzip(9).external_toc(true));
    let counts = external.counts;
    // The byte of the landmark comes from no file.
    assert_eq!((counts.copied, counts.stored), (counts.stored - 1, 127));
    let layer = &external.layer[..external.layer.len() - 46];
    let place = inline
        .layer
        .windows(1000)
        .position(|bytes| bytes == &layer[layer.len() - 1000..]);
    let end = place.unwrap() + 1000;
    let copied = common_end(layer, &inline.layer[..end]) as u64;
    // Those before it may end alike.
    let alike = copied.checked_sub(counts.copied_bytes);
    assert!(alike.is_some_and(|alike| alike < 32), "{copied} {counts:?}");
    assert!(counts.compressed_bytes < 1000, "{counts:?}");

    let back = estargz(kept(&opened(&external, &tar)), &gzip(1));
    assert_eq!(back.counts.copied_bytes, counts.copied_bytes);
    assert!(back.layer == inline.layer);
    opened(&back, &tar);
}

#[test]
fn other_priorities_cost_what_they_move() {
    let tar = tar();
    let image = opened(&estargz(Streaming::new(&tar[..]), &gzip(1)), &tar);
    let options = gzip(9).prefetch(vec![path("d/050"), path("a/long")]);
    let first = estargz(kept(&image), &options);
    // Where one is taken away or put, the headers behind the file before it are others.
    assert_eq!((first.counts.copied, first.counts.stored), (122, 127));
    for threads in [1, 3] {
        let again = estargz(kept(&image), &options.clone().threads(threads));
        assert_eq!(again.layer, first.layer, "{threads}");
    }
    opened(&first, &tar);
    // Without asking for it nothing is copied, and the counts say so.
    let anew = estargz(&image, &options).counts;
    assert_eq!((anew.copied, anew.copied_bytes), (0, 0));
    assert_eq!(anew.stored, 127);
}

#[test]
fn dialects_become_one_another_under_the_same_diff_id() {
    let tar = tar();
    let of_b = chunked_with(Streaming::new(&tar[..]), &b(ZSTD_1));
    let image = opened(&of_b, &tar);
    let of_a = chunked_with(kept(&image), &a(ZSTD_12).lossless(true).chunk_size(4 << 20));
    assert_eq!(of_a.diff_id, of_b.diff_id);
    assert!(inside(&of_a.layer) == tar);
    // Zeros have frames that no reader fetches: they are made anew.
    let counts = of_a.counts;
    assert_eq!(counts.stored, of_b.counts.stored);
    assert_eq!(counts.copied, counts.stored - 1);
    let image = opened(&of_a, &tar);

    let again = chunked_with(kept(&image), &b(ZSTD_12));
    assert_eq!(again.diff_id, of_b.diff_id);
    assert!(inside(&again.layer) == tar);
    opened(&again, &tar);
    // Of A the last frame of a file goes on with the headers that follow, unless it came from B.
    assert_eq!(again.counts.copied, counts.copied);
    let anew = chunked_with(Streaming::new(&tar[..]), &a(ZSTD_1).lossless(true));
    let long = chunked_with(kept(&opened(&anew, &tar)), &b(ZSTD_12));
    assert_eq!((long.counts.copied, &long.diff_id), (4, &of_b.diff_id));
    opened(&long, &tar);

    let rewritten = chunked_with(kept(&opened(&again, &tar)), &a(ZSTD_12).chunk_size(4 << 20));
    assert!(rewritten.counts.copied > 100, "{:?}", rewritten.counts);
    opened(&rewritten, &tar);
}

#[test]
fn frames_of_nydus_become_zstd_chunked_and_go_back() {
    let tar = tar();
    let (image, made) = rafs(Streaming::new(&tar[..]), ZSTD_1);
    check(&image, &tar);
    let of_a = chunked_with(kept(&image), &a(ZSTD_12));
    opened(&of_a, &tar);
    let of_b = chunked_with(kept(&image), &b(ZSTD_12));
    let image_b = opened(&of_b, &tar);
    // But for the landmark of A, chunks of zeros, and those that nydus stores plain.
    assert!(
        of_a.counts.copied >= made.stored - 3,
        "{made:?} {:?}",
        of_a.counts
    );
    assert!(
        of_b.counts.copied >= made.stored - 3,
        "{made:?} {:?}",
        of_b.counts
    );

    let (back, counts) = rafs(kept(&image_b), ZSTD_12);
    check(&back, &tar);
    assert!(counts.copied >= made.stored - 3, "{made:?} {counts:?}");
    let (same, counts) = rafs(kept(&image), ZSTD_12);
    check(&same, &tar);
    assert!(counts.copied >= made.stored - 3, "{made:?} {counts:?}");
    // Another codec has nothing to keep.
    let (_, counts) = rafs(kept(&image), Compression::Lz4Block);
    assert_eq!((counts.copied, counts.copied_bytes), (0, 0));
}

#[test]
fn frames_of_podman_fit_nydus_where_a_file_is_one_chunk() {
    let tar = tar();
    let of_b = chunked_with(Streaming::new(&tar[..]), &b(ZSTD_1));
    let (image, counts) = rafs(kept(&opened(&of_b, &tar)), ZSTD_12);
    check(&image, &tar);
    assert!(
        counts.copied > 60 && counts.copied < counts.stored,
        "{counts:?}"
    );
}

/// A layer that is another one from its nth read on.
struct Turned {
    layers: [Bytes; 2],
    reads: std::sync::atomic::AtomicUsize,
    after: usize,
}

impl ReadAt for Turned {
    fn len(&self) -> Result<u64, ReadError> {
        ReadAt::len(&self.layers[0])
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let read = self
            .reads
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.layers[usize::from(read >= self.after)].read_at(offset, buf)
    }
}

#[test]
fn frames_that_changed_since_are_not_copied() {
    let tar = Tar::new().file("file", &text(1, 50_000)).finish();
    let written = estargz(Streaming::new(&tar[..]), &gzip(1));
    let reads = |after| {
        let mut other = written.layer.clone();
        other[2000] ^= 1;
        Arc::new(Turned {
            layers: [written.layer.clone().into(), other.into()],
            reads: 0.into(),
            after,
        })
    };
    let convert = |source: &Arc<Turned>| {
        let image = open_source(
            Arc::clone(source) as Arc<dyn ReadAt>,
            None,
            NoBlobs,
            &OpenOptions::default(),
        );
        let mut memory = MemoryOutput::default();
        let options = gzip(9).chunk_size(1 << 16).threads(1);
        let report = to_estargz(kept(&image.unwrap()), &mut memory, &options, &mut ());
        (report.map(|report| report.report.chunks.copied), memory)
    };
    let sound = reads(usize::MAX);
    assert!(matches!(convert(&sound), (Ok(1), _)));
    let all = sound.reads.load(std::sync::atomic::Ordering::Relaxed);
    // The last read is that of the frame.
    let (copied, memory) = convert(&reads(all - 1));
    assert!(matches!(copied, Ok(0)), "{copied:?}");
    let layer = memory.object(ObjectRole::Layer).unwrap().bytes.to_vec();
    let written = Written {
        layer,
        toc: None,
        counts: ChunkCounts::default(),
        diff_id: String::new(),
    };
    opened(&written, &tar);
    let (failed, _) = convert(&reads(all - 2));
    assert!(
        matches!(failed, Err(ConvertError::Content { .. })),
        "{failed:?}"
    );
}
