//! Writes a file from an image to stdout, fetching only the frames it needs and verifying each.

mod common;

use std::io::Write;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use common::open::OpenArgs;
use common::{Failure, Outcome, count};
use lazyoci::model::FileKind;
use lazyoci::read::ReadOptions;

/// Write a file from an image to stdout, lazily and verified
#[derive(Parser)]
#[command(version)]
struct Args {
    /// A layer, a RAFS bootstrap or blob, an EROFS image, a directory, or a whole image, as in `oci:DIR:TAG` or
    /// `docker://HOST/REPOSITORY:TAG`
    image: PathBuf,
    /// The file in the image
    path: PathBuf,
    /// Only this byte range; truncated at the end of the file
    #[arg(long, value_name = "OFFSET:LEN", value_parser = parse_range)]
    range: Option<Range<u64>>,
    /// Print the number of requests and bytes fetched on stderr
    #[arg(long)]
    stats: bool,
    #[command(flatten)]
    open: OpenArgs,
}

fn parse_range(text: &str) -> Result<Range<u64>, String> {
    let (offset, len) = text
        .split_once(':')
        .ok_or("expected OFFSET:LEN, both in bytes")?;
    let (offset, len) = (common::bytes::parse(offset)?, common::bytes::parse(len)?);
    Ok(offset..offset.saturating_add(len))
}

fn main() -> ExitCode {
    common::main(|_| false, run)
}

fn run(args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let mut image = args.open.open(&args.image)?;
    // Adjacent frames of a blob are fetched in one request, up to the read-ahead window.
    let options = ReadOptions::default();
    let window = options.window;
    image.set_read_options(options.max_request(window));
    let ino = common::open::resolve(&image, &args.path)?;
    let attributes = image.image().attributes(ino)?;
    let (path, size) = (args.path.display(), attributes.size);
    if attributes.kind != FileKind::File {
        let what = format!("{path}: is a {}, not a file", attributes.kind);
        return Err(Failure::usage(what));
    }
    let range = args.range.clone().unwrap_or(0..size);
    if range.start >= size && !range.is_empty() {
        let what = format!("{path}: has {size} bytes, none at {}", range.start);
        return Err(Failure::usage(what));
    }
    let read = image.read_range(ino, range, out);
    read.map_err(|error| Failure::from(error).of(path))?;
    if args.stats {
        let (metadata, content) = (image.metadata_stats(), image.stats());
        common::note(format_args!(
            "metadata: {}, {}; content: {}, {}",
            count(metadata.requests, "request"),
            count(metadata.bytes, "byte"),
            count(content.requests, "request"),
            count(content.bytes, "byte"),
        ));
    }
    Ok(Outcome::Done)
}
