//! Every structure of an eStargz layer: gzip members, TOC, footer.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;
use lazyoci::estargz_toc::footer::{self, FOOTER_LEN};
use lazyoci::estargz_toc::image::TocKind;
use lazyoci::estargz_toc::toc::{EntryType, TOC_NAME, Toc};
use lazyoci::read::OpenImage;
use serde_json::{Value, json};

use super::Failure;

/// The structures of the eStargz layer at `path`, as one JSON object. Reads the whole layer, since only the members
/// themselves tell their lengths.
pub fn dump(path: &Path, image: &OpenImage) -> Result<Value, Failure> {
    let missing = || Failure::usage("the layer has no TOC");
    let opened = image.read_toc()?.ok_or_else(missing)?;
    let toc = Toc::from_json(&opened.json, image.limits())?;
    let footer_len = match opened.kind {
        TocKind::Legacy => footer::legacy::LEN,
        TocKind::External => footer::external::LEN,
        _ => FOOTER_LEN,
    };
    let footer_offset = opened.blob_len - footer_len as u64;
    let mut contents = contents(&toc);
    if opened.kind != TocKind::External {
        contents.insert(opened.toc_offset, vec![json!({ "name": TOC_NAME })]);
    }
    let layer = BufReader::new(File::open(path).map_err(Failure::usage)?);
    Ok(json!({
        "members": members(layer, footer_offset, &contents),
        "toc": {
            "offset": opened.toc_offset,
            "bytes": opened.json.len(),
            "digest": opened.digest.to_string(),
            "version": toc.version,
            "toc_entries": toc.entries,
        },
        "footer": {
            "offset": footer_offset,
            "bytes": footer_len,
            "toc_offset": opened.toc_offset,
        },
    }))
}

/// The same as text, one structure per line.
pub fn lines(dump: &Value) -> String {
    let mut text = String::new();
    for (index, member) in array(&dump["members"]).iter().enumerate() {
        let start = head(&mut text, &member["offset"]);
        if let Some(error) = member["error"].as_str() {
            line(start, format_args!("member {index}: ! {error}"));
            continue;
        }
        let mut holds = String::new();
        for content in array(&member["holds"]) {
            let name = content["name"].as_str().unwrap_or_default();
            let _ = write!(holds, " `{}`", name.escape_debug());
            if !content["chunk_offset"].is_null() {
                let at = &content["chunk_offset"];
                let _ = write!(holds, "@{at}+{}", content["bytes"]);
            }
        }
        if holds.is_empty() {
            holds = " tar headers".into();
        }
        let (stored, decoded) = (&member["bytes"], &member["decoded_bytes"]);
        line(
            start,
            format_args!("member {index}: stored={stored} decoded={decoded}{holds}"),
        );
    }
    let toc = &dump["toc"];
    let start = head(&mut text, &toc["offset"]);
    let digest = toc["digest"].as_str().unwrap_or_default();
    let (bytes, version) = (&toc["bytes"], &toc["version"]);
    line(
        start,
        format_args!("toc: bytes={bytes} digest={digest} version={version}"),
    );
    for (index, entry) in array(&toc["toc_entries"]).iter().enumerate() {
        let start = head(&mut text, &toc["offset"]);
        line(start, format_args!("entry {index}: {entry}"));
    }
    let footer = &dump["footer"];
    let start = head(&mut text, &footer["offset"]);
    let (bytes, toc_offset) = (&footer["bytes"], &footer["toc_offset"]);
    line(
        start,
        format_args!("footer: bytes={bytes} toc_offset={toc_offset}"),
    );
    text
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn head<'a>(text: &'a mut String, offset: &Value) -> &'a mut String {
    let _ = write!(text, "{:#010x} ", offset.as_u64().unwrap_or_default());
    text
}

fn line(text: &mut String, what: impl std::fmt::Display) {
    let _ = writeln!(text, "{what}");
}

/// The contents of members according to the TOC, by member offset.
fn contents(toc: &Toc<'_>) -> BTreeMap<u64, Vec<Value>> {
    let mut contents: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
    let mut size = 0;
    for entry in &toc.entries {
        if entry.kind == EntryType::Reg {
            size = entry.size;
        }
        let has_content = match entry.kind {
            EntryType::Reg => entry.size > 0,
            EntryType::Chunk => true,
            _ => false,
        };
        let Ok(offset) = u64::try_from(entry.offset) else {
            continue;
        };
        if has_content {
            let bytes = match entry.chunk_size {
                0 => size.saturating_sub(entry.chunk_offset),
                bytes => bytes,
            };
            contents.entry(offset).or_default().push(json!({
                "name": entry.name,
                "chunk_offset": entry.chunk_offset,
                "bytes": bytes,
                "inner_offset": entry.inner_offset,
            }));
        }
    }
    contents
}

/// Every gzip member up to `end`; the last one may be an error.
fn members(layer: impl BufRead, end: u64, contents: &BTreeMap<u64, Vec<Value>>) -> Vec<Value> {
    let mut layer = Counted { layer, position: 0 };
    let mut members = Vec::new();
    while layer.position < end {
        let offset = layer.position;
        let holds = contents.get(&offset).map_or(&[][..], Vec::as_slice);
        let mut decoder = GzDecoder::new(&mut layer);
        let decoded = match io::copy(&mut decoder, &mut io::sink()) {
            Ok(decoded) => decoded,
            Err(error) => {
                members.push(json!({ "offset": offset, "error": error.to_string() }));
                break;
            }
        };
        members.push(json!({
            "offset": offset,
            "bytes": layer.position - offset,
            "decoded_bytes": decoded,
            "holds": holds,
        }));
    }
    members
}

/// Counts the bytes read.
struct Counted<R> {
    layer: R,
    position: u64,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.layer.read(buf)?;
        self.position += len as u64;
        Ok(len)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.layer.fill_buf()
    }

    fn consume(&mut self, len: usize) {
        self.position += len as u64;
        self.layer.consume(len);
    }
}
