//! Writes a file of an image to stdout: only the frames that it needs are fetched, all are verified.

mod common;

use std::io::Write;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use common::open::OpenArgs;
use common::{Failure, Outcome};

/// Write a file of an image to stdout, lazily and verified
#[derive(Parser)]
struct Args {
    /// A layer, a RAFS bootstrap or blob, or a directory
    image: PathBuf,
    /// The file in the image
    path: PathBuf,
    /// Only this range, in bytes
    #[arg(long, value_name = "OFFSET:LEN", value_parser = parse_range)]
    range: Option<Range<u64>>,
    /// Print requests and bytes fetched on stderr
    #[arg(long)]
    stats: bool,
    #[command(flatten)]
    open: OpenArgs,
}

fn parse_range(text: &str) -> Result<Range<u64>, String> {
    let parse = || {
        let (offset, len) = text.split_once(':')?;
        let offset: u64 = offset.parse().ok()?;
        Some(offset..offset.checked_add(len.parse().ok()?)?)
    };
    parse().ok_or_else(|| "expected OFFSET:LEN, two numbers of bytes".into())
}

fn main() -> ExitCode {
    common::main(run)
}

fn run(args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let image = args.open.open(&args.image)?;
    let ino = common::open::resolve(&image, &args.path)?;
    let range = args.range.clone().unwrap_or(0..u64::MAX);
    image.read_range(ino, range, out)?;
    if args.stats {
        let (metadata, content) = (image.metadata_stats(), image.stats());
        common::note(format_args!(
            "metadata: {} requests, {} bytes; content: {} requests, {} bytes",
            metadata.requests, metadata.bytes, content.requests, content.bytes
        ));
    }
    Ok(Outcome::Done)
}
