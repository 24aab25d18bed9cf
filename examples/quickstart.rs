//! A tour on built-in input: convert to several formats, verify each image, prove that all hold the
//! same tree, and read one file lazily from each.

mod common;

use std::fs;
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
use lazyoci::convert::{
    EstargzOptions, RafsOptions, TarOptions, UnpackOptions, to_estargz, to_rafs, to_tar, unpack,
};
use lazyoci::frame_codec::Compression;
use lazyoci::model::walk::Walk;
use lazyoci::model::{FileKind, ImagePath, Limits};
use lazyoci::read::{Follow, OpenImage, VerifyOptions, VerifySummary};
use lazyoci::verify::{Profile, TreeDigest};
use serde_json::{Value, json};

/// Maximum number of bytes to read lazily.
const READ_LEN: u64 = 1 << 20;

/// Convert to several formats, verify, compare, read one file lazily; print a table
#[derive(Parser)]
#[command(version)]
struct Args {
    /// A layer, a RAFS bootstrap or blob, or a directory [default: this workspace's sources and this program]
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
    ("rafs-v6", Target::Rafs, Compression::Zstd { level: 3 }),
    ("rafs-v6", Target::Rafs, Compression::Lz4Block),
    ("rafs-v6", Target::Rafs, Compression::None),
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

/// What is done with every format.
struct Work {
    source: OpenImage,
    /// The file that is read lazily, and how much of it.
    file: Option<(ImagePath, u64)>,
    directory: PathBuf,
}

/// One format, measured.
struct Row {
    format: &'static str,
    compressor: String,
    bytes: u64,
    metadata_bytes: u64,
    fetched_bytes: u64,
    seconds: f64,
    verified: VerifySummary,
    digest: TreeDigest,
}

fn run(args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
    // So that the directory is removed even if a signal ends the work.
    let _interruptible = Interruptible::new();
    let directory = common::output::temporary_directory()?;
    let (input, path) = match &args.image {
        Some(image) => (image.display().to_string(), image.clone()),
        None => {
            let input = "this workspace's sources and this program";
            (input.into(), own_files(directory.path())?)
        }
    };
    let source = args.open.open(&path)?;
    let expected = digest(&source)?;
    let work = Work {
        file: typical_file(&source)?,
        source,
        directory: directory.path().into(),
    };
    let mut rows = Vec::new();
    for target in TARGETS {
        rows.push(work.row(target, &args.open)?);
    }
    let equal = rows.iter().all(|row| row.digest == expected);
    let file = work.file.as_ref();
    if args.json {
        common::json(out, &as_json(&input, expected, file, &rows))?;
    } else {
        table(out, &input, expected, file, &rows).map_err(Failure::usage)?;
    }
    if equal {
        return Ok(Outcome::Done);
    }
    Err(Failure::bad("the formats do not hold the same tree"))
}

/// Input that exists wherever this is built: sources (small files) and a program (a large one).
fn own_files(work: &Path) -> Result<PathBuf, Failure> {
    let files = work.join("source");
    fs::create_dir(&files).map_err(|error| Failure::usage(error).of(files.display()))?;
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates");
    let sources = lazyoci::read::open(crates, &Default::default())?;
    let options = UnpackOptions::default().lossy(true);
    let mut bar = Bar::new("copying");
    unpack(&sources, &files.join("crates"), &options, &mut bar)?;
    let program = || -> std::io::Result<()> {
        let program = std::env::current_exe()?;
        let copy = files.join("quickstart");
        fs::copy(&program, &copy)?;
        let time = fs::metadata(&program)?.modified()?;
        fs::File::options()
            .append(true)
            .open(copy)?
            .set_modified(time)
    };
    program().map_err(Failure::usage)?;
    Ok(files)
}

impl Work {
    /// Converts to one format, verifies, reads.
    fn row(
        &self,
        (format, target, compression): (&'static str, Target, Compression),
        open: &OpenArgs,
    ) -> Result<Row, Failure> {
        let compressor = compression.to_string();
        let output = self.directory.join(format!("{format} {compressor}"));
        let mut bar = Bar::new(format);
        let start = Instant::now();
        let bytes = convert(&self.source, (target, compression), &output, &mut bar)?;
        let seconds = start.elapsed().as_secs_f64();
        drop(bar);
        let image = match target {
            Target::Rafs => output.join("image.boot"),
            Target::Estargz | Target::Tar => output,
        };
        let image = open.open(&image)?;
        // Before verification, which reads everything and leaves some of it in memory.
        let fetched_bytes = self.read(&image)?;
        Ok(Row {
            format,
            compressor,
            bytes,
            metadata_bytes: image.metadata_stats().bytes,
            fetched_bytes,
            seconds,
            verified: verify(format, &image)?,
            digest: digest(&image)?,
        })
    }

    /// Reads the file; returns how many bytes of `image` were fetched for it.
    fn read(&self, image: &OpenImage) -> Result<u64, Failure> {
        let Some((file, len)) = &self.file else {
            return Ok(0);
        };
        let ino = image.resolve(file.as_bytes(), Follow::Never)?;
        let before = image.stats().bytes;
        image.read_range(ino, 0..*len, &mut std::io::sink())?;
        Ok(image.stats().bytes - before)
    }
}

/// Writes `source` to `output`; returns the number of bytes written.
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
            to_rafs(source, &mut directory, &options, bar)?.report
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
fn verify(format: &str, image: &OpenImage) -> Result<VerifySummary, Failure> {
    let options = VerifyOptions::default();
    let mut bar = Bar::new("verifying");
    let summary = image.verify(&options, &mut bar, &mut |found| note(found))?;
    match summary.findings {
        0 => Ok(summary),
        findings => {
            let faults = common::count(findings, "fault");
            Err(Failure::bad(format!("{format}: {faults}")))
        }
    }
}

/// The file to read lazily, and how much of it: the one of median size among the files with content, if there are any.
fn typical_file(image: &OpenImage) -> Result<Option<(ImagePath, u64)>, Failure> {
    let mut files = Vec::new();
    for visited in Walk::new(image.image(), &Limits::default()) {
        let visited = visited?;
        let attributes = visited.attributes;
        if attributes.kind == FileKind::File && attributes.size > 0 {
            files.push((attributes.size, visited.path));
        }
    }
    files.sort();
    let middle = files.len() / 2;
    let typical = files.into_iter().nth(middle);
    Ok(typical.map(|(size, path)| (path, size.min(READ_LEN))))
}

fn table(
    out: &mut dyn Write,
    input: &str,
    expected: TreeDigest,
    file: Option<&(ImagePath, u64)>,
    rows: &[Row],
) -> std::io::Result<()> {
    writeln!(out, "{input}\n{expected}")?;
    match file {
        Some((file, len)) => writeln!(out, "read lazily: {file}, {}\n", size(*len))?,
        None => writeln!(out, "read lazily: nothing, there is no regular file\n")?,
    }
    writeln!(
        out,
        "{:<17}{:>11}{:>9}{:>12}{:>12}{:>8}  tree",
        "format", "size", "time", "to open", "to read", "of all"
    )?;
    for row in rows {
        writeln!(
            out,
            "{:<17}{:>11}{:>7.2} s{:>12}{:>12}{:>6.1} %  {}",
            row.name(),
            size(row.bytes),
            row.seconds,
            size(row.metadata_bytes),
            size(row.fetched_bytes),
            row.percent_fetched(),
            match row.digest == expected {
                true => "same",
                false => "DIFFERS",
            },
        )?;
    }
    writeln!(out, "\nchecked by this program:")?;
    for row in rows {
        writeln!(out, "{:<17}{}", row.name(), row.checked())?;
    }
    let all = rows.len();
    let same = rows.iter().filter(|row| row.digest == expected).count();
    write!(
        out,
        "\nNo fault was found in {all} images; {same} of them hold the tree of the source"
    )?;
    let lazy = rows.iter().filter(|row| row.is_lazy());
    let most = lazy.map(Row::percent_fetched).fold(0.0, f64::max);
    match file {
        Some(_) if most < 50.0 => writeln!(
            out,
            ".\nOne file of a lazily loaded image took at most {most:.1} % of its bytes; of a plain\n\
             layer, all of them."
        ),
        Some(_) => writeln!(
            out,
            ".\nThey are too small to show what lazy reading saves: opening one and reading a file takes\n\
             much of it."
        ),
        None => writeln!(out, "."),
    }
}

impl Row {
    fn name(&self) -> String {
        match self.is_lazy() && self.format != "estargz" {
            true => format!("{} {}", self.format, self.compressor),
            false => self.format.into(),
        }
    }

    fn is_lazy(&self) -> bool {
        !self.format.starts_with("tar")
    }

    /// The share of the image that opening it and reading the file took.
    fn percent_fetched(&self) -> f64 {
        // A compressed layer is spooled when it is opened, and not fetched again.
        let fetched = match self.is_lazy() {
            true => self.metadata_bytes + self.fetched_bytes,
            false => self.metadata_bytes,
        };
        100.0 * fetched as f64 / self.bytes.max(1) as f64
    }

    /// What was checked in the image.
    fn checked(&self) -> String {
        let chunks = self.verified.audit.chunks;
        match self.format {
            "rafs-v6" => {
                format!("every structure, {chunks} chunks by BLAKE3, the blob by its name")
            }
            "estargz" => {
                format!("every structure, {chunks} chunks by SHA-256, the TOC against the tar")
            }
            _ => "every tar header and the stream's checksums; it has no digests".into(),
        }
    }
}

fn as_json(
    input: &str,
    expected: TreeDigest,
    file: Option<&(ImagePath, u64)>,
    rows: &[Row],
) -> Value {
    let row = |row: &Row| {
        json!({
            "format": row.format,
            "compressor": row.compressor,
            "written_bytes": row.bytes,
            "metadata_bytes": row.metadata_bytes,
            "fetched_bytes": row.fetched_bytes,
            "seconds": row.seconds,
            "findings": row.verified.findings,
            "chunks": row.verified.audit.chunks,
            "tree_digest": row.digest.to_string(),
        })
    };
    json!({
        "image": input,
        "tree_digest": expected.to_string(),
        "path": file.map(|(path, _)| path.to_string()),
        "equal": rows.iter().all(|row| row.digest == expected),
        "conversions": rows.iter().map(row).collect::<Vec<_>>(),
    })
}
