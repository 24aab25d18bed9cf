//! Converts a layer, a directory or an image into another format.

mod common;

use std::fmt::Display;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use common::open::OpenArgs;
use common::progress::Bar;
use common::{Failure, Outcome};
use lazyoci::blob_io::AtomicFile;
use lazyoci::convert::{
    ConvertError, EstargzOptions, EstargzReport, RafsOptions, Report, Seekable, Streaming,
    TarOptions, recompress, to_estargz, to_rafs_v6, to_tar,
};
use lazyoci::frame_codec::Compression;
use lazyoci::model::{DigestAlgorithm, ImagePath};
use lazyoci::oci_image::Annotations;
use lazyoci::rafs_format::flags::Compat;
use lazyoci::read::{Format, format_at};
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
    /// `none`, `lz4`, `zstd[:LEVEL]` or `gzip[:LEVEL]`, by libdeflate [default: zstd:3; estargz, tar-gzip gzip:6]
    #[arg(long, value_name = "CODEC[:LEVEL]")]
    compressor: Option<Compression>,
    /// Digests of chunks (RAFS) [default: blake3]
    #[arg(long)]
    digester: Option<Digester>,
    /// Bytes of a chunk; RAFS: a power of two from 4096 to 16 MiB [default: RAFS 1 MiB, eStargz 4 MiB]
    #[arg(long, value_name = "N")]
    chunk_size: Option<NonZeroU32>,
    /// File with one path a line: what readers fetch first, in this order (RAFS, eStargz)
    #[arg(long, value_name = "FILE")]
    prefetch: Option<PathBuf>,
    /// Put the bootstrap into the blob too (RAFS)
    #[arg(long)]
    inline_meta: bool,
    /// Store every chunk at its block address, so that the kernel mounts bootstrap and blob
    /// (RAFS v6, `--compressor none`)
    #[arg(long)]
    aligned: bool,
    /// Whose bytes a RAFS writer reproduces: `2.4` or `2.2` [default: 2.4]
    #[arg(long, value_name = "RELEASE")]
    compat: Option<Compat>,
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

/// What was done.
struct Done {
    report: Report,
    estargz: Option<EstargzReport>,
}

fn run(args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
    refuse_what_does_not_fit(args)?;
    let done = match args.to {
        Target::RafsV6 => rafs_v6(args)?,
        Target::Estargz => estargz(args, out)?,
        Target::Tar | Target::TarGzip | Target::TarZstd => tar(args, out)?,
    };
    common::say(&args.output, out, |out| say(args, &done, out))?;
    Ok(Outcome::Done)
}

/// Refuses options that mean nothing for the format, rather than ignoring them.
fn refuse_what_does_not_fit(args: &Args) -> Result<(), Failure> {
    let rafs = args.to == Target::RafsV6;
    let lazy = rafs || args.to == Target::Estargz;
    for (option, given, fits) in [
        ("--digester", args.digester.is_some(), rafs),
        ("--chunk-size", args.chunk_size.is_some(), lazy),
        ("--prefetch", args.prefetch.is_some(), lazy),
        ("--inline-meta", args.inline_meta, rafs),
        ("--aligned", args.aligned, rafs),
        ("--compat", args.compat.is_some(), rafs),
    ] {
        if given && !fits {
            return Err(does_not_fit(args, option));
        }
    }
    Ok(())
}

fn does_not_fit(args: &Args, option: impl Display) -> Failure {
    let format = args.to.to_possible_value();
    let format = format.expect("no format is skipped");
    Failure::usage(format!("{option} does not fit {}", format.get_name()))
}

fn rafs_v6(args: &Args) -> Result<Done, Failure> {
    let defaults = RafsOptions::default();
    let options = RafsOptions {
        compression: match args.compressor {
            Some(compression) => compression,
            None if args.aligned => Compression::None,
            None => defaults.compression,
        },
        digest: match args.digester.unwrap_or(Digester::Blake3) {
            Digester::Blake3 => DigestAlgorithm::Blake3,
            Digester::Sha256 => DigestAlgorithm::Sha256,
        },
        chunk_size: args.chunk_size.map_or(defaults.chunk_size, NonZeroU32::get),
        compat: args.compat.unwrap_or_default(),
        aligned: args.aligned,
        inline_meta: args.inline_meta,
        prefetch: prefetch_list(args)?,
        lossy: args.lossy,
        threads: args.threads.map_or(defaults.threads, NonZeroUsize::get),
        ..defaults
    };
    // A layer is read once, from first byte to last, unless another order than its own is wanted.
    let report = if options.prefetch.is_empty() && is_layer(&args.image)? {
        to_rafs_v6(layer(args)?, &args.output, &options, &mut bar())?
    } else {
        let image = args.open.open(&args.image)?;
        let source = Seekable::opened(&image)?;
        to_rafs_v6(source, &args.output, &options, &mut bar())?
    };
    Ok(Done {
        report,
        estargz: None,
    })
}

fn bar() -> Bar {
    Bar::new("converting")
}

fn layer(args: &Args) -> Result<Streaming<'static>, Failure> {
    let layer = File::open(&args.image).map_err(Failure::usage)?;
    Ok(Streaming::new(layer).lenient(args.open.lenient()))
}

/// Whether `path` is a tar layer, by its content.
fn is_layer(path: &Path) -> Result<bool, Failure> {
    Ok(matches!(format_at(path)?, Format::Tar(_)))
}

fn prefetch_list(args: &Args) -> Result<Vec<ImagePath>, Failure> {
    let file = args.prefetch.as_deref();
    file.map_or_else(|| Ok(Vec::new()), common::prefetch::read)
}

/// Has `write` write the output file, or stdout. To be called when the source is open: if that is a
/// directory, the output may lie in it, and is not to become part of itself.
fn write_file<T>(
    args: &Args,
    out: &mut dyn Write,
    write: impl FnOnce(&mut dyn Write) -> Result<T, ConvertError>,
) -> Result<T, Failure> {
    if args.output == Path::new("-") {
        return Ok(write(out)?);
    }
    let mut file = BufWriter::new(AtomicFile::create(&args.output)?);
    let done = write(&mut file)?;
    let file = file
        .into_inner()
        .map_err(|e| Failure::usage(e.into_error()))?;
    file.commit()?;
    Ok(done)
}

fn estargz(args: &Args, out: &mut dyn Write) -> Result<Done, Failure> {
    let defaults = EstargzOptions::default();
    let options = EstargzOptions {
        compression: gzip(args)?,
        chunk_size: args.chunk_size.unwrap_or(defaults.chunk_size),
        prefetch: prefetch_list(args)?,
        lossy: args.lossy,
        threads: args.threads.map_or(defaults.threads, NonZeroUsize::get),
    };
    let image = args.open.open(&args.image)?;
    let source = Seekable::opened(&image)?;
    let mut bar = bar();
    let estargz = write_file(args, out, |out| to_estargz(source, out, &options, &mut bar))?;
    Ok(Done {
        report: estargz.report.clone(),
        estargz: Some(estargz),
    })
}

/// The gzip encoder that the examples have, at the level asked for.
fn gzip(args: &Args) -> Result<Compression, Failure> {
    match args.compressor {
        None => Ok(Compression::Libdeflate { level: 6 }),
        Some(Compression::Gzip { level } | Compression::Libdeflate { level }) => {
            Ok(Compression::Libdeflate { level })
        }
        Some(compression) => Err(compressor_does_not_fit(args, compression)),
    }
}

fn compressor_does_not_fit(args: &Args, compression: Compression) -> Failure {
    does_not_fit(args, format_args!("--compressor {compression}"))
}

fn tar(args: &Args, out: &mut dyn Write) -> Result<Done, Failure> {
    let compression = match (args.to, args.compressor) {
        (Target::TarGzip, _) => gzip(args)?,
        (Target::TarZstd, None) => Compression::Zstd { level: 3 },
        (Target::TarZstd, Some(compression @ Compression::Zstd { .. })) => compression,
        (Target::Tar, None | Some(Compression::None)) => Compression::None,
        (_, Some(compression)) => return Err(compressor_does_not_fit(args, compression)),
        (_, None) => Compression::None,
    };
    let defaults = TarOptions::default();
    let options = TarOptions {
        compression,
        lossy: args.lossy,
        threads: args.threads.map_or(defaults.threads, NonZeroUsize::get),
        ..defaults
    };
    let report = if is_layer(&args.image)? {
        let layer = layer(args)?;
        let mut bar = bar();
        write_file(args, out, |out| recompress(layer, out, &options, &mut bar))?
    } else {
        let opened = args.open.open(&args.image)?;
        let mut bar = bar();
        write_file(args, out, |out| {
            to_tar(opened.reader(), out, &options, &mut bar)
        })?
    };
    Ok(Done {
        report,
        estargz: None,
    })
}

fn say(args: &Args, done: &Done, out: &mut dyn Write) -> Result<(), Failure> {
    let Done { report, estargz } = done;
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
        common::note(format_args!("not there, so not fetched first: {path}"));
    }
    for loss in &report.losses {
        common::note(format_args!("lost: {loss}"));
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
