//! Spans of zTOCs: of any size, of any gzip members, and where the first one begins.

use image_model::{Blame, Fault};
use lazyoci_image_read::soci_ztoc::{
    Checkpoint, CheckpointFault, GzipZinfo, Zinfo, Ztoc, ZtocError,
};
use lazyoci_image_read::{
    Follow, LayerImageError, LayerIndex, LayerIndexError, OpenError, OpenOptions,
};

use crate::indexed::{digest, found, gzip, noise, open, tar_of_files};
use crate::support::tar;
use crate::ztoc::{build, changed};

/// Where the checkpoints of a gzip layer are: in the layer, in the tar, and the bits before.
fn points(ztoc: &Ztoc) -> Vec<(u64, u64, u8)> {
    let Zinfo::Gzip(zinfo) = &ztoc.zinfo else {
        panic!("a gzip layer");
    };
    let place = |point: Checkpoint| (point.stored_offset, point.decoded_offset, point.bits);
    zinfo.checkpoints().map(place).collect()
}

/// `layer`, all of whose files are `tar`'s, is read by a zTOC of spans of this size, and found sound.
fn is_read_by_spans(layer: &[u8], tar: &[u8], span_size: u64) -> LayerIndex {
    let index = build(layer, span_size).unwrap();
    let again = LayerIndex::from_bytes(index.bytes().clone(), &Default::default()).unwrap();
    let (expected, _) = open(tar, &OpenOptions::default()).unwrap();
    let (image, _) = open(layer, &OpenOptions::default().index(again.clone())).unwrap();
    assert_eq!(digest(&image), digest(&expected), "{span_size}");
    assert_eq!(found(layer, again), [""; 0], "{span_size}");
    index
}

/// Those of the peer's tests, and more than there is.
const SPAN_SIZES: [u64; 8] = [
    10_000,
    65_535,
    128_000,
    256_000,
    512_000,
    1 << 20,
    1 << 22,
    1 << 40,
];

#[test]
fn spans_of_any_size_give_the_same_files() {
    let tar = tar_of_files();
    let (a, b) = tar.split_at(450_000);
    let layers = [gzip(&tar), [gzip(a), gzip(b)].concat()];
    for span_size in SPAN_SIZES {
        let index = is_read_by_spans(&tar, &tar, span_size);
        let count = (tar.len() as u64).div_ceil(span_size);
        assert_eq!(index.span_count() as u64, count, "{span_size}");
        for layer in &layers {
            let index = is_read_by_spans(layer, &tar, span_size);
            let points = points(index.ztoc().unwrap());
            // All but the last are longer.
            let long = points.windows(2).all(|at| at[1].1 - at[0].1 > span_size);
            assert!(long, "{points:?}");
            assert_eq!(points.len() == 1, span_size >= 1 << 22, "{points:?}");
            assert_eq!(index.ztoc().unwrap().zinfo.span_size(), span_size as i64);
        }
    }
}

/// Two files that are shorter than a header, in spans that are shorter, too: each build gives the same bytes.
#[test]
fn short_spans_are_built_the_same_each_time() {
    let mut tar = tar::Builder::new();
    tar.file("one", b"1");
    tar.file("two", b"22");
    let tar = tar.finish();
    for (layer, len) in [(&tar, tar.len()), (&gzip(&tar), 1)] {
        for span_size in [1, 64] {
            let built = is_read_by_spans(layer, &tar, span_size);
            // All of a member that is one block is one span.
            let count = len.div_ceil(span_size as usize);
            assert_eq!(built.span_count(), count, "{span_size}");
            for _ in 0..2 {
                assert!(build(layer, span_size).unwrap().bytes() == built.bytes());
            }
        }
    }
}

/// A gzip member of `plain`, whose header has these fields: an extra field, a name, a comment, and a checksum.
fn member(
    plain: &[u8],
    extra: &[u8],
    texts: [Option<&str>; 2],
    checksum: bool,
) -> (usize, Vec<u8>) {
    let mut header = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    if !extra.is_empty() {
        header[3] |= 1 << 2;
        header.extend((extra.len() as u16).to_le_bytes());
        header.extend(extra);
    }
    for (text, flag) in texts.into_iter().zip([1 << 3, 1 << 4]) {
        if let Some(text) = text {
            header[3] |= flag;
            header.extend([text.as_bytes(), b"\0"].concat());
        }
    }
    if checksum {
        header[3] |= 1 << 1;
        // A member of the header itself ends with its CRC-32 and its length.
        let of_header = gzip(&header);
        header.extend(&of_header[of_header.len() - 8..][..2]);
    }
    // Instead of one of ten bytes.
    let data = &gzip(plain)[10..];
    (header.len(), [&header, data].concat())
}

/// `TestDecompressWithGzipHeaders` of the peer, and a checksum; in a second member, too.
#[test]
fn headers_of_members_are_passed() {
    let tar = tar_of_files();
    let (a, b) = tar.split_at(450_000);
    let without = [gzip(a), gzip(b)].concat();
    let without = points(build(&without, 20_000).unwrap().ztoc().unwrap());
    assert!(without.len() > 20, "{}", without.len());
    let (name, comment) = (Some("layer.tar"), Some("a comment"));
    let long = noise(usize::from(u16::MAX), 5);
    for (extra, texts, checksum) in [
        (&b""[..], [None, comment], false),
        (b"", [name, None], false),
        (b"extra data", [None, None], false),
        (b"extra data", [name, comment], false),
        (b"", [None, None], true),
        (b"extra data", [name, comment], true),
        // Longer than a span.
        (&long, [None, None], false),
        (&long, [name, comment], true),
    ] {
        let (len, first) = member(a, extra, texts, checksum);
        let (_, second) = member(b, extra, texts, checksum);
        let layer = [&first[..], &second].concat();
        let index = is_read_by_spans(&layer, &tar, 20_000);
        // Where they are without, as much later as the headers before them are longer.
        let more = len as u64 - 10;
        let expected = without.iter().map(|&(stored, decoded, bits)| {
            let headers = 1 + u64::from(decoded >= 450_000);
            (stored + more * headers, decoded, bits)
        });
        let expected = expected.collect::<Vec<_>>();
        assert_eq!(points(index.ztoc().unwrap()), expected);
    }
}

/// A zTOC has one checkpoint at the first byte: where the deflate data of the empty member begin.
#[test]
fn an_empty_first_member_is_in_the_first_span() {
    let tar = tar_of_files();
    let (full, empty) = (gzip(&tar), gzip(b""));
    let of_full = points(build(&full, 100_000).unwrap().ztoc().unwrap());
    for count in [1, 2, 50] {
        let layer = [&empty.repeat(count)[..], &full].concat();
        let index = is_read_by_spans(&layer, &tar, 100_000);
        let ztoc = index.ztoc().unwrap();
        // All others are those of the member behind, as much later as the empty ones are long.
        let mut expected = of_full.clone();
        for point in &mut expected[1..] {
            point.0 += (empty.len() * count) as u64;
        }
        assert_eq!(points(ztoc), expected);
        let first = ztoc.span(0).unwrap();
        assert_eq!(first.stored.start, 10);
        let end = first.stored.end as usize;
        assert_eq!(first.digest, verify::sha256(&layer[10..end]));
    }
    // A header of its own does not change that.
    let (len, named) = member(b"", b"", [Some("empty"), None], true);
    let index = is_read_by_spans(&[&named[..], &full].concat(), &tar, 100_000);
    assert_eq!(points(index.ztoc().unwrap())[0], (len as u64, 0, 0));
}

/// What releases of soci after 0.4.1 make of such a layer, and refuse when they read it.
#[test]
fn two_checkpoints_at_the_first_byte_are_refused() {
    let layer = [gzip(b""), gzip(&tar_of_files())].concat();
    let second = gzip(b"").len() as u64 + 10;
    let lies = changed(&layer, |ztoc| {
        let Zinfo::Gzip(zinfo) = &ztoc.zinfo else {
            panic!("a gzip layer");
        };
        let mut points = zinfo.checkpoints().collect::<Vec<_>>();
        points.insert(1, Checkpoint::new(second, 0, 0));
        ztoc.zinfo = Zinfo::Gzip(GzipZinfo::new(100_000, &points));
        ztoc.digests.insert(1, ztoc.digests[0]);
    });
    let error = lies.unwrap_err();
    let (index, fault) = (1, CheckpointFault::Order);
    assert!(
        matches!(&error, LayerIndexError::Ztoc(found) if *found == ZtocError::Checkpoint { index, fault }),
        "{error}"
    );
    assert_eq!(error.fault(), Fault::Corrupt);
}

/// A zTOC without its first checkpoint, which a reader takes to be at byte 10.
fn first_version(layer: &[u8]) -> LayerIndex {
    let index = build(layer, 1 << 40).unwrap();
    assert_eq!(index.span_count(), 1);
    let mut bytes = index.bytes().to_vec();
    // The vector of checkpoints: its length, their number, the length of spans, and the only one.
    let start = [&1_i32.to_le_bytes()[..], &(1_i64 << 40).to_le_bytes()].concat();
    let at = bytes.windows(12).position(|bytes| bytes == start).unwrap();
    bytes[at - 4..at].copy_from_slice(&12_u32.to_le_bytes());
    let index = LayerIndex::from_bytes(bytes.into(), &Default::default()).unwrap();
    assert_eq!(points(index.ztoc().unwrap()), [(10, 0, 0)]);
    index
}

#[test]
fn the_first_version_is_read_if_the_header_has_ten_bytes() {
    let tar = tar_of_files();
    let layer = gzip(&tar);
    let (plain, _) = open(&layer, &OpenOptions::default()).unwrap();
    let index = first_version(&layer);
    let (image, _) = open(&layer, &OpenOptions::default().index(index.clone())).unwrap();
    assert_eq!(digest(&image), digest(&plain));
    let (_, named) = member(&tar, b"", [Some("layer.tar"), None], false);
    let error = open(&named, &OpenOptions::default().index(first_version(&named))).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Layer(LayerImageError::Entered { offset: 10 })
        ),
        "{error}"
    );
}

/// A range of no bytes costs none, wherever it is.
#[test]
fn an_empty_range_is_read_without_the_layer() {
    let layer = gzip(&tar_of_files());
    let index = build(&layer, 100_000).unwrap();
    let (image, source) = open(&layer, &OpenOptions::default().index(index)).unwrap();
    let before = source.stats();
    let mut out = Vec::new();
    for (path, at) in [
        ("/d/long", 0),
        ("/d/long", 450_000),
        ("/d/long", 900_000),
        ("/d/empty", 0),
    ] {
        let file = image.resolve(path, Follow::All).unwrap();
        image.read_range(file, at..at, &mut out).unwrap();
    }
    assert_eq!((out, source.stats()), (Vec::new(), before));
}
