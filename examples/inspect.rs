//! Shows what an image is made of: format, flags, counts, blobs, digests, prefetch list.

mod common;

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use common::open::OpenArgs;
use common::{Failure, Outcome, estargz_dump};
use lazyoci::estargz_toc::Landmark;
use lazyoci::estargz_toc::image::Prefetch;
use lazyoci::model::walk::Walk;
use lazyoci::model::{FileKind, Image, Limits};
use lazyoci::oci_image::{Annotations, EstargzLayer};
use lazyoci::rafs_format::v6::Bootstrap;
use lazyoci::read::{Estargz, OpenImage};
use serde_json::{Value, json};

/// Show what an image is made of
#[derive(Parser)]
#[command(version)]
struct Args {
    /// A layer, a RAFS bootstrap or blob, or a directory
    image: PathBuf,
    /// Print every structure with its offset (RAFS, eStargz)
    #[arg(long)]
    dump: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    open: OpenArgs,
}

fn main() -> ExitCode {
    common::main(|args: &Args| args.json, run)
}

fn run(args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let image = args.open.open(&args.image)?;
    if args.dump {
        return dump(args, &image, out);
    }
    let value = describe(&image)?;
    if args.json {
        common::json(out, &value)?;
    } else {
        let mut text = String::new();
        outline(&mut text, &value, 0);
        out.write_all(text.as_bytes()).map_err(Failure::usage)?;
    }
    Ok(Outcome::Done)
}

fn dump(args: &Args, image: &OpenImage, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let (value, text) = if image.estargz().is_some() {
        let value = estargz_dump::dump(&args.image)?;
        let text = estargz_dump::lines(&value);
        (value, text)
    } else if let Some(bootstrap) = image.bootstrap() {
        let mut text = String::new();
        bootstrap.dump(&mut text).map_err(Failure::usage)?;
        let structures: Vec<Value> = text.lines().map(structure).collect();
        let format = image.format().to_string();
        (json!({ "format": format, "structures": structures }), text)
    } else {
        let what = format!("a {} has no structures to dump", image.format());
        return Err(Failure::usage(what));
    };
    if args.json {
        common::json(out, &value)?;
    } else {
        out.write_all(text.as_bytes()).map_err(Failure::usage)?;
    }
    Ok(Outcome::Done)
}

/// A line of a bootstrap's dump: offset, structure, values.
fn structure(line: &str) -> Value {
    let parse = || {
        let (offset, rest) = line.strip_prefix("0x")?.split_once(' ')?;
        let offset = u64::from_str_radix(offset, 16).ok()?;
        let (name, values) = rest.split_once(": ").unwrap_or((rest, ""));
        Some(json!({ "offset": offset, "structure": name, "values": values }))
    };
    parse().unwrap_or_else(|| json!({ "text": line }))
}

fn describe(opened: &OpenImage) -> Result<Value, Failure> {
    let image = opened.image();
    let blobs: Vec<Value> = image
        .blobs()
        .iter()
        .map(|blob| {
            json!({
                "id": blob.id.as_str(),
                "stored_bytes": blob.stored_len,
                "decoded_bytes": blob.decoded_len,
                "chunks": blob.chunk_count,
            })
        })
        .collect();
    let mut value = json!({
        "format": opened.format().to_string(),
        "counts": counts(image)?,
        "blobs": blobs,
        "metadata_bytes_read": opened.metadata_stats().bytes,
    });
    if let Some(bootstrap) = opened.bootstrap() {
        value["rafs"] = describe_rafs(bootstrap);
    }
    if let Some(estargz) = opened.estargz() {
        value["estargz"] = describe_estargz(estargz);
    }
    Ok(value)
}

fn counts(image: &dyn Image) -> Result<Value, Failure> {
    let (mut paths, mut content) = (0u64, 0u64);
    let mut kinds = [0u64; 7];
    let mut walk = Walk::new(image, &Limits::default());
    while let Some(entry) = walk.next_entry() {
        let attributes = entry?.attributes;
        paths += 1;
        kinds[attributes.kind as usize] += 1;
        if attributes.kind == FileKind::File {
            content = content.saturating_add(attributes.size);
        }
    }
    let [
        directories,
        files,
        symlinks,
        char_devices,
        block_devices,
        fifos,
        sockets,
    ] = kinds;
    Ok(json!({
        "paths": paths,
        "directories": directories,
        "files": files,
        "symlinks": symlinks,
        "char_devices": char_devices,
        "block_devices": block_devices,
        "fifos": fifos,
        "sockets": sockets,
        "content_bytes": content,
    }))
}

fn describe_rafs(bootstrap: &Bootstrap) -> Value {
    let ext = bootstrap.ext_superblock();
    let prefetch: Vec<u64> = bootstrap.prefetch().map(|ino| ino.0).collect();
    json!({
        "version": 6,
        "bootstrap_bytes": bootstrap.bytes().len(),
        "flags": format!("{:#x}", ext.flags.bits()),
        "chunk_size": ext.chunk_size,
        "chunk_records": bootstrap.chunk_record_count(),
        "prefetch_inodes": prefetch,
        "blob_features": bootstrap
            .blob_entries()
            .iter()
            .map(|entry| format!("{:#x}", entry.features.bits()))
            .collect::<Vec<_>>(),
    })
}

fn describe_estargz(estargz: &Estargz) -> Value {
    let mut annotations = Annotations::default();
    let layer = EstargzLayer {
        toc_digest: estargz.toc.digest,
        uncompressed_size: None,
    };
    layer.write(&mut annotations);
    json!({
        "toc_digest": estargz.toc.digest.to_string(),
        "toc_offset": estargz.toc_offset,
        "toc_bytes": estargz.toc_len,
        "prefetch_bytes": match estargz.toc.prefetch {
            Some(Prefetch::UpTo(end)) => Some(end),
            Some(Prefetch::Nothing) => Some(0),
            None => None,
        },
        "landmark": estargz.toc.prefetch.map(|prefetch| match prefetch {
            Prefetch::UpTo(_) => Landmark::Prefetch.name(),
            Prefetch::Nothing => Landmark::NoPrefetch.name(),
        }),
        "annotations": annotations,
    })
}

/// The same for people: `key: value`, nested things indented.
fn outline(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    let Value::Object(fields) = value else { return };
    for (key, value) in fields {
        let key = key.replace('_', " ");
        // Writing to a string does not fail.
        let _ = match value {
            Value::Object(_) => {
                let result = writeln!(text, "{indent}{key}:");
                outline(text, value, depth + 1);
                result
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                let result = writeln!(text, "{indent}{key}:");
                for item in items {
                    let _ = writeln!(text, "{indent}  -");
                    outline(text, item, depth + 2);
                }
                result
            }
            Value::String(value) => writeln!(text, "{indent}{key}: {value}"),
            other => writeln!(text, "{indent}{key}: {other}"),
        };
    }
}
