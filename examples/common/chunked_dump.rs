//! Every structure of a zstd:chunked layer: frames, TOC, tar-split, footer.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lazyoci::estargz_toc::containers_toc::ContainersToc;
use lazyoci::estargz_toc::footer::{containers, zstd_chunked};
use lazyoci::estargz_toc::image::TocKind;
use lazyoci::estargz_toc::tar_split::{Item, TarSplit};
use lazyoci::estargz_toc::toc::Toc;
use lazyoci::model::StoredPiece;
use lazyoci::read::{Estargz, OpenImage, RebuildError};
use serde_json::{Value, json};

use super::Failure;

/// The structures of `layer`, which is `image`, as one JSON object. Only its metadata is read.
pub fn dump(image: &OpenImage, layer: &Estargz) -> Result<Value, Failure> {
    let limits = image.limits();
    let missing = || Failure::usage("the layer has no TOC");
    let opened = image.read_toc()?.ok_or_else(missing)?;
    let pieces = layer.pieces.ok_or_else(missing)?;
    let (version, tar_split_digest, entries) = match opened.kind {
        TocKind::Containers => {
            let toc = ContainersToc::from_json(&opened.json, limits)?;
            let digest = toc.header.tar_split_digest.into_owned();
            (toc.header.version, digest, json!(toc.entries))
        }
        _ => {
            let toc = Toc::from_json(&opened.json, limits)?;
            (toc.version, String::new(), json!(toc.entries))
        }
    };
    let (footer_bytes, dialect) = match opened.kind {
        TocKind::Containers => (containers::LEN, "containers"),
        _ => (zstd_chunked::LEN, "stargz"),
    };
    let mut toc = piece(pieces.toc);
    toc["digest"] = opened.digest.to_string().into();
    toc["stored_digest"] = opened.checksum.map(|digest| digest.to_string()).into();
    toc["version"] = version.into();
    toc["toc_entries"] = entries;
    Ok(json!({
        "dialect": dialect,
        "frames": frames(layer, opened.toc_offset),
        "toc": toc,
        "tar_split": tar_split(image, pieces.tar_split, &tar_split_digest)?,
        "footer": {
            "offset": opened.blob_len - footer_bytes as u64,
            "bytes": footer_bytes,
        },
    }))
}

fn piece(piece: StoredPiece) -> Value {
    json!({
        "offset": piece.offset,
        "bytes": piece.stored_len,
        "decoded_bytes": piece.len,
    })
}

/// The frames with content, and the bytes between them, which hold tar headers and runs of zeros.
fn frames(layer: &Estargz, end: u64) -> Vec<Value> {
    let image = &layer.toc.image;
    let mut chunks: BTreeMap<u32, Vec<Value>> = BTreeMap::new();
    for chunk in &image.chunks {
        chunks.entry(chunk.frame.0).or_default().push(json!({
            "offset_in_frame": chunk.offset_in_frame,
            "bytes": chunk.len,
            "digest": chunk.digest.map(|digest| digest.to_string()),
        }));
    }
    let mut frames = Vec::new();
    let mut at = 0;
    for (index, frame) in (0..).zip(&image.frames) {
        if at < frame.offset {
            frames.push(json!({ "offset": at, "bytes": frame.offset - at }));
        }
        frames.push(json!({
            "offset": frame.offset,
            "bytes": frame.stored_len,
            "decoded_bytes": frame.len,
            "holds": chunks.remove(&index),
        }));
        at = frame.offset + u64::from(frame.stored_len);
    }
    if at < end {
        frames.push(json!({ "offset": at, "bytes": end - at }));
    }
    frames
}

/// `null` if the TOC vouches for none.
fn tar_split(
    image: &OpenImage,
    place: Option<StoredPiece>,
    digest: &str,
) -> Result<Value, Failure> {
    let lines = match image.read_tar_split() {
        Ok(lines) => lines,
        Err(RebuildError::NoTarSplit | RebuildError::NoLayer) => return Ok(Value::Null),
        Err(error) => return Err(error.into()),
    };
    let split = TarSplit::from_lines(&lines, image.limits())?;
    let items: Vec<_> = (split.items())
        .map(|item| match item {
            Item::Segment(bytes) => json!({ "segment_bytes": bytes.len() }),
            Item::File { name, size, crc } => json!({
                "name": String::from_utf8_lossy(name),
                "bytes": size,
                "crc64": crc.map(|crc| format!("{:016x}", u64::from_be_bytes(crc))),
            }),
        })
        .collect();
    let mut value = place.map_or(Value::Null, piece);
    value["digest"] = digest.into();
    value["tar_bytes"] = split.tar_len().into();
    value["tar_split_items"] = items.into();
    Ok(value)
}

/// The same as text, one structure per line.
pub fn lines(dump: &Value) -> String {
    let mut text = String::new();
    for (index, frame) in array(&dump["frames"]).iter().enumerate() {
        head(&mut text, &frame["offset"]);
        let stored = &frame["bytes"];
        if frame["decoded_bytes"].is_null() {
            let _ = writeln!(text, "frames: stored={stored} tar headers or zeros");
            continue;
        }
        let decoded = &frame["decoded_bytes"];
        let _ = write!(text, "frame {index}: stored={stored} decoded={decoded}");
        for chunk in array(&frame["holds"]) {
            let (at, bytes) = (&chunk["offset_in_frame"], &chunk["bytes"]);
            let _ = write!(text, " chunk@{at}+{bytes}");
        }
        text.push('\n');
    }
    let toc = &dump["toc"];
    head(&mut text, &toc["offset"]);
    let (stored, bytes, version) = (&toc["bytes"], &toc["decoded_bytes"], &toc["version"]);
    let (digest, checksum) = (word(&toc["digest"]), word(&toc["stored_digest"]));
    let _ = writeln!(
        text,
        "toc: stored={stored} bytes={bytes} digest={digest} checksum={checksum} version={version}"
    );
    for (index, entry) in array(&toc["toc_entries"]).iter().enumerate() {
        head(&mut text, &toc["offset"]);
        let _ = writeln!(text, "entry {index}: {entry}");
    }
    let split = &dump["tar_split"];
    if !split.is_null() {
        head(&mut text, &split["offset"]);
        let (stored, bytes) = (&split["bytes"], &split["decoded_bytes"]);
        let (digest, tar) = (word(&split["digest"]), &split["tar_bytes"]);
        let _ = writeln!(
            text,
            "tar-split: stored={stored} bytes={bytes} digest={digest} tar={tar}"
        );
        for (index, item) in array(&split["tar_split_items"]).iter().enumerate() {
            head(&mut text, &split["offset"]);
            let _ = writeln!(text, "item {index}: {item}");
        }
    }
    let footer = &dump["footer"];
    head(&mut text, &footer["offset"]);
    let (bytes, dialect) = (&footer["bytes"], word(&dump["dialect"]));
    let _ = writeln!(text, "footer: bytes={bytes} dialect={dialect}");
    text
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("none")
}

fn head(text: &mut String, offset: &Value) {
    let _ = write!(text, "{:#010x} ", offset.as_u64().unwrap_or_default());
}
