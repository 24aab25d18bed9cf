//! Converts a layer, a directory or an image into another format.

mod args;
#[path = "../common/mod.rs"]
mod common;
mod erofs;
mod images;
mod options;
mod reference;
mod say;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use args::{Args, Target, name, refuse_what_does_not_fit};
use common::incoming::Incoming;
use common::open::{is_read_once, is_stream, no_stream};
use common::progress::Bar;
use common::{Failure, Outcome, whole};
use lazyoci::blob_io::{DirectoryOutput, LocalFile, ReadAt};
use lazyoci::convert::{
    ChunkDictionary, CompactOptions, ErofsOptions, EstargzReport, KeepBlobsOptions, PrefetchPolicy,
    RafsOptions, RafsReport, Source, Streaming, TarReport, ZstdChunkedDialect, ZstdChunkedReport,
    compact, keep_blobs, plan_reuse, recompress, to_erofs, to_estargz, to_rafs, to_tar,
    to_zstd_chunked,
};
use lazyoci::rafs_format::Version;
#[cfg(feature = "gzip-index")]
use lazyoci::read::ReadOptions;
use lazyoci::read::{Format, format_at};
use lazyoci::tar_stream::Compression as LayerCompression;
use options::{
    dictionary, digest, estargz_options, rafs_options, tar_options, threads, zstd_chunked_options,
};
use say::{Done, say};

fn main() -> ExitCode {
    // Stdout may be the output itself.
    common::main(|args: &Args| args.json && !is_stream(args.output()), run)
}

fn run(args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
    if args.images().is_empty() {
        return Err(Failure::usage("IMAGE and OUTPUT are required; see --help"));
    }
    refuse_what_does_not_fit(args)?;
    if let Some(whole) = images::Whole::of(args)? {
        args.images()
            .iter()
            .try_for_each(|image| args.open.refuse_index(image))?;
        return whole.convert(args, out);
    }
    if args.layer_cache.is_none() {
        args.outputs.check(args.output())?;
    }
    let done = match args.to {
        Target::RafsV5 => Done::Rafs(rafs(args, Version::V5)?),
        Target::RafsV6 => Done::Rafs(rafs(args, Version::V6)?),
        #[cfg(feature = "gzip-index")]
        Target::RafsV6Zran | Target::RafsV6EstargzRef => Done::Zran(reference::zran(args)?),
        Target::RafsV6Tarfs => Done::Tarfs(reference::tarfs(args)?),
        #[cfg(not(feature = "gzip-index"))]
        Target::RafsV6Zran | Target::RafsV6EstargzRef => {
            return Err(Failure::usage("built without feature gzip-index"));
        }
        Target::Erofs => erofs(args, out)?,
        Target::Estargz | Target::EstargzExternalToc => Done::Estargz(estargz(args, out)?),
        Target::ZstdChunked => Done::ZstdChunked(zstd_chunked(args, out)?),
        Target::Tar | Target::TarGzip | Target::TarZstd => Done::Tar(tar(args, out)?),
        Target::Nydus | Target::Oci => {
            let what = "the output must be a whole image, such as `oci:DIR:TAG` or `docker://HOST/REPOSITORY:TAG`";
            return Err(Failure::usage(what).of(args.output().display()));
        }
    };
    common::say(args.output(), out, |out| say(args, &done, out))?;
    Ok(Outcome::Done)
}

/// The other version of a RAFS image over its existing blobs, or the same version with fewer blobs.
fn from_rafs(args: &Args, version: Version) -> Result<RafsReport, Failure> {
    let [path] = args.images() else {
        let what = "--keep-blobs and --compact take exactly one image, which must be RAFS";
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

fn rafs(args: &Args, version: Version) -> Result<RafsReport, Failure> {
    if args.keep_blobs || args.compact {
        return from_rafs(args, version);
    }
    let mut options = rafs_options(args, version)?;
    if let Some(dictionary) = dictionary(args)? {
        let dictionary = chosen(args, dictionary, &options)?;
        options = options.dictionary(Some(Arc::new(dictionary)));
    }
    // A layer is read once, from first byte to last, unless another order than its own is wanted.
    let mut bar = Bar::new("converting");
    let in_own_order =
        options.prefetch.is_empty() || options.prefetch_policy == PrefetchPolicy::None;
    let source = source(args, &mut bar, |path| in_own_order || is_read_once(path))?;
    let directory = args.outputs.directory(args.output())?;
    let mut output = DirectoryOutput::create(directory.path())?;
    let report = to_rafs(source, &mut output, &options, &mut bar)?;
    directory.commit()?;
    Ok(report)
}

/// The dictionary, or those of its blobs of which the image uses enough.
fn chosen(
    args: &Args,
    dictionary: ChunkDictionary,
    options: &RafsOptions,
) -> Result<ChunkDictionary, Failure> {
    let policy = options::policy(args);
    if !policy.needs_uses() {
        return Ok(dictionary);
    }
    for image in args.images() {
        no_stream(image)?;
    }
    let mut bar = Bar::new("predicting");
    let source = source(args, &mut bar, |_| false)?;
    let shared = Arc::new(dictionary);
    let options = options.clone().dictionary(Some(Arc::clone(&shared)));
    let plan = plan_reuse(source, &options, &mut bar)?;
    Ok(ChunkDictionary::clone(&shared).only(&policy.choose(&plan.uses)))
}

/// The image, or the stack of layers. A layer for which `once` says so is read once, front to back; so are all layers
/// of a stack, where hard links may lead into lower layers.
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
        [image] => Ok(open(image)?.keep_frames(args.keep_frames)),
        layers => {
            let layers: Vec<_> = layers.iter().map(open).collect::<Result<_, _>>()?;
            Ok(Source::stack(layers))
        }
    }
}

/// The file at `path` as a layer that is read once, if it is one: a tar, judging by its content, or input from stdin or
/// a pipe. `bar` shows how much of a file has been read.
fn layer(args: &Args, path: &Path, bar: &mut Bar) -> Result<Option<Streaming<'static>>, Failure> {
    let bytes = layer_bytes(args, path, bar)?;
    Ok(bytes.map(|bytes| streaming(args, bytes)))
}

fn streaming(args: &Args, bytes: impl Read + 'static) -> Streaming<'static> {
    let layer = Streaming::new(bytes).lenient(args.open.lenient());
    layer.limits(args.open.limits())
}

/// The bytes of that layer, as they are stored; those of the tar, if an index decodes them.
fn layer_bytes(args: &Args, path: &Path, bar: &mut Bar) -> Result<Option<Box<dyn Read>>, Failure> {
    if whole::location(path).is_some() {
        args.open.refuse_index(path)?;
        return Ok(None);
    }
    if args.open.has_index() && (is_read_once(path) || args.images().len() > 1) {
        args.open.refuse_index(path)?;
    }
    #[cfg(feature = "gzip-index")]
    if let Some(index) = args.open.layer_index()? {
        let of = |error: Failure| error.of(path.display());
        let file = LocalFile::open(path).map_err(|error| of(Failure::usage(error)))?;
        let threads = threads(args, ReadOptions::default().threads);
        let file: Arc<dyn ReadAt> = Arc::new(file);
        let stream = index.stream(&file, threads);
        let stream = stream.map_err(|error| of(error.into()))?;
        let layer = bar.meter(stream, index.decoded_len());
        return Ok(Some(Box::new(layer)));
    }
    Ok(if is_stream(path) {
        Some(Box::new(
            Incoming::new(io::stdin()).map_err(Failure::usage)?,
        ))
    } else if is_read_once(path) {
        let pipe = File::open(path).map_err(Failure::usage)?;
        Some(Box::new(Incoming::new(pipe).map_err(Failure::usage)?))
    } else if is_layer(args, path)? {
        let file = File::open(path).map_err(Failure::usage)?;
        let len = file.metadata().map_err(Failure::usage)?.len();
        Some(Box::new(bar.meter(file, len)))
    } else {
        None
    })
}

fn is_layer(args: &Args, path: &Path) -> Result<bool, Failure> {
    let format = format_at(path).map_err(|error| Failure::from(error).of(path.display()))?;
    // Of an eStargz, the layer is wanted, not the image.
    let kept = args.to == Target::RafsV6EstargzRef && format.has_toc();
    Ok(kept || args.open.is_layer(format))
}

/// One EROFS image of all of it.
fn erofs(args: &Args, out: &mut dyn Write) -> Result<Done, Failure> {
    let defaults = ErofsOptions::default();
    let options = ErofsOptions::default()
        .chunk_size(args.chunk_size().unwrap_or(defaults.chunk_size))
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
    if let Some(cache) = &args.layer_cache {
        #[cfg(feature = "gzip-index")]
        if let Some(index) = args.open.layer_index()?
            && index.ztoc().is_some()
        {
            let what = "--layer-cache needs all of the tar, but a zTOC ends with its last file: use an index of `--format own`";
            return Err(Failure::usage(what));
        }
        let tar = match args.images() {
            [layer] => layer_bytes(args, layer, &mut bar)?,
            _ => None,
        };
        let Some(tar) = tar else {
            let what = "--layer-cache takes one layer: its DiffID names the image";
            return Err(Failure::usage(what));
        };
        let layer = erofs::DigestedLayer::open(tar)?;
        let source = streaming(args, layer.clone());
        let mut entry = erofs::CacheEntry::create(cache)?;
        let report = to_erofs(source, &mut entry.output(), &options, &mut bar)?;
        let target = entry.commit(&layer.diff_id()?, report.verity.as_ref(), &args.outputs)?;
        return Ok(Done::Erofs(report, target));
    }
    let target = args.output().to_owned();
    // A plain tar is read twice rather than kept meanwhile.
    let source = match tar_in_place(args, &mut bar)? {
        Some(tar) => tar.into(),
        None => source(args, &mut bar, |path| is_read_once(path) || !is_plain(path))?,
    };
    let mut output = args.outputs.file(&target, out)?;
    let report = to_erofs(source, &mut *output, &options, &mut bar)?;
    drop(output);
    Ok(Done::Erofs(report, target))
}

/// The only image, if it is a plain tar in a file and no more is told of it.
fn tar_in_place(args: &Args, bar: &mut Bar) -> Result<Option<Streaming<'static>>, Failure> {
    let [path] = args.images() else {
        return Ok(None);
    };
    if is_read_once(path) || whole::location(path).is_some() || !is_plain(path) || args.open.tells()
    {
        return Ok(None);
    }
    let of = |error: Failure| error.of(path.display());
    let file = LocalFile::open(path).map_err(|error| of(Failure::usage(error)))?;
    let len = file.len().map_err(|error| of(error.into()))?;
    let file = Arc::new(bar.meter_file(file, len));
    let layer = Streaming::of_file(file).map_err(|error| of(error.into()))?;
    let layer = layer.lenient(args.open.lenient());
    Ok(Some(layer.limits(args.open.limits())))
}

fn is_plain(path: &Path) -> bool {
    let format = format_at(path);
    format.is_ok_and(|format| format == Format::Tar(LayerCompression::None))
}

fn estargz(args: &Args, out: &mut dyn Write) -> Result<EstargzReport, Failure> {
    let options = estargz_options(args)?;
    // Either is read in another order than that of the layer; a file need not be copied for that.
    let mut bar = Bar::new("converting");
    let source = source(args, &mut bar, |path| {
        options.lossless || is_read_once(path)
    })?;
    // Last: the output may lie in the directory that is the source, and is no part of it.
    let mut output = match options.external_toc {
        true => args.outputs.with_toc(args.output())?,
        false => args.outputs.file(args.output(), out)?,
    };
    Ok(to_estargz(source, &mut *output, &options, &mut bar)?)
}

fn zstd_chunked(args: &Args, out: &mut dyn Write) -> Result<ZstdChunkedReport, Failure> {
    let options = zstd_chunked_options(args)?;
    let keeps_tar = options.lossless || options.dialect == ZstdChunkedDialect::Containers;
    let mut bar = Bar::new("converting");
    let source = source(args, &mut bar, |path| keeps_tar || is_read_once(path))?;
    let mut output = args.outputs.file(args.output(), out)?;
    Ok(to_zstd_chunked(source, &mut *output, &options, &mut bar)?)
}

fn tar(args: &Args, out: &mut dyn Write) -> Result<TarReport, Failure> {
    let options = tar_options(args)?;
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
