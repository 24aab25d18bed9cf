//! Unpacks an image into a new directory, or into a tar file.

mod common;

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use common::open::{OpenArgs, is_stream};
use common::output::OutputArgs;
use common::progress::Bar;
use common::{Failure, Outcome};
use lazyoci::convert::{Ownership, Report, TarOptions, UnpackOptions, to_tar, unpack};
use lazyoci::frame_codec::Compression;
use serde_json::Value;

/// Unpack an image into a new directory, or into a tar file
#[derive(Parser)]
#[command(version)]
struct Args {
    /// A layer, a RAFS bootstrap or blob, an EROFS image, a directory, or a whole image, as in `oci:DIR:TAG`
    image: PathBuf,
    /// A new directory; a file whose name ends in `.tar`, `.tar.gz` or `.tar.zst`; or `-` for a tar
    /// on stdout
    output: PathBuf,
    /// Leave out what the target cannot hold (devices, attributes), and report it
    #[arg(long)]
    lossy: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    open: OpenArgs,
    #[command(flatten)]
    outputs: OutputArgs,
}

fn main() -> ExitCode {
    // Stdout may be the output itself.
    common::main(|args: &Args| args.json && !is_stream(&args.output), run)
}

fn run(args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let tar = tar_compression(&args.output)?;
    args.outputs.check(&args.output)?;
    let image = args.open.open(&args.image)?;
    let mut bar = Bar::new("unpacking");
    let (report, mut object) = if let Some(compression) = tar {
        let options = TarOptions::default()
            .compression(compression)
            .lossy(args.lossy);
        let mut output = args.outputs.file(&args.output, out)?;
        let tar = to_tar(&image, &mut *output, &options, &mut bar)?;
        (tar.report.clone(), common::object(&tar)?)
    } else {
        let options = UnpackOptions::default().lossy(args.lossy);
        if options.ownership == Ownership::Caller {
            common::note("the files are owned by you: only root can restore their owners");
        }
        let directory = args.outputs.directory(&args.output)?;
        let report = unpack(&image, directory.path(), &options, &mut bar)?;
        directory.commit()?;
        let object = common::object(&report)?;
        (report, object)
    };
    drop(bar);
    object["image"] = args.image.display().to_string().into();
    object["format"] = format_name(tar).into();
    common::say(&args.output, out, |out| say(args, &report, object, out))?;
    Ok(Outcome::Done)
}

/// What the output is, as `inspect` calls it.
fn format_name(tar: Option<Compression>) -> &'static str {
    match tar {
        None => "directory",
        Some(Compression::None) => "tar",
        Some(Compression::Zstd { .. }) => "tar-zstd",
        Some(_) => "tar-gzip",
    }
}

/// The compression of the tar that `output` names; `None` if it names a directory.
fn tar_compression(output: &Path) -> Result<Option<Compression>, Failure> {
    if is_stream(output) {
        return Ok(Some(Compression::None));
    }
    let extension = output.extension().and_then(OsStr::to_str);
    let inner = output.file_stem().map(Path::new).and_then(Path::extension);
    Ok(match extension {
        Some("tar") => Some(Compression::None),
        Some("tgz") => Some(Compression::Libdeflate { level: 6 }),
        Some("tzst") => Some(Compression::Zstd { level: 3 }),
        Some(extension) if inner.is_some_and(|inner| inner == "tar") => match extension {
            "gz" => Some(Compression::Libdeflate { level: 6 }),
            "zst" => Some(Compression::Zstd { level: 3 }),
            other => {
                let why = format!("{}: cannot compress a tar as `{other}`", output.display());
                return Err(Failure::usage(why));
            }
        },
        _ => None,
    })
}

fn say(
    args: &Args,
    report: &Report,
    mut object: Value,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if args.json {
        object["output"] = args.output.display().to_string().into();
        return common::json(out, &object);
    }
    common::note_losses(report);
    let content = common::size(report.content_bytes);
    writeln!(
        out,
        "{}: {} inodes, {content} of content",
        args.output.display(),
        report.inodes
    )
    .map_err(Failure::usage)
}
