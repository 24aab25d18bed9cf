//! Writes the index of a gzip layer, by which it is read lazily as it is.

mod common;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use common::incoming::Incoming;
use common::open::{is_read_once, is_stream};
use common::output::OutputArgs;
use common::progress::Bar;
use common::{Failure, Outcome};
use lazyoci::blob_io::{DigestWriter, ObjectRole, Written};
use lazyoci::read::gzip_index::{GzipIndex, IndexOptions};
use lazyoci::read::soci_ztoc::{WINDOW_LEN, Zinfo};
use lazyoci::read::{LayerIndex, ZtocOptions};
use lazyoci::tar_stream::TarReadOptions;
use serde_json::json;

/// Write the index of a gzip layer, or a zTOC as `soci` does, also of a layer that is not compressed, which `cat`, `ls`, `digest`, `verify`, `inspect`, `convert` and others take as
/// `--index`
#[derive(Parser)]
#[command(version)]
struct Args {
    /// A gzip layer, of any number of members; for `soci` also a tar; `-` is stdin
    layer: PathBuf,
    /// The index to write; `-` is stdout
    output: PathBuf,
    /// Format of the index: `own`, or `soci` for a zTOC, which is some twenty times as long
    #[arg(long, value_name = "FORMAT", default_value = "own")]
    format: IndexFormat,
    /// Bytes between two places where decoding can begin, compressed for `own`, of the tar for `soci`; even a small read
    /// decodes that many [default: 1MiB, for `soci` 4MiB]
    #[arg(long, value_name = "SIZE", value_parser = span)]
    span: Option<u32>,
    /// Accept tars that strict reading refuses, as Go does
    #[arg(long)]
    lenient: bool,
    /// Ignore bytes after the last gzip member, as gzip does
    #[arg(long)]
    ignore_trailing: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    outputs: OutputArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum IndexFormat {
    Own,
    Soci,
}

fn main() -> ExitCode {
    // Stdout may be the output itself.
    common::main(|args: &Args| args.json && !is_stream(&args.output), run)
}

/// A length of spans: some blocks, and no more than readers decode at once.
fn span(text: &str) -> Result<u32, String> {
    let len = common::bytes::parse(text)?;
    match u32::try_from(len) {
        Ok(len @ 0x1000..=0x0200_0000) => Ok(len),
        _ => Err("a span has 4 KiB to 32 MiB".into()),
    }
}

fn run(args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
    args.outputs.check(&args.output)?;
    if args.ignore_trailing && matches!(args.format, IndexFormat::Soci) {
        let what = "--ignore-trailing is for --format own: soci refuses layers with trailing bytes";
        return Err(Failure::usage(what));
    }
    let mut bar = Bar::new("indexing");
    let layer = open(args, &mut bar)?;
    let tar = TarReadOptions::default().lenient(args.lenient);
    let index = match args.format {
        IndexFormat::Own => {
            let options = IndexOptions::default().ignore_trailing(args.ignore_trailing);
            let span = args.span.unwrap_or(options.max_stored_span);
            LayerIndex::build(layer, &options.max_stored_span(span), &tar, &mut bar)
        }
        IndexFormat::Soci => {
            let options = ZtocOptions::default();
            let span = args.span.map_or(options.span_size, u64::from);
            LayerIndex::build_ztoc(layer, &options.span_size(span), &tar, &mut bar)
        }
    };
    let index = index.map_err(|error| Failure::from(error).of(args.layer.display()))?;
    drop(bar);
    let written = {
        let mut output = args.outputs.file(&args.output, out)?;
        let mut object = DigestWriter::new(output.begin(ObjectRole::Layer)?);
        index.write_to(&mut object).map_err(Failure::usage)?;
        let (object, written) = object.finish();
        object.finish(&written)?;
        output.commit()?;
        written
    };
    common::say(&args.output, out, |out| say(args, &index, &written, out))?;
    Ok(Outcome::Done)
}

/// The layer, read once from front to back.
fn open(args: &Args, bar: &mut Bar) -> Result<Box<dyn Read>, Failure> {
    if is_stream(&args.layer) {
        return Ok(Box::new(
            Incoming::new(io::stdin()).map_err(Failure::usage)?,
        ));
    }
    let of = |error| Failure::usage(error).of(args.layer.display());
    let file = File::open(&args.layer).map_err(of)?;
    if is_read_once(&args.layer) {
        return Ok(Box::new(Incoming::new(file).map_err(of)?));
    }
    let len = file.metadata().map_err(of)?.len();
    Ok(Box::new(bar.meter(file, len)))
}

fn say(
    args: &Args,
    index: &LayerIndex,
    written: &Written,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let gzip = index.gzip();
    let layer = gzip.and_then(GzipIndex::stored_digest);
    let layer = layer.map(|digest| digest.to_string());
    if args.json {
        let windows = match index.ztoc().map(|ztoc| &ztoc.zinfo) {
            Some(Zinfo::Gzip(zinfo)) => (zinfo.count() as u64).saturating_mul(WINDOW_LEN as u64),
            _ => gzip.map_or(0, GzipIndex::windows_len),
        };
        let value = json!({
            "image": args.layer.display().to_string(),
            "output": args.output.display().to_string(),
            "format": if gzip.is_some() { "own" } else { "soci" },
            "digest": written.digest.to_string(),
            "bytes": written.len,
            "layer_digest": layer,
            "layer_bytes": index.stored_len(),
            "decoded_bytes": index.decoded_len(),
            "spans": index.span_count(),
            "window_bytes": windows,
            "header_bytes": gzip.map_or(0, GzipIndex::kept_len),
        });
        return common::json(out, &value);
    }
    let tell = |out: &mut dyn Write| {
        let len = common::size(written.len);
        let spans = common::count(index.span_count() as u64, "span");
        writeln!(out, "{}: {len}, {spans}", args.output.display())?;
        writeln!(out, "index {}", written.digest)?;
        match &layer {
            Some(digest) => writeln!(out, "layer {digest}"),
            None => Ok(()),
        }
    };
    tell(out).map_err(Failure::usage)
}
