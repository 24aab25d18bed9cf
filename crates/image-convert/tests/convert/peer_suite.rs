//! The cases of stargz-snapshotter's suite for every way to compress a layer (`CompressionTestSuite` in
//! `estargz/testutil.go`): what is built is opened, its digests are compared, and its members are counted.

use std::sync::Arc;

use blob_io::{MemoryOutput, ObjectRole};
use bytes::Bytes;
use estargz_toc::compare::{CompareOptions, compare};
use estargz_toc::error::{EntryFault, TocError};
use estargz_toc::image::{ImageOptions, TocBlob, TocKind, decode_image};
use estargz_toc::toc::{EntryType, Toc};
use frame_codec::{Compression, Decoder, Encoder};
use image_model::{BlobId, Codec, Digest, Limits};
use image_read::{Follow, NoBlobs, OpenError, OpenImage, OpenOptions, open_source, read_toc};
use lazyoci_image_convert::{
    ConvertError, EstargzOptions, Streaming, ZstdChunkedDialect, ZstdChunkedOptions, to_estargz,
    to_zstd_chunked,
};
use verify::{AuditFault, Profile, audit};

use crate::peer_cases::{PREFIXES, raw};
use crate::support::{Tar, digest_of_tar, metadata};

/// How a layer is made.
#[derive(Debug, Clone, Copy)]
enum Way {
    Gzip(u32),
    External(u32),
    Zstd(u32),
}

const WAYS: [Way; 9] = [
    Way::Gzip(0),
    Way::Gzip(1),
    Way::Gzip(6),
    Way::Gzip(9),
    Way::External(1),
    Way::External(9),
    Way::Zstd(1),
    Way::Zstd(3),
    Way::Zstd(9),
];

/// A layer, its TOC if that is another blob, and their digests.
struct Made {
    layer: Vec<u8>,
    toc: Option<Vec<u8>>,
    toc_digest: Digest,
    diff_id: Digest,
}

impl Way {
    fn build(self, source: &[u8], (chunk_size, min_chunk_size): (u32, u32)) -> Made {
        let mut memory = MemoryOutput::default();
        let (toc_digest, diff_id) = match self {
            Self::Gzip(level) | Self::External(level) => {
                let options = EstargzOptions::default()
                    .compression(Compression::Gzip { level })
                    .chunk_size(chunk_size)
                    .min_chunk_size(min_chunk_size)
                    .external_toc(matches!(self, Self::External(_)))
                    .threads(1);
                let made = to_estargz(Streaming::new(source), &mut memory, &options, &mut ());
                made.map(|made| (made.toc_digest, made.diff_id)).unwrap()
            }
            Self::Zstd(level) => {
                let options = ZstdChunkedOptions::default()
                    .dialect(ZstdChunkedDialect::Stargz)
                    .compression(Compression::Zstd {
                        level: level as i32,
                    })
                    .chunk_size(chunk_size)
                    .min_chunk_size(min_chunk_size)
                    .threads(1);
                let made = to_zstd_chunked(Streaming::new(source), &mut memory, &options, &mut ());
                let made = made.unwrap();
                (made.toc_digest.unwrap(), made.diff_id)
            }
        };
        let object = |role| memory.object(role).map(|object| object.bytes.to_vec());
        Made {
            layer: object(ObjectRole::Layer).unwrap(),
            toc: object(ObjectRole::Toc),
            toc_digest,
            diff_id,
        }
    }
}

impl Made {
    fn options(&self) -> OpenOptions {
        let mut options = OpenOptions::default().metadata_digest(self.toc_digest);
        options.external_toc = self.toc.clone().map(Bytes::from);
        options
    }

    fn open(&self) -> Result<OpenImage, OpenError> {
        let source = Arc::new(Bytes::copy_from_slice(&self.layer));
        open_source(source, None, NoBlobs, &self.options())
    }

    /// Opens it: every chunk has its digest, and TOC and tar agree.
    fn sound(&self) -> OpenImage {
        let image = self.open().unwrap();
        let mut tell = |fault: AuditFault| panic!("{}: {fault}", fault.path());
        let reader = &mut image.reader().clone();
        audit(image.image(), reader, &Limits::default(), &mut tell).unwrap();
        let toc = &image.estargz().unwrap().toc;
        let mut tell = |found| panic!("{found}");
        compare(toc, &self.layer[..], &CompareOptions::default(), &mut tell).unwrap();
        image
    }

    fn inside(&self) -> Vec<u8> {
        let mut tar = Vec::new();
        let stream = tar_stream::LayerStream::open(&self.layer[..], &Default::default());
        std::io::Read::read_to_end(&mut stream.unwrap(), &mut tar).unwrap();
        tar
    }
}

/// The tar with its headers in another format: GNU's magic, or a PAX header before each.
fn in_format(format: &str, tar: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(header) = tar.get(at..at + 512).filter(|block| block[0] != 0) {
        let size = std::str::from_utf8(&header[124..135]).unwrap();
        let size = usize::from_str_radix(size, 8)
            .unwrap()
            .next_multiple_of(512);
        let mut header = header.to_vec();
        if format == "gnu" {
            header[257..265].copy_from_slice(b"ustar  \0");
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        if format == "pax" {
            let mut pax = crate::peer_cases::header("pax", b'x', 20, "").to_vec();
            pax.extend(b"20 mtime=1600000000\n");
            pax.resize(1024, 0);
            out.extend(pax);
        }
        out.extend(header);
        out.extend(&tar[at + 512..at + 512 + size]);
        at += 512 + size;
    }
    out.extend([0; 1024]);
    out
}

fn compressed(compression: Compression, tar: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(compression).unwrap();
    encoder.encode_frame(tar, &mut out).unwrap();
    out
}

/// `testBuild`: each case in every format of tars, with every prefix, plain and compressed, at every level; chunks of four
/// bytes, alone and together.
#[test]
fn test_build() {
    let cases = [
        "foo foo2/ foo2/bar",
        "baz: foo2:some bar/ bar/empty: bar/more:content last:",
        "baz bar/ implied/foo1 sym>bar/baz p! c! b! hard=baz bar/under",
        "baz: barlink=baz bar/ bar/link>../baz c! b! p!",
    ];
    let mut ways = WAYS.into_iter().cycle();
    for (number, case) in cases.into_iter().enumerate() {
        for prefix in PREFIXES {
            let plain = raw(prefix, case);
            let expected = digest_of_tar(&plain);
            for format in ["ustar", "gnu", "pax"] {
                let tar = in_format(format, &plain);
                let source = match number % 3 {
                    0 => tar,
                    1 => compressed(Compression::Gzip { level: 1 }, &tar),
                    _ => compressed(Compression::Zstd { level: 1 }, &tar),
                };
                for min_chunk_size in [0, 64_000] {
                    let way = ways.next().unwrap();
                    let made = way.build(&source, (4, min_chunk_size));
                    assert_eq!(made.diff_id, verify::sha256(&made.inside()));
                    let image = made.sound();
                    let digest = image.tree_digest(Profile::Default, &mut ()).unwrap();
                    assert_eq!(digest.to_string(), expected, "{way:?} {format} {case}");
                }
            }
        }
    }
}

/// `testDigestAndVerify`: the digest is that of the JSON, and another one for whatever is another layer.
#[test]
fn test_digest_and_verify() {
    for (case, other) in [
        // no-regfile
        ("rootdir/", "rootdir2/"),
        // small-files, with other content
        (
            "foo.txt:a bar/ bar/baz.txt:b",
            "foo.txt:a bar/ bar/baz.txt:c",
        ),
        // big-files
        ("foo.txt:bazbazbaz bar.txt", "foo.txt:bazbazbar bar.txt"),
        // with-non-regfiles: the target of a hard link
        (
            "foo:x foo2:y l>foo h=foo d/e",
            "foo:x foo2:y l>foo h=foo2 d/e",
        ),
    ] {
        for way in WAYS {
            for min_chunk_size in [0, 64_000] {
                let of = |list| way.build(&raw("", list), (3, min_chunk_size));
                let (made, other) = (of(case), of(other));
                let image = made.sound();
                let toc = &image.estargz().unwrap().toc;
                assert_eq!(
                    (toc.digest, toc.digest == other.toc_digest),
                    (made.toc_digest, false)
                );
                let swapped = Made {
                    toc_digest: made.toc_digest,
                    ..other
                };
                let error = swapped.open().unwrap_err();
                assert!(matches!(error, OpenError::Metadata(_)), "{error:?}");
            }
        }
    }
}

/// Content that is broken, a digest that is lost, and an offset that comes twice.
#[test]
fn what_verification_finds() {
    for way in WAYS {
        let mut made = way.build(&raw("", "foo.txt:bazbazbaz bar.txt"), (3, 0));
        let frames = made.sound().estargz().unwrap().toc.image.frames.clone();
        let chunk = frames[frames.len() - 1];
        let start = chunk.offset as usize;
        made.layer[start..start + 4].fill(0);
        let image = made.open().unwrap();
        assert!(image.read("bar.txt", 100).is_err(), "{way:?}");
        assert_eq!(image.read("foo.txt", 100).unwrap(), b"bazbazbaz");
    }

    let made = Way::Gzip(6).build(&raw("", "foo.txt:bazbazbaz bar.txt"), (3, 0));
    let opened = read_toc(&Bytes::from(made.layer.clone()), &Limits::default()).unwrap();
    let refused = |change: &dyn Fn(&mut Toc<'_>)| {
        let mut toc = Toc::from_json(&opened.json, &Limits::default()).unwrap();
        change(&mut toc);
        let blob = TocBlob {
            kind: TocKind::Estargz,
            id: BlobId::new(b"layer").unwrap(),
            len: opened.blob_len,
            content_len: opened.toc_offset,
        };
        match decode_image(&toc.to_json(), blob, &ImageOptions::default()).unwrap_err() {
            TocError::Entry { name, fault, .. } => (String::from(name), fault),
            other => panic!("{other:?}"),
        }
    };
    let lost = refused(&|toc| {
        let chunk = toc
            .entries
            .iter_mut()
            .rfind(|entry| entry.kind == EntryType::Chunk);
        chunk.unwrap().chunk_digest = "".into();
    });
    let missing = EntryFault::DigestMissing { chunk_offset: 6 };
    assert_eq!(lost, ("bar.txt".to_owned(), missing));
    let twice = |toc: &mut Toc<'_>| {
        let [.., first, last] = &mut toc.entries[..] else {
            panic!("{toc:?}");
        };
        last.offset = first.offset;
        first.offset
    };
    let mut toc = Toc::from_json(&opened.json, &Limits::default()).unwrap();
    let offset = u64::try_from(twice(&mut toc)).unwrap();
    let twice = refused(&|toc| {
        let _ = twice(toc);
    });
    let overlap = EntryFault::Overlap {
        offset,
        inner_offset: 0,
        end: 3,
    };
    assert_eq!(twice, ("bar.txt".to_owned(), overlap));
}

/// The gzip members of a layer.
fn members(layer: &[u8]) -> usize {
    let inflates = |member: &[u8]| {
        let len = u32::from_le_bytes(*member.last_chunk().unwrap()) as usize;
        let mut plain = vec![0; if len < 1 << 20 { len } else { 0 }];
        Decoder::new()
            .decode(Codec::Gzip, member, &mut plain)
            .is_ok()
    };
    let (mut count, mut at) = (0, 0);
    while at < layer.len() {
        let ends = (at + 18..=layer.len())
            .filter(|&end| end == layer.len() || layer[end..].starts_with(&[0x1f, 0x8b, 8]));
        let mut ends = ends.filter(|&end| inflates(&layer[at..end]));
        at = ends.next().unwrap();
        count += 1;
    }
    count
}

/// `testWriteAndOpen`: how many members there are. The peer's test has no landmark, which is two members more here: its
/// header's, and its own.
#[test]
fn test_write_and_open() {
    for (list, streams) in [
        ("", 2),                                          // empty: TOC and footer
        ("foo/ foo/bar.txt:", 3),                         // 1dir_1empty_file
        ("foo/ foo/bar.txt:content", 4),                  // 1dir_1file
        ("bar/ foo/ foo/bar/", 3),                        // 3dir
        ("foo/ foo/bar>../../x", 3),                      // symlink
        ("foo/ foo/bar.txt:content hard=foo/bar.txt", 4), // hardlink
        ("b! c! p!", 3),                                  // block_char_fifo
    ] {
        let made = Way::Gzip(6).build(&raw("", list), (4 << 20, 0));
        let _ = made.sound();
        // Headers are in the landmark's member, not in one of their own.
        let headers = usize::from(!list.is_empty());
        assert_eq!(members(&made.layer), streams - headers + 2, "{list}");
    }
    // chunked_file
    let list = "foo/ foo/big.txt:ThisIsSuchABigFile12345";
    let made = Way::Gzip(6).build(&raw("", list), (4, 0));
    assert_eq!(members(&made.layer), 9 - 1 + 2);
}

/// Names of directories, with an entry of the root.
#[test]
fn links_of_directories() {
    let tar = Tar::new()
        .directory("")
        .directory("bar")
        .directory("foo")
        .directory("foo/bar")
        .finish();
    for way in WAYS {
        let image = way.build(&tar, (4, 0)).sound();
        let links = |name: &str| {
            let ino = image.resolve(name, Follow::Never).unwrap();
            image.image().attributes(ino).unwrap().links
        };
        assert_eq!(["", "bar", "foo", "foo/bar"].map(links), [4, 2, 3, 2]);
    }
}

/// A TOC in the source is no file of the layer.
#[test]
fn lossy() {
    let tar = Tar::new()
        .file_with("stargz.index.json", &metadata(0o444), b"{}")
        .file("foo", b"content")
        .finish();
    let mut memory = MemoryOutput::default();
    let strict = EstargzOptions::default();
    let error = to_estargz(Streaming::new(&tar[..]), &mut memory, &strict, &mut ());
    assert!(matches!(error, Err(ConvertError::NotCarried { .. })));
    let report = to_estargz(
        Streaming::new(&tar[..]),
        &mut memory,
        &strict.lossy(true),
        &mut (),
    );
    assert_eq!(report.unwrap().report.losses.len(), 1);
}
