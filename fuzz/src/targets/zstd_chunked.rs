//! zstd:chunked, stargz and external TOCs: footers, the TOC of containers/storage, tar-split.

use lazyoci::estargz_toc::containers_toc::ContainersToc;
use lazyoci::estargz_toc::error::TocError;
use lazyoci::estargz_toc::footer::{
    self, Footer, FooterError, containers, external, legacy, zstd_chunked,
};
use lazyoci::estargz_toc::image::{TocBlob, TocKind, decode_image};
use lazyoci::estargz_toc::open::{Described, OpenError, Opener, StepMachine as _};
use lazyoci::estargz_toc::tar_split::{Crc64, Item, TarSplit, TarSplitError, check_entries};
use lazyoci::frame_codec::{Compression, Encoder};
use lazyoci::model::{Blame as _, Fault, Limits, StoredPiece};
use lazyoci::verify::sha256;

use super::estargz::{check, id, open, options};
use super::memory::asked;
use super::tar::repair_checksums;

/// Takes the bytes as a blob with each of the footers.
pub fn footers(data: &[u8]) {
    let found = footer::find(data, data.len() as u64);
    match found {
        Ok(found) => {
            let tail = &data[data.len() - found.len()..];
            assert_eq!(encode(&found), tail, "a footer has one form");
        }
        Err(error) => {
            assert_eq!(error.fault(), Fault::Corrupt);
            let _ = error.to_string();
        }
    }
    each(data);
    if let Ok(opened) = open(data) {
        let image = opened.image(id(), &options(true));
        if let Ok(image) = image {
            check(&image, opened.toc_offset);
        }
    }
    // The TOC in another blob, which is the first half.
    let (toc, layer) = data.split_at(data.len() / 2);
    let limits = Limits::small();
    let layer = [layer, &external::encode()].concat();
    let opener = Opener::new(layer.len() as u64, &limits).external(toc.to_vec().into());
    if let Ok(opened) = opener.drive(asked::<OpenError>(&layer)) {
        assert_eq!(opened.kind, TocKind::External);
    }
}

/// What fails as one kind is not found as that.
fn each(data: &[u8]) {
    let len = data.len() as u64;
    let offset = |footer: usize| len.saturating_sub(footer as u64);
    let none = |error: FooterError| drop(error.to_string());
    if let Some(tail) = data.last_chunk() {
        let _ = legacy::decode(tail, offset(legacy::LEN)).map_err(none);
    }
    if let Some(tail) = data.last_chunk() {
        let _ = external::decode(tail).map_err(none);
    }
    if let Some(tail) = data.last_chunk() {
        let _ = zstd_chunked::decode(tail, offset(zstd_chunked::LEN)).map_err(none);
    }
    if let Some(tail) = data.last_chunk() {
        let _ = containers::decode(tail, offset(containers::LEN)).map_err(none);
    }
}

fn encode(footer: &Footer) -> Vec<u8> {
    match *footer {
        Footer::Estargz { toc_offset } => footer::encode(toc_offset).into(),
        Footer::Legacy { toc_offset } => legacy::encode(toc_offset).into(),
        Footer::External => external::encode().into(),
        Footer::ZstdChunked { toc } => zstd_chunked::encode(toc).into(),
        Footer::Containers(pieces) => containers::encode(&pieces).into(),
        _ => panic!("a kind that is not known here"),
    }
}

/// Takes the bytes as a TOC of containers/storage, alone and in a blob.
pub fn containers_toc(data: &[u8]) {
    let limits = Limits::small();
    if let Ok(toc) = ContainersToc::from_json(data, &limits) {
        let written = toc.to_json();
        match ContainersToc::from_json(&written, &limits) {
            Ok(again) => {
                assert_eq!(again, toc);
                assert_eq!(again.to_json(), written);
            }
            Err(TocError::TooLong { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let blob = TocBlob {
        kind: TocKind::Containers,
        id: id(),
        len: 1 << 40,
        content_len: 1 << 39,
    };
    match decode_image(data, blob.clone(), &options(false)) {
        Ok(image) => {
            check(&image, blob.content_len);
            assert!(image.landmarks.is_empty() && image.prefetch.is_none());
        }
        Err(error) => drop((error.fault(), error.to_string())),
    }
    in_a_blob(data);
}

/// A blob with this TOC, found by its footer and by what a manifest says.
fn in_a_blob(json: &[u8]) {
    let limits = Limits::small();
    let mut encoder = Encoder::new(Compression::Zstd { level: 1 }).expect("the level exists");
    let mut stored = Vec::new();
    encoder
        .encode_frame(json, &mut stored)
        .expect("it is short");
    let toc = StoredPiece::new(8, stored.len() as u64, json.len() as u64);
    let header = footer::skippable::header(stored.len() as u32);
    let pieces = containers::Pieces::new(toc);
    let blob = [&header[..], &stored, &containers::encode(&pieces)].concat();
    let described = Described::new(TocKind::Containers, toc, sha256(&stored));
    let opener = Opener::new(blob.len() as u64, &limits);
    let by_manifest = opener.described(described).drive(asked::<OpenError>(&blob));
    match (open(&blob), by_manifest) {
        (Ok(one), Ok(other)) => {
            assert_eq!(one, other);
            assert_eq!(one.json, json);
        }
        (Err(one), Err(other)) => assert_eq!(one.fault(), other.fault()),
        (one, other) => panic!("{one:?}, {other:?}"),
    }
}

/// Takes the bytes as a tar-split, and a TOC of containers/storage after the first NUL byte.
pub fn tar_split(data: &[u8]) {
    let limits = Limits::small();
    let end = data.iter().position(|&byte| byte == 0);
    let (lines, toc) = data.split_at(end.unwrap_or(data.len()));
    let toc = toc.get(1..).unwrap_or_default();
    let split = match TarSplit::from_lines(lines, &limits) {
        Ok(split) => split,
        Err(error) => {
            let limit = matches!(
                error,
                TarSplitError::TooLong { .. } | TarSplitError::TarTooLong { .. }
            );
            assert_eq!(error.fault() == Fault::Limit, limit, "{error}");
            return;
        }
    };
    let len: u64 = split.items().map(Item::len).sum();
    assert_eq!(len, split.tar_len());
    let mut found = 0u64;
    let mut count = |mismatch: lazyoci::estargz_toc::tar_split::SplitMismatch| {
        found += 1;
        let _ = mismatch.to_string();
    };
    if let Err(error) = check_entries(toc, &split, &limits, &mut count) {
        let _ = (error.fault(), error.to_string());
    }
    let mut whole = Crc64::new();
    whole.update(data);
    let mut parts = Crc64::new();
    let (a, b) = data.split_at(data.len() / 3);
    parts.update(a);
    parts.update(b);
    assert_eq!(whole, parts);
    // The segments' headers with checksums that fit.
    let mut tar: Vec<u8> = Vec::new();
    for item in split.items() {
        if let Item::Segment(bytes) = item {
            tar.extend(bytes);
        }
    }
    repair_checksums(&mut tar);
    let line = serde_json::json!({ "type": 2, "payload": base64(&tar), "position": 0 });
    let line = line.to_string();
    if let Ok(split) = TarSplit::from_lines(line.as_bytes(), &limits) {
        assert_eq!(split.tar_len(), tar.len() as u64);
        let _ = check_entries(toc, &split, &limits, &mut |_| {});
    }
}

/// Standard base64, with padding.
fn base64(bytes: &[u8]) -> String {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let word = [0, 1, 2].map(|at| group.get(at).copied().unwrap_or_default());
        let word = u32::from_be_bytes([0, word[0], word[1], word[2]]);
        for place in 0..4 {
            let digit = digits[(word >> (18 - 6 * place) & 63) as usize];
            text.push(if place > group.len() {
                '='
            } else {
                char::from(digit)
            });
        }
    }
    text
}
