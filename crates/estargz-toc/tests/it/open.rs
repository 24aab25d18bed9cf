//! Blobs whose TOC cannot be found.

use frame_codec::{Compression, Encoder};
use image_model::{Blame, Fault, ImagePath, Limits, Metadata, Node};
use lazyoci_estargz_toc::footer::{self, FOOTER_LEN, FooterError};
use lazyoci_estargz_toc::open::{Need, OpenError, Opener, Step, StepMachine, TAIL_LEN};
use lazyoci_estargz_toc::toc::TOC_NAME;
use std::io::Write as _;
use tar_stream::{TarError, TarWriter};

use crate::common::{drive, golden, open, open_with, path};
use verify::sha256;

const JSON: &[u8] = br#"{"version": 1, "entries": []}"#;

/// A blob of 20 bytes of something, `tar` as TOC member, and a footer.
fn blob_with(tar: &[u8]) -> Vec<u8> {
    let mut blob = vec![b'x'; 20];
    let mut encoder = Encoder::new(Compression::Gzip { level: 6 }).unwrap();
    encoder.encode_frame(tar, &mut blob).unwrap();
    blob.extend(footer::encode(20));
    blob
}

fn tar_with(members: &[(ImagePath, Node<()>, &[u8])]) -> TarWriter<Vec<u8>> {
    let mut tar = TarWriter::new(Vec::new());
    for (path, node, content) in members {
        tar.append(path, &Metadata::default(), node).unwrap();
        tar.write_all(content).unwrap();
    }
    tar
}

fn file(name: &str, content: &'static [u8]) -> (ImagePath, Node<()>, &'static [u8]) {
    let node = Node::File {
        size: content.len() as u64,
        content: (),
    };
    (path(name), node, content)
}

fn toc() -> Vec<u8> {
    tar_with(&[file(TOC_NAME, JSON)]).finish().unwrap()
}

/// A TOC that takes `len` bytes, compressed, behind 20 bytes of something: empty gzip members with
/// an extra field follow it.
fn blob_with_toc_of(len: usize) -> Vec<u8> {
    const EMPTY: usize = 22;
    let mut blob = blob_with(&toc());
    blob.truncate(blob.len() - FOOTER_LEN);
    while let Some(missing @ 1..) = (len + 20).checked_sub(blob.len()) {
        let extra = if missing < 50_000 { missing } else { 40_000 } - EMPTY;
        blob.extend([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff]);
        blob.extend((extra as u16).to_le_bytes());
        blob.extend(vec![b'x'; extra]);
        blob.extend([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    blob.extend(footer::encode(20));
    blob
}

#[test]
fn a_short_blob_is_asked_for_once() {
    let blob = blob_with(&toc());
    let len = blob.len() as u64;
    let (opened, asked) = drive(Opener::new(len, &Limits::default()), &blob).unwrap();
    assert_eq!(asked, [Need::opened(0..len)]);
    assert_eq!(opened.json, JSON);
    assert_eq!(opened.digest, sha256(JSON));
    assert_eq!((opened.toc_offset, opened.blob_len), (20, len));
}

#[test]
fn a_toc_of_64_kib_is_asked_for_with_its_footer() {
    for (toc_len, rest) in [
        // The tail has room for the longest footer.
        (65_557, None),
        (65_558, Some(20..21)),
        (100_000, Some(20..34_463)),
    ] {
        let blob = blob_with_toc_of(toc_len);
        let len = blob.len() as u64;
        let (opened, asked) = drive(Opener::new(len, &Limits::default()), &blob).unwrap();
        let ranges = [Some(len - TAIL_LEN..len), rest];
        let expected: Vec<_> = ranges.into_iter().flatten().map(Need::opened).collect();
        assert_eq!(asked, expected, "{toc_len}");
        assert_eq!((&opened.json[..], opened.toc_offset), (JSON, 20));
    }
}

#[test]
fn no_more_is_asked_for_than_the_limits_allow() {
    let blob = blob_with_toc_of(1_000);
    let len = blob.len() as u64;
    let need = |max_toc_len| {
        let limits = Limits::default().max_toc_len(max_toc_len);
        Opener::new(len, &limits).start().unwrap()
    };
    assert_eq!(need(500), Step::Need(Need::opened(len - 500..len)));
    let footer = len - footer::MAX_LEN as u64;
    assert_eq!(need(0), Step::Need(Need::opened(footer..len)));
}

#[test]
fn the_wrong_bytes_are_the_callers_fault() {
    let blob = blob_with(&toc());
    let len = blob.len() as u64;
    let mut opener = Opener::new(len, &Limits::default());
    assert_eq!(opener.start().unwrap(), Step::Need(Need::opened(0..len)));
    let wrong = opener.supply(blob[1..].to_vec().into()).unwrap_err();
    assert!(
        matches!(wrong, OpenError::Supplied { asked, found } if asked == len && found == len - 1)
    );
    assert_eq!(wrong.fault(), Fault::Misuse);
    // It may be tried again.
    match opener.supply(blob.into()).unwrap() {
        Step::Done(opened) => assert_eq!(opened.json, JSON),
        other @ Step::Need(_) => panic!("{other:?}"),
    }
}

#[test]
fn short_blobs() {
    for len in 0..footer::MIN_LEN {
        let error = open(&vec![0; len]).unwrap_err();
        assert!(matches!(error, OpenError::TooShort { blob_len } if blob_len == len as u64));
    }
    let only_footer = open(&footer::encode(0)).unwrap_err();
    assert!(matches!(
        only_footer,
        OpenError::Footer(FooterError::TocOffset {
            kind: footer::FooterKind::Estargz,
            toc_offset: 0,
            footer_offset: 0
        })
    ));
}

#[test]
fn another_layer() {
    let error = open(&[0; 100]).unwrap_err();
    assert!(matches!(error, OpenError::Footer(FooterError::Unknown)));
}

#[test]
fn something_else_where_the_toc_should_be() {
    let mut plain = vec![b'x'; 20];
    plain.extend(toc());
    plain.extend(footer::encode(20));
    assert!(matches!(
        open(&plain),
        Err(OpenError::NotGzip { toc_offset: 20 })
    ));

    let link = (path(TOC_NAME), Node::Symlink((*b"x").into()), &b""[..]);
    for tar in [
        tar_with(&[]),
        tar_with(&[file("a", b"")]),
        tar_with(&[file("d/stargz.index.json", JSON)]),
        tar_with(&[file("a", b""), file(TOC_NAME, JSON)]),
        tar_with(&[link]),
    ] {
        let error = open(&blob_with(&tar.finish().unwrap())).unwrap_err();
        assert!(
            matches!(error, OpenError::NotToc { toc_offset: 20 }),
            "{error:?}"
        );
        assert_eq!(error.fault(), Fault::Corrupt);
    }
    let error = open(&blob_with(b"no tar, but longer than nothing")).unwrap_err();
    assert!(matches!(
        error,
        OpenError::Tar {
            source: TarError::Cut { .. },
            ..
        }
    ));
}

#[test]
fn something_after_the_toc() {
    let mut garbage = toc();
    garbage.push(b'x');
    let more = tar_with(&[file(TOC_NAME, JSON), file("a", b"a")]);
    for tar in [more.finish().unwrap(), garbage] {
        let error = open(&blob_with(&tar)).unwrap_err();
        assert!(
            matches!(error, OpenError::Trailing { toc_offset: 20 }),
            "{error:?}"
        );
    }
    // Zeros are the end of a tar, however many.
    let mut zeros = toc();
    zeros.resize(zeros.len() + 3000, 0);
    assert_eq!(open(&blob_with(&zeros)).unwrap().json, JSON);
}

#[test]
fn a_damaged_toc_member() {
    let good = blob_with(&toc());
    let footer_offset = good.len() - FOOTER_LEN;
    // A bit of the member's checksum.
    let mut flipped = good.clone();
    flipped[footer_offset - 5] ^= 1;
    let error = open(&flipped).unwrap_err();
    assert!(
        matches!(error, OpenError::Tar { toc_offset: 20, .. }),
        "{error:?}"
    );
    assert_eq!(error.fault(), Fault::Corrupt);
    for cut in 21..footer_offset {
        let mut blob = good[..cut].to_vec();
        blob.extend(footer::encode(20));
        let error = open(&blob).unwrap_err();
        assert_eq!(error.fault(), Fault::Corrupt, "cut at {cut}: {error:?}");
    }
}

#[test]
fn a_toc_beyond_the_limit() {
    let blob = blob_with(&toc());
    let limits = |max_toc_len| Limits::default().max_toc_len(max_toc_len);
    let stored = (blob.len() - 20 - FOOTER_LEN) as u64;
    match open_with(&blob, &limits(stored - 1)).unwrap_err() {
        OpenError::TooLong { len, limit } => assert_eq!((len, limit), (stored, stored - 1)),
        other => panic!("{other:?}"),
    }
    // 10 MB of zeros in the space of 10 KB.
    let bomb = tar_with(&[file(TOC_NAME, &[0; 10 << 20])])
        .finish()
        .unwrap();
    match open_with(&blob_with(&bomb), &limits(1 << 20)).unwrap_err() {
        OpenError::TooLong { len, limit } => assert_eq!((len, limit), (10 << 20, 1 << 20)),
        other => panic!("{other:?}"),
    }
    // The same behind the TOC.
    let mut tail = toc();
    tail.resize(10 << 20, 0);
    let error = open_with(&blob_with(&tail), &limits(1 << 20)).unwrap_err();
    assert_eq!(error.fault(), Fault::Limit, "{error:?}");
}

#[test]
fn a_header_that_declares_what_is_not_there() {
    let mut tar = toc();
    tar.truncate(512 + JSON.len());
    // Size in the header: 8 GiB - 1; the checksum grows with it.
    tar[124..135].copy_from_slice(b"77777777777");
    let sum: u32 = tar[..512].iter().map(|&b| u32::from(b)).sum();
    let own: u32 = tar[148..156].iter().map(|&b| u32::from(b)).sum();
    let sum = format!("{:06o}\0 ", sum - own + 8 * 32);
    tar[148..156].copy_from_slice(sum.as_bytes());
    let limits = Limits::default()
        .max_metadata_len(1 << 40)
        .max_toc_len(1 << 40);
    let error = open_with(&blob_with(&tar), &limits).unwrap_err();
    assert!(matches!(
        error,
        OpenError::Tar {
            source: TarError::Cut { .. },
            ..
        }
    ));
}

#[test]
fn every_cut_of_a_blob_is_refused() {
    let blob = golden("vector1.esgz");
    for len in 0..blob.len() {
        assert!(open(&blob[..len]).is_err(), "cut at {len}");
    }
}
