//! TOCs that are refused, each with entry, name and reason.

mod chunks;
mod names;
mod values;

use lazyoci_estargz_toc::error::{EntryFault, TocError};
use lazyoci_estargz_toc::image::{EstargzImage, ImageOptions, TocBlob, TocKind, decode_image};

use crate::common::blob_id;
use verify::sha256;

const CONTENT_LEN: u64 = 10_000;

fn decode_with(entries: &str, options: &ImageOptions) -> Result<EstargzImage, TocError> {
    let one = sha256(b"1").to_string();
    let json = format!(r#"{{"version": 1, "entries": [{entries}]}}"#)
        .replace(
            "$D",
            &format!(r#""digest": "{one}", "chunkDigest": "{one}""#),
        )
        .replace("$C", &format!(r#""chunkDigest": "{one}""#))
        .replace("$W", &format!(r#""digest": "{one}""#));
    decode_json(json.as_bytes(), options)
}

fn decode_json(json: &[u8], options: &ImageOptions) -> Result<EstargzImage, TocError> {
    let blob = TocBlob {
        kind: TocKind::Estargz,
        id: blob_id(),
        len: CONTENT_LEN + 1000,
        content_len: CONTENT_LEN,
    };
    decode_image(json, blob, options)
}

fn decode(entries: &str) -> Result<EstargzImage, TocError> {
    decode_with(entries, &ImageOptions::default())
}

/// `entries` are refused at the entry `index` called `name`, for `fault`.
#[track_caller]
fn refused(entries: &str, index: usize, name: &str, fault: &EntryFault) {
    refused_with(entries, &ImageOptions::default(), index, name, fault);
}

#[track_caller]
fn refused_with(
    entries: &str,
    options: &ImageOptions,
    index: usize,
    name: &str,
    fault: &EntryFault,
) {
    match decode_with(entries, options) {
        Err(TocError::Entry {
            index: found_index,
            name: found_name,
            fault: found,
        }) => {
            assert_eq!((&found, found_index, &*found_name), (fault, index, name));
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn accepted(entries: &str) -> EstargzImage {
    decode(entries).unwrap()
}

const DIR: &str = r#"{"name": "d/", "type": "dir"}"#;
const FILE: &str = r#"{"name": "f", "type": "reg", "size": 1, "offset": 5, $D}"#;
