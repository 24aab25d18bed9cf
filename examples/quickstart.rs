//! The main job on a built-in default: convert to every format that can be written, verify each,
//! prove that all hold the same tree, read one file lazily from each.

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use common::interrupt::Interruptible;
use common::open::OpenArgs;
use common::progress::Bar;
use common::{Failure, Outcome, note, size};
use lazyoci::blob_io::{DirectoryOutput, FileOutput};
use lazyoci::convert::{EstargzOptions, RafsOptions, TarOptions, to_estargz, to_rafs_v6, to_tar};
use lazyoci::frame_codec::Compression;
use lazyoci::model::walk::Walk;
use lazyoci::model::{FileKind, ImagePath, Limits};
use lazyoci::read::{Follow, OpenImage, VerifyOptions};
use lazyoci::verify::{Profile, TreeDigest};
use serde_json::{Value, json};

/// Convert to every format, verify, compare, read one file lazily; print a table
#[derive(Parser)]
#[command(version)]
struct Args {
    /// A layer, a RAFS bootstrap or blob, or a directory [default: this workspace's own sources]
    image: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    open: OpenArgs,
}

fn main() -> ExitCode {
    common::main(|args: &Args| args.json, run)
}

/// What an image is converted to.
#[derive(Clone, Copy)]
enum Target {
    Rafs,
    Estargz,
    Tar,
}

const TARGETS: [(&str, Target, Compression); 6] = [
    ("rafs-v6 zstd", Target::Rafs, Compression::Zstd { level: 3 }),
    ("rafs-v6 lz4", Target::Rafs, Compression::Lz4Block),
    ("rafs-v6 none", Target::Rafs, Compression::None),
    (
        "estargz",
        Target::Estargz,
        Compression::Libdeflate { level: 6 },
    ),
    (
        "tar-gzip",
        Target::Tar,
        Compression::Libdeflate { level: 6 },
    ),
    ("tar-zstd", Target::Tar, Compression::Zstd { level: 3 }),
];

/// One format, measured.
struct Row {
    format: &'static str,
    bytes: u64,
    metadata_bytes: u64,
    seconds: f64,
    digest: TreeDigest,
    bytes_touched: u64,
}

fn run(args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates");
    let input = args.image.as_deref().unwrap_or(&sources);
    let source = args.open.open(input)?;
    let expected = digest(&source)?;
    let file = largest_file(&source)?;
    // The directory is to be removed when a signal ends the work, too.
    let _interruptible = Interruptible::new();
    let work = tempfile::tempdir().map_err(Failure::usage)?;
    let mut rows = Vec::new();
    for (format, target, compression) in TARGETS {
        let output = work.path().join(format);
        let mut bar = Bar::new(format);
        let start = Instant::now();
        let bytes = convert(&source, (target, compression), &output, &mut bar)?;
        let seconds = start.elapsed().as_secs_f64();
        drop(bar);
        let image = match target {
            Target::Rafs => output.join("image.boot"),
            Target::Estargz | Target::Tar => output,
        };
        let image = args.open.open(&image)?;
        // First: later all of it has been read, and some of that is still in memory.
        let bytes_touched = touch(&image, file.as_ref())?;
        verify(format, &image)?;
        let digest = digest(&image)?;
        rows.push(Row {
            format,
            bytes,
            metadata_bytes: image.metadata_stats().bytes,
            seconds,
            digest,
            bytes_touched,
        });
    }
    let equal = rows.iter().all(|row| row.digest == expected);
    if args.json {
        common::json(out, &as_json(input, expected, file.as_ref(), equal, &rows))?;
    } else {
        table(out, input, expected, file.as_ref(), &rows).map_err(Failure::usage)?;
    }
    if equal {
        return Ok(Outcome::Done);
    }
    Err(Failure::bad("the formats do not hold the same tree"))
}

/// Writes `source` to `output`; answers how many bytes that took.
fn convert(
    source: &OpenImage,
    (target, compression): (Target, Compression),
    output: &Path,
    bar: &mut Bar,
) -> Result<u64, Failure> {
    let report = match target {
        Target::Rafs => {
            let options = RafsOptions::default().compression(compression);
            let mut directory = DirectoryOutput::create(output)?;
            to_rafs_v6(source, &mut directory, &options, bar)?.report
        }
        Target::Estargz => {
            let options = EstargzOptions::default().compression(compression);
            to_estargz(source, &mut FileOutput::create(output)?, &options, bar)?.report
        }
        Target::Tar => {
            let options = TarOptions::default().compression(compression);
            to_tar(source, &mut FileOutput::create(output)?, &options, bar)?.report
        }
    };
    Ok(report.bytes_out)
}

fn digest(image: &OpenImage) -> Result<TreeDigest, Failure> {
    Ok(image.tree_digest(Profile::Default, &mut Bar::new("digesting"))?)
}

/// Verifies everything in `image`, which is in `format`.
fn verify(format: &str, image: &OpenImage) -> Result<(), Failure> {
    let options = VerifyOptions::default();
    let mut bar = Bar::new("verifying");
    let summary = image.verify(&options, &mut bar, &mut |found| note(found))?;
    match summary.findings {
        0 => Ok(()),
        findings => Err(Failure::bad(format!("{format}: {findings} faults"))),
    }
}

/// Reads 4 KiB from the middle of `file`; answers how many bytes were fetched for that.
fn touch(image: &OpenImage, file: Option<&ImagePath>) -> Result<u64, Failure> {
    let Some(file) = file else { return Ok(0) };
    let ino = image.resolve(file.as_bytes(), Follow::Never)?;
    let middle = image.image().attributes(ino)?.size / 2;
    let before = image.stats().bytes;
    image.read_range(ino, middle..middle + 4096, &mut std::io::sink())?;
    Ok(image.stats().bytes - before)
}

/// The file that is read lazily; an image may have none.
fn largest_file(image: &OpenImage) -> Result<Option<ImagePath>, Failure> {
    let mut largest = (0, None);
    let mut walk = Walk::new(image.image(), &Limits::default());
    while let Some(entry) = walk.next_entry() {
        let entry = entry?;
        let a = entry.attributes;
        if a.kind == FileKind::File && (largest.1.is_none() || a.size > largest.0) {
            largest = (a.size, Some(entry.path.clone()));
        }
    }
    Ok(largest.1)
}

fn table(
    out: &mut dyn Write,
    input: &Path,
    expected: TreeDigest,
    file: Option<&ImagePath>,
    rows: &[Row],
) -> std::io::Result<()> {
    writeln!(out, "{}: {expected}", input.display())?;
    match file {
        Some(file) => writeln!(out, "lazy read: 4 KiB in the middle of {file}\n")?,
        None => writeln!(out, "lazy read: none, there is no regular file\n")?,
    }
    writeln!(
        out,
        "{:<14}{:>12}{:>12}{:>10}{:>12}  tree",
        "format", "size", "metadata", "time", "lazy read"
    )?;
    for row in rows {
        writeln!(
            out,
            "{:<14}{:>12}{:>12}{:>8.2} s{:>12}  {}",
            row.format,
            size(row.bytes),
            size(row.metadata_bytes),
            row.seconds,
            size(row.bytes_touched),
            if row.digest == expected {
                "same"
            } else {
                "DIFFERS"
            },
        )?;
    }
    let same = rows.iter().filter(|row| row.digest == expected).count();
    let all = rows.len();
    writeln!(
        out,
        "\nEvery structure and chunk of all {all} was verified; {same} hold the same tree."
    )
}

fn as_json(
    input: &Path,
    expected: TreeDigest,
    file: Option<&ImagePath>,
    equal: bool,
    rows: &[Row],
) -> Value {
    let formats: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "format": row.format,
                "bytes": row.bytes,
                "metadata_bytes": row.metadata_bytes,
                "seconds": row.seconds,
                "digest": row.digest.to_string(),
                "bytes_touched": row.bytes_touched,
            })
        })
        .collect();
    json!({
        "input": input.display().to_string(),
        "digest": expected.to_string(),
        "file": file.map(ToString::to_string),
        "equal": equal,
        "formats": formats,
    })
}
