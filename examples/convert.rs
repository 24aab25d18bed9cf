//! Converts a layer, a directory or an image into another format.

mod common;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use common::open::OpenArgs;
use common::progress::Bar;
use common::{Failure, Outcome};
use lazyoci::blob_io::{AtomicFile, LocalFile};
use lazyoci::convert::{
    EstargzOptions, EstargzReport, RafsOptions, Report, Seekable, Streaming, TarOptions,
    recompress, to_estargz, to_rafs_v6, to_tar,
};
use lazyoci::frame_codec::Compression;
use lazyoci::model::{DigestAlgorithm, ImagePath};
use lazyoci::oci_image::Annotations;
use lazyoci::rafs_format::flags::Compat;
use lazyoci::read::Format;
use serde_json::json;

/// Convert a layer, a directory or an image into another format
#[derive(Parser)]
struct Args {
    /// What to make
    #[arg(long, value_name = "FORMAT")]
    to: Target,
    /// A layer, plain or eStargz, a RAFS bootstrap or blob, or a directory
    image: PathBuf,
    /// RAFS: a new directory that gets `image.boot` and `blobs/ID`; else one file, `-` for stdout
    output: PathBuf,
    /// `none`, `lz4`, `zstd[:LEVEL]` or `gzip[:LEVEL]` [default: zstd:3; estargz, tar-gzip gzip:6]
    #[arg(long, value_name = "CODEC[:LEVEL]")]
    compressor: Option<Compression>,
    /// Digests of chunks (RAFS)
    #[arg(long, default_value = "blake3")]
    digester: Digester,
    /// Bytes of a chunk; RAFS: a power of two from 4096 to 16 MiB [default: RAFS 1 MiB, eStargz 4 MiB]
    #[arg(long, value_name = "N")]
    chunk_size: Option<NonZeroU32>,
    /// File with one path a line: what readers fetch first, in this order
    #[arg(long, value_name = "FILE")]
    prefetch: Option<PathBuf>,
    /// Put the bootstrap into the blob too (RAFS)
    #[arg(long)]
    inline_meta: bool,
    /// Store every chunk at its block address, so that the kernel mounts bootstrap and blob
    /// (RAFS v6, `--compressor none`)
    #[arg(long)]
    aligned: bool,
    /// Whose bytes a RAFS writer reproduces: `2.4` or `2.2`
    #[arg(long, value_name = "RELEASE", default_value_t)]
    compat: Compat,
    /// Leave out what the format cannot carry, and report it
    #[arg(long)]
    lossy: bool,
    /// Threads that digest and compress [default: one a core]; the output does not depend on it
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    open: OpenArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    RafsV6,
    Estargz,
    Tar,
    TarGzip,
    TarZstd,
}

#[derive(Clone, Copy, ValueEnum)]
enum Digester {
    Blake3,
    Sha256,
}

fn main() -> ExitCode {
    common::main(run)
}

fn run(args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let mut bar = Bar::new("converting");
    let (report, estargz) = match args.to {
        Target::RafsV6 => (rafs_v6(args, &mut bar)?, None),
        Target::Estargz => {
            let done = write_file(args, out, |out| write_estargz(args, out, &mut bar))?;
            (done.report.clone(), Some(done))
        }
        Target::Tar | Target::TarGzip | Target::TarZstd => {
            let done = write_file(args, out, |out| write_tar(args, out, &mut bar))?;
            (done, None)
        }
    };
    drop(bar);
    // The tar itself may go to stdout; what is said about it must not.
    let to_stdout = args.output == Path::new("-");
    let mut stderr = io::stderr();
    let out = if to_stdout { &mut stderr } else { out };
    say(args, &report, estargz.as_ref(), out)?;
    Ok(Outcome::Done)
}

fn rafs_v6(args: &Args, bar: &mut Bar) -> Result<Report, Failure> {
    let defaults = RafsOptions::default();
    let options = RafsOptions {
        compression: match args.compressor {
            Some(compression) => compression,
            None if args.aligned => Compression::None,
            None => defaults.compression,
        },
        digest: match args.digester {
            Digester::Blake3 => DigestAlgorithm::Blake3,
            Digester::Sha256 => DigestAlgorithm::Sha256,
        },
        chunk_size: args.chunk_size.map_or(defaults.chunk_size, NonZeroU32::get),
        compat: args.compat,
        aligned: args.aligned,
        inline_meta: args.inline_meta,
        prefetch: prefetch_list(args)?,
        lossy: args.lossy,
        threads: args.threads.map_or(defaults.threads, NonZeroUsize::get),
        ..defaults
    };
    // A layer is read once, from first byte to last, unless another order than its own is wanted.
    if options.prefetch.is_empty() && is_layer(&args.image)? {
        return Ok(to_rafs_v6(layer(args)?, &args.output, &options, bar)?);
    }
    let image = args.open.open(&args.image)?;
    Ok(to_rafs_v6(
        Seekable::opened(&image)?,
        &args.output,
        &options,
        bar,
    )?)
}

fn layer(args: &Args) -> Result<Streaming<'static>, Failure> {
    let layer = File::open(&args.image).map_err(Failure::usage)?;
    Ok(Streaming::new(layer).lenient(args.open.lenient()))
}

/// Whether `path` is a tar layer, by its content.
fn is_layer(path: &Path) -> Result<bool, Failure> {
    if path.is_dir() {
        return Ok(false);
    }
    let file =
        LocalFile::open(path).map_err(|e| Failure::usage(format!("{}: {e}", path.display())))?;
    Ok(matches!(Format::of(&file)?, Some(Format::Tar(_))))
}

fn prefetch_list(args: &Args) -> Result<Vec<ImagePath>, Failure> {
    let Some(file) = &args.prefetch else {
        return Ok(Vec::new());
    };
    let text =
        std::fs::read(file).map_err(|e| Failure::usage(format!("{}: {e}", file.display())))?;
    text.split(|&b| b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| ImagePath::clean(line).map_err(Failure::usage))
        .collect()
}

/// Has `write` write the output file, or stdout.
fn write_file<T>(
    args: &Args,
    out: &mut dyn Write,
    write: impl FnOnce(&mut dyn Write) -> Result<T, Failure>,
) -> Result<T, Failure> {
    if args.output == Path::new("-") {
        return write(out);
    }
    let mut file = BufWriter::new(AtomicFile::create(&args.output)?);
    let done = write(&mut file)?;
    let file = file
        .into_inner()
        .map_err(|e| Failure::usage(e.into_error()))?;
    file.commit()?;
    Ok(done)
}

fn write_estargz(
    args: &Args,
    out: &mut dyn Write,
    bar: &mut Bar,
) -> Result<EstargzReport, Failure> {
    let defaults = EstargzOptions::default();
    let options = EstargzOptions {
        compression: gzip(args.compressor)?,
        chunk_size: args.chunk_size.unwrap_or(defaults.chunk_size),
        prefetch: prefetch_list(args)?,
        lossy: args.lossy,
        threads: args.threads.map_or(defaults.threads, NonZeroUsize::get),
    };
    let image = args.open.open(&args.image)?;
    Ok(to_estargz(Seekable::opened(&image)?, out, &options, bar)?)
}

/// The gzip encoder that the examples have, at the level asked for.
fn gzip(compressor: Option<Compression>) -> Result<Compression, Failure> {
    match compressor {
        None => Ok(Compression::Libdeflate { level: 6 }),
        Some(Compression::Gzip { level } | Compression::Libdeflate { level }) => {
            Ok(Compression::Libdeflate { level })
        }
        Some(compression) => Err(does_not_fit(compression)),
    }
}

fn does_not_fit(compression: Compression) -> Failure {
    Failure::usage(format!(
        "--compressor {compression} does not fit the format"
    ))
}

fn write_tar(args: &Args, out: &mut dyn Write, bar: &mut Bar) -> Result<Report, Failure> {
    let compression = match (args.to, args.compressor) {
        (Target::TarGzip, compressor) => gzip(compressor)?,
        (Target::TarZstd, None) => Compression::Zstd { level: 3 },
        (Target::TarZstd, Some(compression @ Compression::Zstd { .. })) => compression,
        (_, None | Some(Compression::None)) => Compression::None,
        (_, Some(compression)) => return Err(does_not_fit(compression)),
    };
    let defaults = TarOptions::default();
    let options = TarOptions {
        compression,
        lossy: args.lossy,
        threads: args.threads.map_or(defaults.threads, NonZeroUsize::get),
        ..defaults
    };
    if is_layer(&args.image)? {
        return Ok(recompress(layer(args)?, out, &options, bar)?);
    }
    let image = args.open.open(&args.image)?;
    Ok(to_tar(
        image.image(),
        &mut image.frames(),
        out,
        &options,
        bar,
    )?)
}

fn say(
    args: &Args,
    report: &Report,
    estargz: Option<&EstargzReport>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let chunks = report.chunks;
    if args.json {
        let losses: Vec<_> = report
            .losses
            .iter()
            .map(|loss| json!({ "path": loss.path.to_string(), "what": loss.what.to_string() }))
            .collect();
        let mut value = json!({
            "output": args.output.display().to_string(),
            "inodes": report.inodes,
            "content_bytes": report.content_bytes,
            "bytes_written": report.bytes_out,
            "chunks": {
                "stored": chunks.stored,
                "stored_bytes": chunks.stored_bytes,
                "deduplicated": chunks.deduplicated,
                "deduplicated_bytes": chunks.deduplicated_bytes,
                "dead": chunks.dead,
            },
            "losses": losses,
            "prefetch_missed": report.missed.iter().map(ToString::to_string).collect::<Vec<_>>(),
        });
        if let Some(layer) = estargz {
            let mut annotations = Annotations::default();
            layer.layer().write(&mut annotations);
            value["layer"] = json!({
                "digest": layer.blob.digest.to_string(),
                "size": layer.blob.len,
                "diff_id": layer.diff_id.to_string(),
                "toc_digest": layer.toc_digest.to_string(),
                "annotations": annotations,
            });
        }
        return common::json(out, &value);
    }
    for path in &report.missed {
        eprintln!("not there, so not fetched first: {path}");
    }
    for loss in &report.losses {
        eprintln!("lost: {loss}");
    }
    let written = common::size(report.bytes_out);
    writeln!(out, "{}: {written} written", args.output.display())
        .and_then(|()| match args.to {
            Target::RafsV6 | Target::Estargz => writeln!(
                out,
                "{} inodes, {} of content; {} chunks stored, {} found again ({})",
                report.inodes,
                common::size(report.content_bytes),
                chunks.stored,
                chunks.deduplicated,
                common::size(chunks.deduplicated_bytes),
            ),
            _ => Ok(()),
        })
        .and_then(|()| match estargz {
            Some(layer) => writeln!(
                out,
                "layer {}\ndiff id {}\nTOC {}",
                layer.blob.digest, layer.diff_id, layer.toc_digest
            ),
            None => Ok(()),
        })
        .map_err(Failure::usage)
}
