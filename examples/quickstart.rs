//! The main job on a built-in default: convert to every format that can be written, verify each,
//! prove that all hold the same tree, read one file lazily from each.

mod common;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use common::interrupt::Interruptible;
use common::open::OpenArgs;
use common::progress::Bar;
use common::{Failure, Outcome, chain, note, size};
use lazyoci::blob_io::AtomicFile;
use lazyoci::convert::{
    EstargzOptions, RafsOptions, Seekable, TarOptions, to_estargz, to_rafs_v6, to_tar,
};
use lazyoci::estargz_toc::compare::{CompareOptions, Disagreement, compare};
use lazyoci::frame_codec::Compression;
use lazyoci::model::walk::Walk;
use lazyoci::model::{Cancelled, FileKind, ImagePath, Limits, Progress};
use lazyoci::read::{Follow, OpenImage};
use lazyoci::verify::{AuditFault, AuditObserver, Profile, TreeDigest, audit, tree_digest};
use serde_json::{Value, json};

/// Convert to every format, verify, compare, read one file lazily; print a table
#[derive(Parser)]
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
    common::main(run)
}

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
    // The directory is to be removed on SIGINT too.
    let _interruptible = Interruptible::new();
    let work = tempfile::tempdir().map_err(Failure::usage)?;
    let mut rows = Vec::new();
    for (format, compression) in [
        ("rafs-v6 zstd", Compression::Zstd { level: 3 }),
        ("rafs-v6 lz4", Compression::Lz4Block),
        ("rafs-v6 none", Compression::None),
    ] {
        let output = work.path().join(format);
        let options = RafsOptions {
            compression,
            ..RafsOptions::default()
        };
        let start = Instant::now();
        let mut bar = Bar::new(format);
        let report = to_rafs_v6(Seekable::opened(&source)?, &output, &options, &mut bar)?;
        drop(bar);
        let seconds = start.elapsed().as_secs_f64();
        let image = args.open.open(&output.join("image.boot"))?;
        let bytes = report.bytes_out;
        rows.push(measure(format, &image, bytes, seconds, file.as_ref())?);
    }
    rows.push(estargz(args, &source, work.path(), file.as_ref())?);
    for (format, compression) in [
        ("tar-gzip", Compression::Libdeflate { level: 6 }),
        ("tar-zstd", Compression::Zstd { level: 3 }),
    ] {
        let output = work.path().join(format);
        let options = TarOptions {
            compression,
            ..TarOptions::default()
        };
        let start = Instant::now();
        let mut layer = AtomicFile::create(&output)?;
        let (image, mut bar) = (source.image(), Bar::new(format));
        let report = to_tar(source.reader(), &mut layer, &options, &mut bar)?;
        drop(bar);
        layer.commit()?;
        let seconds = start.elapsed().as_secs_f64();
        let image = args.open.open(&output)?;
        rows.push(measure(
            format,
            &image,
            report.bytes_out,
            seconds,
            file.as_ref(),
        )?);
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

fn estargz(
    args: &Args,
    source: &OpenImage,
    work: &Path,
    file: Option<&ImagePath>,
) -> Result<Row, Failure> {
    let output = work.join("estargz");
    let options = EstargzOptions {
        compression: Compression::Libdeflate { level: 6 },
        ..EstargzOptions::default()
    };
    let start = Instant::now();
    let (mut layer, mut bar) = (AtomicFile::create(&output)?, Bar::new("estargz"));
    let report = to_estargz(Seekable::opened(source)?, &mut layer, &options, &mut bar)?;
    drop(bar);
    layer.commit()?;
    let seconds = start.elapsed().as_secs_f64();
    let image = args.open.open(&output)?;
    agree(&image, &output)?;
    measure("estargz", &image, report.blob.len, seconds, file)
}

/// Proves that the TOC and the tar of an eStargz layer say the same.
fn agree(image: &OpenImage, layer: &Path) -> Result<(), Failure> {
    let Some(estargz) = image.estargz() else {
        return Err(Failure::bad("the eStargz layer is not one"));
    };
    let mut found = 0;
    let mut tell = |disagreement: Disagreement| {
        note(disagreement);
        found += 1;
    };
    let layer = File::open(layer).map_err(Failure::usage)?;
    compare(&estargz.toc, layer, &CompareOptions::default(), &mut tell)?;
    match found {
        0 => Ok(()),
        _ => Err(Failure::bad("estargz: the TOC and the tar differ")),
    }
}

fn digest(image: &OpenImage) -> Result<TreeDigest, Failure> {
    let mut bar = Bar::new("digesting");
    let mut frames = image.frames();
    Ok(tree_digest(
        image.image(),
        &mut frames,
        Profile::Default,
        &mut bar,
    )?)
}

/// Says what an audit finds.
struct Faults(Bar);

impl AuditObserver for Faults {
    fn fault(&mut self, fault: AuditFault) {
        note(chain(&fault));
    }

    fn advance(&mut self, done: u64, _total: Option<u64>) -> Result<(), Cancelled> {
        self.0.advance(done, None)
    }
}

/// Verifies everything, then reads 4 KiB from the middle of `file` with a fresh reader.
fn measure(
    format: &'static str,
    image: &OpenImage,
    bytes: u64,
    seconds: f64,
    file: Option<&ImagePath>,
) -> Result<Row, Failure> {
    let mut faults = Faults(Bar::new("verifying"));
    let limits = Limits::default();
    let summary = audit(
        image.image(),
        &mut image.reader().clone(),
        &limits,
        &mut faults,
    )?;
    drop(faults);
    if summary.faults > 0 {
        return Err(Failure::bad(format!("{format}: {} faults", summary.faults)));
    }
    let digest = digest(image)?;
    let before = image.stats().bytes;
    if let Some(file) = file {
        let ino = image.resolve(file.as_bytes(), Follow::Never)?;
        let middle = image.image().attributes(ino)?.size / 2;
        image.read_range(ino, middle..middle + 4096, &mut std::io::sink())?;
    }
    Ok(Row {
        format,
        bytes,
        metadata_bytes: image.metadata_stats().bytes,
        seconds,
        digest,
        bytes_touched: image.stats().bytes - before,
    })
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
    Ok(())
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
