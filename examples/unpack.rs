//! Unpacks an image into a new directory, or into a tar file.

mod common;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use common::open::OpenArgs;
use common::progress::Bar;
use common::{Failure, Outcome};
use lazyoci::blob_io::AtomicFile;
use lazyoci::convert::{Report, TarOptions, UnpackOptions, to_tar, unpack};
use serde_json::json;

/// Unpack an image into a new directory, or into a tar file
#[derive(Parser)]
struct Args {
    /// A layer, a RAFS bootstrap or blob, or a directory
    image: PathBuf,
    /// A new directory; a file whose name ends in `.tar`; `-` for a tar on stdout
    output: PathBuf,
    /// Leave out what the target does not allow (devices, attributes), and report it
    #[arg(long)]
    lossy: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    open: OpenArgs,
}

fn main() -> ExitCode {
    common::main(run)
}

fn run(args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let image = args.open.open(&args.image)?;
    let reader = image.reader();
    let mut bar = Bar::new("unpacking");
    let report = if args.output == Path::new("-") {
        to_tar(reader, out, &tar_options(args), &mut bar)?
    } else if args.output.extension().is_some_and(|e| e == "tar") {
        let mut file = BufWriter::new(AtomicFile::create(&args.output)?);
        let options = tar_options(args);
        let report = to_tar(reader, &mut file, &options, &mut bar)?;
        let file = file
            .into_inner()
            .map_err(|e| Failure::usage(e.into_error()))?;
        file.commit()?;
        report
    } else {
        let options = UnpackOptions {
            lossy: args.lossy,
            ..UnpackOptions::default()
        };
        unpack(reader, &args.output, &options, &mut bar)?
    };
    drop(bar);
    common::say(&args.output, out, |out| say(args, &report, out))?;
    Ok(Outcome::Done)
}

fn tar_options(args: &Args) -> TarOptions {
    TarOptions {
        lossy: args.lossy,
        ..TarOptions::default()
    }
}

fn say(args: &Args, report: &Report, out: &mut dyn Write) -> Result<(), Failure> {
    let losses: Vec<String> = report.losses.iter().map(ToString::to_string).collect();
    if args.json {
        let value = json!({
            "output": args.output.display().to_string(),
            "inodes": report.inodes,
            "content_bytes": report.content_bytes,
            "losses": losses,
        });
        return common::json(out, &value);
    }
    for loss in losses {
        common::note(format_args!("lost: {loss}"));
    }
    let content = common::size(report.content_bytes);
    writeln!(
        out,
        "{}: {} inodes, {content} of content",
        args.output.display(),
        report.inodes
    )
    .map_err(Failure::usage)
}
