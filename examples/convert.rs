//! Converts a layer, a directory or an image into another format.

mod common;

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read, Write};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use common::bootstrap::Named;
use common::incoming::Incoming;
use common::open::{OpenArgs, is_read_once, is_stream};
use common::output::OutputArgs;
use common::progress::Bar;
use common::{Failure, Outcome, whole};
use lazyoci::blob_io::DirectoryOutput;
use lazyoci::convert::{
    ChunkDictionary, CompactOptions, ErofsOptions, ErofsReport, EstargzOptions, EstargzReport,
    KeepBlobsOptions, RafsOptions, RafsReport, Report, Source, Streaming, TarOptions, TarReport,
    compact, keep_blobs, recompress, to_erofs, to_estargz, to_rafs, to_tar,
};
use lazyoci::frame_codec::Compression;
use lazyoci::model::{DigestAlgorithm, ImagePath};
use lazyoci::rafs_format::flags::Compat;
use lazyoci::rafs_format::{BlobPool, Version};
use lazyoci::read::{Format, format_at};
use lazyoci::tar_stream::Compression as LayerCompression;
use serde_json::Value;

/// Convert a layer, a directory or an image into another format
#[derive(Parser)]
#[command(
    version,
    override_usage = "convert [OPTIONS] --to <FORMAT> <IMAGE>... <OUTPUT>"
)]
struct Args {
    /// What to make
    #[arg(long, value_name = "FORMAT")]
    to: Target,
    /// IMAGE: a layer, plain or eStargz, a RAFS bootstrap or blob, an EROFS image, or a directory; `-` for a plain
    /// layer on stdin, which may come out of a pipe, too. Several layers, the lowest first: the image of the
    /// stack, in RAFS with a blob for each of them. OUTPUT: for RAFS a new directory that gets
    /// `image.boot` and `blobs/ID`; else one file, `-` for stdout
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// `none`, `lz4`, `zstd[:LEVEL]` or `gzip[:LEVEL]`, by libdeflate [default: zstd:3; estargz, tar-gzip gzip:6]
    #[arg(long, value_name = "CODEC[:LEVEL]")]
    compressor: Option<Compression>,
    /// Digests of chunks (RAFS), or by which equal chunks are found (EROFS) [default: blake3]
    #[arg(long)]
    digester: Option<Digester>,
    /// Bytes of a chunk; RAFS: a power of two from 4096 to 16 MiB; EROFS: a power of two from 4096 on [default:
    /// RAFS and EROFS 1 MiB, eStargz 4 MiB]
    #[arg(long, value_name = "N", value_parser = common::bytes::parse_chunk_size)]
    chunk_size: Option<NonZeroU32>,
    /// File with one path a line: what readers fetch first, in this order (RAFS, eStargz)
    #[arg(long, value_name = "FILE")]
    prefetch: Option<PathBuf>,
    /// Append the chunks' digests and a table of contents to the blob (RAFS v6)
    #[arg(long)]
    toc: bool,
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
    /// Refer to the chunks of this RAFS image, a bootstrap or a blob that holds it, instead of storing them
    /// again; several, the one that is asked first first (RAFS)
    #[arg(long, value_name = "IMAGE")]
    chunk_dict: Vec<PathBuf>,
    /// Put the used chunks of blobs that are short, or of which less than half is used, together to a new
    /// blob, and keep the others (RAFS to the same version of RAFS)
    #[arg(long)]
    compact: bool,
    /// Write a bootstrap of the other version over the blobs that the image has, and nothing else
    /// (RAFS to RAFS)
    #[arg(long)]
    keep_blobs: bool,
    /// Append a dm-verity hash tree, and print its root hash (EROFS)
    #[arg(long)]
    verity: bool,
    /// Write whiteouts of a layer as overlayfs has them, so that its image can be a lower directory (EROFS)
    #[arg(long)]
    overlay_whiteouts: bool,
    /// Put the image of a layer where containerd's layer content cache DIR has it, with `--overlay-whiteouts`,
    /// and with `--verity` in the form that containerd reads; there is no OUTPUT then (EROFS)
    #[arg(long, value_name = "DIR")]
    layer_cache: Option<PathBuf>,
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
    #[command(flatten)]
    outputs: OutputArgs,
}

impl Args {
    fn images(&self) -> &[PathBuf] {
        match &self.layer_cache {
            Some(_) => &self.paths,
            None => self.paths.split_last().map_or(&[], |(_, images)| images),
        }
    }

    fn output(&self) -> &Path {
        if let Some(cache) = &self.layer_cache {
            return cache;
        }
        self.paths.last().map_or(Path::new(""), PathBuf::as_path)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    RafsV5,
    RafsV6,
    Erofs,
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
    // Stdout may be the output itself.
    common::main(|args: &Args| args.json && !is_stream(args.output()), run)
}

/// What was done.
enum Done {
    Rafs(RafsReport),
    Erofs(ErofsReport, PathBuf),
    Estargz(EstargzReport),
    Tar(TarReport),
}

fn run(args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
    if args.images().is_empty() {
        return Err(Failure::usage(
            "IMAGE and OUTPUT are needed; --help tells more",
        ));
    }
    refuse_what_does_not_fit(args)?;
    if args.layer_cache.is_none() {
        args.outputs.check(args.output())?;
    }
    let done = match args.to {
        Target::RafsV5 => Done::Rafs(rafs(args, Version::V5)?),
        Target::RafsV6 => Done::Rafs(rafs(args, Version::V6)?),
        Target::Erofs => erofs(args, out)?,
        Target::Estargz => Done::Estargz(estargz(args, out)?),
        Target::Tar | Target::TarGzip | Target::TarZstd => Done::Tar(tar(args, out)?),
    };
    common::say(args.output(), out, |out| say(args, &done, out))?;
    Ok(Outcome::Done)
}

/// Refuses options that mean nothing for the format, rather than ignoring them.
fn refuse_what_does_not_fit(args: &Args) -> Result<(), Failure> {
    let v6 = args.to == Target::RafsV6;
    let rafs = v6 || args.to == Target::RafsV5;
    let lazy = rafs || args.to == Target::Estargz;
    let erofs = args.to == Target::Erofs;
    for (option, given, fits) in [
        ("--digester", args.digester.is_some(), rafs || erofs),
        ("--compressor", args.compressor.is_some(), !erofs),
        ("--chunk-size", args.chunk_size.is_some(), lazy || erofs),
        ("--prefetch", args.prefetch.is_some(), lazy),
        ("--toc", args.toc, v6),
        ("--inline-meta", args.inline_meta, rafs),
        ("--aligned", args.aligned, v6),
        ("--compat", args.compat.is_some(), rafs),
        ("--chunk-dict", !args.chunk_dict.is_empty(), rafs),
        ("--compact", args.compact, rafs),
        ("--keep-blobs", args.keep_blobs, rafs),
        ("--verity", args.verity, erofs),
        ("--overlay-whiteouts", args.overlay_whiteouts, erofs),
        ("--layer-cache", args.layer_cache.is_some(), erofs),
    ] {
        if given && !fits {
            return Err(does_not_fit(args, option));
        }
    }
    let (mode, what) = match (args.keep_blobs, args.compact) {
        (true, _) => (
            "--keep-blobs",
            "which leaves blobs and their chunks as they are",
        ),
        (_, true) => ("--compact", "which leaves chunks as they are cut"),
        _ => ("", ""),
    };
    for (option, given) in [
        ("--compact", args.compact && args.keep_blobs),
        ("--compressor", args.compressor.is_some() && args.keep_blobs),
        ("--threads", args.threads.is_some() && args.keep_blobs),
        ("--digester", args.digester.is_some()),
        ("--chunk-size", args.chunk_size.is_some()),
        ("--chunk-dict", !args.chunk_dict.is_empty()),
        ("--prefetch", args.prefetch.is_some()),
        ("--toc", args.toc),
        ("--inline-meta", args.inline_meta),
        ("--aligned", args.aligned),
        ("--lossy", args.lossy && args.compact),
    ] {
        if given && !mode.is_empty() {
            return Err(Failure::usage(format!(
                "{option} does not fit {mode}, {what}"
            )));
        }
    }
    if rafs && is_stream(args.output()) {
        let what = name(args.to);
        return Err(Failure::usage(format!(
            "-: {what} is a directory of several files, which does not go to stdout"
        )));
    }
    Ok(())
}

fn does_not_fit(args: &Args, option: impl Display) -> Failure {
    Failure::usage(format!("{option} does not fit {}", name(args.to)))
}

fn name(target: Target) -> String {
    let value = target.to_possible_value();
    value.expect("no format is skipped").get_name().into()
}

/// The other version of a RAFS image over the blobs that it has, or the same with fewer blobs.
fn from_rafs(args: &Args, version: Version) -> Result<RafsReport, Failure> {
    let [path] = args.images() else {
        let what = "--keep-blobs and --compact take one image, which is one of RAFS";
        return Err(Failure::usage(what));
    };
    let image = args.open.open(path)?;
    let compat = args.compat.unwrap_or_default();
    let directory = args.outputs.directory(args.output())?;
    let mut output = DirectoryOutput::create(directory.path())?;
    let report = if args.compact {
        if let Some(bootstrap) = image.bootstrap()
            && bootstrap.version() != version
        {
            let what = format!(
                "--compact keeps the version, which is not {}",
                name(args.to)
            );
            return Err(Failure::usage(what).of(path.display()));
        }
        let options = CompactOptions::default()
            .compression(args.compressor)
            .compat(compat);
        let default_threads = options.threads;
        let options = options.threads(threads(args, default_threads));
        compact(&image, &mut output, &options, &mut Bar::new("compacting"))?
    } else {
        let options = KeepBlobsOptions::default()
            .version(version)
            .compat(compat)
            .lossy(args.lossy);
        keep_blobs(&image, &mut output, &options)?
    };
    directory.commit()?;
    Ok(report)
}

/// The chunks that need not be stored.
fn dictionary(args: &Args) -> Result<Option<Arc<ChunkDictionary>>, Failure> {
    let mut pool = BlobPool::default();
    for path in &args.chunk_dict {
        let image = Named::open(path, &args.open)?;
        let added = pool.add(image.bootstrap(), image.own_blob.as_ref());
        added.map_err(|error| Failure::from(error).of(path.display()))?;
    }
    let any = !args.chunk_dict.is_empty();
    Ok(any.then(|| Arc::new(pool.into())))
}

fn rafs(args: &Args, version: Version) -> Result<RafsReport, Failure> {
    if args.keep_blobs || args.compact {
        return from_rafs(args, version);
    }
    let defaults = RafsOptions::default();
    let compression = match args.compressor {
        Some(compression) => compression,
        None if args.aligned => Compression::None,
        None => defaults.compression,
    };
    let digest = digest(args, defaults.digest);
    let options = RafsOptions::default()
        .version(version)
        .compression(compression)
        .digest(digest)
        .chunk_size(args.chunk_size.map_or(defaults.chunk_size, NonZeroU32::get))
        .compat(args.compat.unwrap_or_default())
        .aligned(args.aligned)
        .toc(args.toc)
        .inline_meta(args.inline_meta)
        .prefetch(prefetch_list(args)?)
        .dictionary(dictionary(args)?)
        .lossy(args.lossy)
        .threads(threads(args, defaults.threads));
    // A layer is read once, from first byte to last, unless another order than its own is wanted.
    let mut bar = Bar::new("converting");
    let in_own_order = options.prefetch.is_empty();
    let source = source(args, &mut bar, |path| in_own_order || is_read_once(path))?;
    let directory = args.outputs.directory(args.output())?;
    let mut output = DirectoryOutput::create(directory.path())?;
    let report = to_rafs(source, &mut output, &options, &mut bar)?;
    directory.commit()?;
    Ok(report)
}

fn digest(args: &Args, default: DigestAlgorithm) -> DigestAlgorithm {
    match args.digester {
        Some(Digester::Blake3) => DigestAlgorithm::Blake3,
        Some(Digester::Sha256) => DigestAlgorithm::Sha256,
        None => default,
    }
}

fn threads(args: &Args, default: usize) -> usize {
    args.threads.map_or(default, NonZeroUsize::get)
}

/// The image, or the stack of the layers. A layer of those of which `once` says so is read once, from
/// first byte to last; so are all layers of a stack, in which hard links may lead into lower layers.
fn source(
    args: &Args,
    bar: &mut Bar,
    once: impl Fn(&Path) -> bool,
) -> Result<Source<'static>, Failure> {
    let stacked = args.images().len() > 1;
    let mut open = |path: &PathBuf| {
        let layer = match stacked || once(path) {
            true => layer(args, path, bar)?,
            false => None,
        };
        Ok::<Source<'_>, Failure>(match layer {
            Some(layer) => layer.into(),
            None => args.open.open(path)?.into(),
        })
    };
    match args.images() {
        [image] => open(image),
        layers => {
            let layers: Vec<_> = layers.iter().map(open).collect::<Result<_, _>>()?;
            Ok(Source::stack(layers))
        }
    }
}

/// What is at `path` as a layer that is read once, if it is one: a tar, by its content, or what comes
/// from stdin or a pipe. `bar` shows how much of a file is read.
fn layer(args: &Args, path: &Path, bar: &mut Bar) -> Result<Option<Streaming<'static>>, Failure> {
    if whole::location(path).is_some() {
        return Ok(None);
    }
    let layer: Box<dyn Read> = if is_stream(path) {
        Box::new(Incoming::new(io::stdin()).map_err(Failure::usage)?)
    } else if is_read_once(path) {
        let pipe = File::open(path).map_err(Failure::usage)?;
        Box::new(Incoming::new(pipe).map_err(Failure::usage)?)
    } else if is_layer(args, path)? {
        let file = File::open(path).map_err(Failure::usage)?;
        let len = file.metadata().map_err(Failure::usage)?.len();
        Box::new(bar.meter(file, len))
    } else {
        return Ok(None);
    };
    let layer = Streaming::new(layer).lenient(args.open.lenient());
    Ok(Some(layer.limits(args.open.limits())))
}

fn is_layer(args: &Args, path: &Path) -> Result<bool, Failure> {
    let format = format_at(path).map_err(|error| Failure::from(error).of(path.display()))?;
    Ok(args.open.is_layer(format))
}

/// One EROFS image of all of it.
fn erofs(args: &Args, out: &mut dyn Write) -> Result<Done, Failure> {
    let defaults = ErofsOptions::default();
    let options = ErofsOptions::default()
        .chunk_size(args.chunk_size.map_or(defaults.chunk_size, NonZeroU32::get))
        .digest(digest(args, defaults.digest))
        .verity(args.verity)
        .overlay_whiteouts(args.overlay_whiteouts)
        .lossy(args.lossy)
        .threads(threads(args, defaults.threads));
    let options = match args.layer_cache {
        Some(_) => options.for_layer_cache(),
        None => options,
    };
    let mut bar = Bar::new("converting");
    let target = match (&args.layer_cache, args.images()) {
        (None, _) => args.output().to_owned(),
        (Some(cache), [layer]) if !is_read_once(layer) && is_layer(args, layer)? => {
            let diff_id = common::erofs::diff_id(layer, &mut Bar::new("digesting"))?;
            common::erofs::place_in_cache(cache, &diff_id)?
        }
        (Some(_), _) => {
            let what = "--layer-cache takes one layer, which is a file: it is called by its DiffID";
            return Err(Failure::usage(what));
        }
    };
    // A plain tar is read twice rather than kept meanwhile.
    let is_plain = |path: &Path| {
        let format = format_at(path);
        format.is_ok_and(|format| format == Format::Tar(LayerCompression::None))
    };
    let source = source(args, &mut bar, |path| is_read_once(path) || !is_plain(path))?;
    let mut output = args.outputs.file(&target, out)?;
    let report = to_erofs(source, &mut *output, &options, &mut bar)?;
    if args.layer_cache.is_some() {
        common::erofs::write_metadata(&target, report.verity.as_ref())?;
    }
    drop(output);
    Ok(Done::Erofs(report, target))
}

fn prefetch_list(args: &Args) -> Result<Vec<ImagePath>, Failure> {
    let file = args.prefetch.as_deref();
    file.map_or_else(|| Ok(Vec::new()), common::prefetch::read)
}

fn estargz(args: &Args, out: &mut dyn Write) -> Result<EstargzReport, Failure> {
    let defaults = EstargzOptions::default();
    let options = EstargzOptions::default()
        .compression(gzip(args)?)
        .chunk_size(args.chunk_size.map_or(defaults.chunk_size, NonZeroU32::get))
        .prefetch(prefetch_list(args)?)
        .lossy(args.lossy)
        .threads(threads(args, defaults.threads));
    // Either is read in another order than that of the layer; a file need not be copied for that.
    let mut bar = Bar::new("converting");
    let source = source(args, &mut bar, is_read_once)?;
    // Last: the output may lie in the directory that is the source, and is no part of it.
    let mut output = args.outputs.file(args.output(), out)?;
    Ok(to_estargz(source, &mut *output, &options, &mut bar)?)
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

fn tar(args: &Args, out: &mut dyn Write) -> Result<TarReport, Failure> {
    let compression = match (args.to, args.compressor) {
        (Target::TarGzip, _) => gzip(args)?,
        (Target::TarZstd, None) => Compression::Zstd { level: 3 },
        (Target::TarZstd, Some(compression @ Compression::Zstd { .. })) => compression,
        (Target::Tar, None | Some(Compression::None)) => Compression::None,
        (_, Some(compression)) => return Err(compressor_does_not_fit(args, compression)),
        (_, None) => Compression::None,
    };
    let options = TarOptions::default().compression(compression);
    let default_threads = options.threads;
    let options = options
        .lossy(args.lossy)
        .threads(threads(args, default_threads));
    // As with eStargz, the output comes last.
    let mut bar = Bar::new("converting");
    let alone = match args.images() {
        [image] => layer(args, image, &mut bar)?,
        _ => None,
    };
    if let Some(layer) = alone {
        let mut output = args.outputs.file(args.output(), out)?;
        return Ok(recompress(layer, &mut *output, &options, &mut bar)?);
    }
    let source = source(args, &mut bar, is_read_once)?;
    let mut output = args.outputs.file(args.output(), out)?;
    Ok(to_tar(source, &mut *output, &options, &mut bar)?)
}

impl Done {
    fn report(&self) -> &Report {
        match self {
            Self::Rafs(rafs) => &rafs.report,
            Self::Erofs(erofs, _) => &erofs.report,
            Self::Estargz(estargz) => &estargz.report,
            Self::Tar(tar) => &tar.report,
        }
    }

    fn output<'a>(&'a self, args: &'a Args) -> &'a Path {
        match self {
            Self::Erofs(_, target) => target,
            _ => args.output(),
        }
    }

    fn object(&self) -> Result<Value, Failure> {
        match self {
            Self::Rafs(rafs) => common::object(rafs),
            Self::Erofs(erofs, _) => common::object(erofs),
            Self::Estargz(estargz) => common::object(estargz),
            Self::Tar(tar) => common::object(tar),
        }
    }
}

fn say(args: &Args, done: &Done, out: &mut dyn Write) -> Result<(), Failure> {
    if args.json {
        let mut value = done.object()?;
        let images = args.images().iter();
        let images: Vec<_> = images.map(|image| image.display().to_string()).collect();
        value["image"] = images.last().cloned().into();
        if images.len() > 1 {
            value["layers"] = images.into();
        }
        value["format"] = name(args.to).into();
        value["output"] = done.output(args).display().to_string().into();
        return common::json(out, &value);
    }
    let report = done.report();
    common::note_losses(report);
    tell(args, done, report, out).map_err(Failure::usage)
}

fn tell(args: &Args, done: &Done, report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let written = common::size(report.bytes_out);
    writeln!(out, "{}: {written} written", done.output(args).display())?;
    if let Done::Rafs(_) | Done::Erofs(..) | Done::Estargz(_) = done {
        let chunks = report.chunks;
        writeln!(
            out,
            "{} inodes, {} of content; {} chunks stored, {} found again ({})",
            report.inodes,
            common::size(report.content_bytes),
            chunks.stored,
            chunks.deduplicated,
            common::size(chunks.deduplicated_bytes),
        )?;
        if chunks.reused > 0 {
            let bytes = common::size(chunks.reused_bytes);
            writeln!(
                out,
                "{} chunks of other blobs used ({bytes})",
                chunks.reused
            )?;
        }
    }
    match done {
        Done::Rafs(rafs) => {
            writeln!(out, "bootstrap {}", rafs.bootstrap.digest)?;
            for blob in &rafs.blobs {
                writeln!(out, "blob {}", blob.object.digest)?;
            }
            for id in &rafs.reused_blobs {
                writeln!(out, "uses blob {id}")?;
            }
            Ok(())
        }
        Done::Erofs(erofs, _) => common::erofs::tell(erofs, out),
        Done::Estargz(layer) => {
            let (digest, diff_id) = (layer.blob.digest, layer.diff_id);
            let toc = layer.toc_digest;
            writeln!(out, "layer {digest}\ndiff id {diff_id}\nTOC {toc}")
        }
        Done::Tar(layer) => {
            let (digest, diff_id) = (layer.blob.digest, layer.diff_id);
            writeln!(out, "layer {digest}\ndiff id {diff_id}")
        }
    }
}
