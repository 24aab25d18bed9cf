//! Layers that stay as they are, described as RAFS images.

use lazyoci::blob_io::DirectoryOutput;
use lazyoci::convert::{Streaming, TarfsOptions, TarfsReport, to_tarfs};
#[cfg(feature = "gzip-index")]
use lazyoci::convert::{ZranOptions, ZranReport, to_zran};

#[cfg(feature = "gzip-index")]
use crate::args::Target;
use crate::args::{Args, name};
use crate::common::Failure;
use crate::common::progress::Bar;
use crate::layer;
#[cfg(feature = "gzip-index")]
use crate::options::threads;

/// The only layer.
fn only_layer(args: &Args, bar: &mut Bar) -> Result<Streaming<'static>, Failure> {
    let target = name(args.to);
    let [path] = args.images() else {
        return Err(Failure::usage(format!("{target} takes exactly one layer")));
    };
    args.open.refuse_index(path)?;
    let Some(source) = layer(args, path, bar)? else {
        let what = format!("{target} takes a layer, which stays as it is");
        return Err(Failure::usage(what).of(path.display()));
    };
    Ok(source)
}

/// A gzip layer or a plain tar as it is.
#[cfg(feature = "gzip-index")]
pub(crate) fn zran(args: &Args) -> Result<ZranReport, Failure> {
    let mut bar = Bar::new("indexing");
    let source = only_layer(args, &mut bar)?;
    let options = zran_options(args);
    let directory = args.outputs.directory(args.output())?;
    let mut output = DirectoryOutput::create(directory.path())?;
    let report = to_zran(source, &mut output, &options, &mut bar)?;
    directory.commit()?;
    Ok(report)
}

/// How layers are described.
#[cfg(feature = "gzip-index")]
pub(crate) fn zran_options(args: &Args) -> ZranOptions {
    let defaults = ZranOptions::default();
    ZranOptions::default()
        .span(args.zran_span)
        .estargz(args.to == Target::RafsV6EstargzRef)
        .chunk_size(args.chunk_size().unwrap_or(defaults.chunk_size))
        .compat(args.compat.unwrap_or_default())
        .lossy(args.lossy)
        .threads(threads(args, defaults.threads))
}

/// The tar of a layer as it is.
pub(crate) fn tarfs(args: &Args) -> Result<TarfsReport, Failure> {
    let mut bar = Bar::new("describing");
    let source = only_layer(args, &mut bar)?;
    let defaults = TarfsOptions::default();
    let options = TarfsOptions::default()
        .chunk_size(args.chunk_size().unwrap_or(defaults.chunk_size))
        .compat(args.compat.unwrap_or_default())
        .lossy(args.lossy);
    let directory = args.outputs.directory(args.output())?;
    let mut output = DirectoryOutput::create(directory.path())?;
    let report = to_tarfs(source, &mut output, &options, &mut bar)?;
    directory.commit()?;
    Ok(report)
}
