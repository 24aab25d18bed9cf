//! Unpacks an image into a new directory, into a tar file, or into a bundle for runc.

mod common;

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use common::open::{OpenArgs, is_stream};
use common::output::OutputArgs;
use common::progress::Bar;
use common::whole::Whole;
use common::{Failure, Outcome};
use lazyoci::blob_io::AtomicDir;
use lazyoci::convert::{Ownership, Report, TarOptions, UnpackOptions, to_tar, unpack};
use lazyoci::frame_codec::Compression;
use serde_json::Value;

/// Unpack an image into a new directory, into a tar file, or into a bundle for runc
#[derive(Parser)]
#[command(version)]
struct Args {
    /// A layer, a RAFS bootstrap or blob, an EROFS image, a directory, or a whole image, as in `oci:DIR:TAG` or
    /// `docker://HOST/REPOSITORY:TAG`
    image: PathBuf,
    /// A new directory; a file whose name ends in `.tar`, `.tar.gz` or `.tar.zst`; or `-` for a tar
    /// on stdout
    output: PathBuf,
    /// Make a bundle for runc: a new directory with `config.json`, made from the image's configuration, and the files
    /// in `rootfs` (whole images)
    #[arg(long)]
    bundle: bool,
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
    if args.bundle {
        return bundle(args, out);
    }
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
        let directory = args.outputs.directory(&args.output)?;
        let report = unpack(&image, directory.path(), &options(args), &mut bar)?;
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

fn options(args: &Args) -> UnpackOptions {
    let options = UnpackOptions::default().lossy(args.lossy);
    if options.ownership == Ownership::Caller {
        common::note("the files are owned by you: only root can restore their owners");
    }
    options
}

/// Makes a directory that nobody else may enter, as what is in it may be run with the rights of its owner.
fn bundle(args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let refused = |what| Failure::usage(what).of(args.image.display());
    if is_stream(&args.output) {
        return Err(Failure::usage("-: a bundle is a directory"));
    }
    if args.open.layer.is_some() {
        return Err(refused(
            "a bundle contains all layers, so --layer cannot be given",
        ));
    }
    args.outputs.check(&args.output)?;
    let whole = Whole::find(&args.image, &args.open)?;
    let whole = whole.ok_or_else(|| {
        refused("a bundle is made from a whole image, given as `oci:DIR:TAG` for example")
    })?;
    let image = whole.open(&args.open)?;
    let config = whole.image().container_config(&image);
    let config = config.map_err(|error| Failure::from(error).of(args.image.display()))?;
    let directory = args.outputs.directory(&args.output)?;
    let bundle = AtomicDir::create(directory.path())?;
    let private = fs::Permissions::from_mode(0o700);
    fs::set_permissions(bundle.path(), private).map_err(Failure::usage)?;
    let mut bar = Bar::new("unpacking");
    let rootfs = bundle.path().join("rootfs");
    let report = unpack(&image, &rootfs, &options(args), &mut bar)?;
    drop(bar);
    let text = serde_json::to_string_pretty(&config).map_err(Failure::usage)?;
    fs::write(bundle.path().join("config.json"), text + "\n").map_err(Failure::usage)?;
    bundle.commit()?;
    directory.commit()?;
    let mut object = common::object(&report)?;
    object["image"] = args.image.display().to_string().into();
    object["format"] = "bundle".into();
    say(args, &report, object, out)?;
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
        "{}: {}, {content} of content",
        args.output.display(),
        common::count(report.inodes, "inode")
    )
    .map_err(Failure::usage)
}
