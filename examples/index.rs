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
use lazyoci::read::LayerIndex;
use lazyoci::read::gzip_index::IndexOptions;
use lazyoci::tar_stream::TarReadOptions;
use serde_json::json;

/// Write the index of a gzip layer, which `cat`, `ls`, `digest`, `verify`, `inspect`, `convert` and others take as
/// `--index`
#[derive(Parser)]
#[command(version)]
struct Args {
    /// A gzip layer, of any number of members; `-` is stdin
    layer: PathBuf,
    /// The index to write; `-` is stdout
    output: PathBuf,
    /// Format of the index
    #[arg(long, value_name = "FORMAT", default_value = "own")]
    format: IndexFormat,
    /// Compressed bytes between two places where decoding can begin; even a small read decodes that many
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = span)]
    span: u32,
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
    let mut bar = Bar::new("indexing");
    let layer = open(args, &mut bar)?;
    let options = IndexOptions::default()
        .max_stored_span(args.span)
        .ignore_trailing(args.ignore_trailing);
    let tar = TarReadOptions::default().lenient(args.lenient);
    let index = LayerIndex::build(layer, &options, &tar, &mut bar);
    let index = index.map_err(|error| Failure::from(error).of(args.layer.display()))?;
    drop(bar);
    let written = {
        let mut output = args.outputs.file(&args.output, out)?;
        let mut object = DigestWriter::new(output.begin(ObjectRole::Layer)?);
        object.write_all(index.bytes()).map_err(Failure::usage)?;
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
    let layer = gzip.stored_digest().map(|digest| digest.to_string());
    if args.json {
        let value = json!({
            "image": args.layer.display().to_string(),
            "output": args.output.display().to_string(),
            "format": "own",
            "digest": written.digest.to_string(),
            "bytes": written.len,
            "layer_digest": layer,
            "layer_bytes": gzip.stored_len(),
            "decoded_bytes": gzip.decoded_len(),
            "spans": gzip.spans().len(),
            "window_bytes": gzip.windows_len(),
            "header_bytes": gzip.kept_len(),
        });
        return common::json(out, &value);
    }
    let tell = |out: &mut dyn Write| {
        let len = common::size(written.len);
        let spans = common::count(gzip.spans().len() as u64, "span");
        writeln!(out, "{}: {len}, {spans}", args.output.display())?;
        writeln!(out, "index {}", written.digest)?;
        match &layer {
            Some(digest) => writeln!(out, "layer {digest}"),
            None => Ok(()),
        }
    };
    tell(out).map_err(Failure::usage)
}
