//! Shows the structure of an image: format, flags, counts, blobs, digests, prefetch list. Dumps indexes of layers, too.

mod common;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use common::describe::Description;
#[cfg(feature = "gzip-index")]
use common::index_dump::IndexDump;
use common::open::OpenArgs;
use common::{Failure, Outcome, chunked_dump, estargz_dump, rafs_dump};
use lazyoci::read::OpenImage;
use serde_json::Value;

/// Show the structure of an image
#[derive(Parser)]
#[command(version)]
struct Args {
    /// A layer, a RAFS bootstrap or blob, an EROFS image, a directory, or a whole image, as in `oci:DIR:TAG` or
    /// `docker://HOST/REPOSITORY:TAG`; with --dump also the index of a layer, by itself
    image: PathBuf,
    /// Print every structure with its offset (RAFS, EROFS, eStargz, zstd:chunked); with --index those of the index
    /// (ours, or a zTOC)
    #[arg(long)]
    dump: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    open: OpenArgs,
}

fn main() -> ExitCode {
    common::main(|args: &Args| args.json, run)
}

fn run(args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
    #[cfg(feature = "gzip-index")]
    if let Some(index) = IndexDump::find(&args.image, &args.open.limits())? {
        return index_file(args, &index, out);
    }
    let image = args.open.open(&args.image)?;
    if args.dump {
        return dump(args, &image, out);
    }
    let description = Description::of(&args.image, &image)?;
    if args.json {
        common::json(out, &description)?;
    } else {
        write!(out, "{description}").map_err(Failure::usage)?;
    }
    Ok(Outcome::Done)
}

/// An index that is named by itself.
#[cfg(feature = "gzip-index")]
fn index_file(args: &Args, index: &IndexDump, out: &mut dyn Write) -> Result<Outcome, Failure> {
    if args.dump && !args.open.has_index() {
        return dump_index(args, index, index.format(), out);
    }
    let what = "an index is no image by itself: --dump shows its structures, --index takes it with its layer";
    Err(Failure::usage(what).of(args.image.display()))
}

/// Dumps an index, of a layer or by itself, whose format is called `format`.
#[cfg(feature = "gzip-index")]
fn dump_index(
    args: &Args,
    index: &IndexDump,
    format: &str,
    out: &mut dyn Write,
) -> Result<Outcome, Failure> {
    let limits = args.open.limits();
    if args.json {
        print(args, index.value(&limits)?, format, out)?;
    } else {
        index.lines(&limits, out).map_err(Failure::usage)?;
    }
    Ok(Outcome::Done)
}

/// Prints the structures of what is called `format` as one JSON object.
fn print(args: &Args, mut value: Value, format: &str, out: &mut dyn Write) -> Result<(), Failure> {
    value["image"] = args.image.display().to_string().into();
    value["format"] = format.into();
    common::json(out, &value)
}

fn dump(args: &Args, image: &OpenImage, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let format = image.format().to_string();
    #[cfg(feature = "gzip-index")]
    if let Some(index) = image.layer_index() {
        return dump_index(args, &IndexDump::Sound(index.clone()), &format, out);
    }
    let (value, text) = if let Some(layer) = image.estargz().filter(|l| l.pieces.is_some()) {
        let value = chunked_dump::dump(image, layer)?;
        let text = chunked_dump::lines(&value);
        (value, text)
    } else if image.estargz().is_some() {
        let value = estargz_dump::dump(&args.image, image)?;
        let text = estargz_dump::lines(&value);
        (value, text)
    } else if let Some(bootstrap) = image.bootstrap() {
        let contexts = rafs_dump::contexts(image);
        let mut text = String::new();
        if !args.json {
            bootstrap.dump(&mut text).map_err(Failure::usage)?;
            for (index, meta) in &contexts {
                meta.dump(*index, &mut text).map_err(Failure::usage)?;
            }
        }
        (rafs_dump::dump(bootstrap, &contexts)?, text)
    } else if let Some(v7) = image.v7() {
        let mut text = String::new();
        if !args.json {
            v7.dump(&mut text).map_err(Failure::usage)?;
        }
        (rafs_dump::dump_v7(v7)?, text)
    } else if let Some(erofs) = image.erofs() {
        let mut text = String::new();
        if !args.json {
            erofs.dump(&mut text).map_err(Failure::usage)?;
        }
        (rafs_dump::dump_erofs(erofs)?, text)
    } else {
        let mut what = format!("a {format} has no structures to dump");
        if cfg!(feature = "gzip-index") && args.open.is_layer(image.format()) {
            what += " (--index FILE dumps those of its index)";
        }
        return Err(Failure::usage(what));
    };
    if args.json {
        print(args, value, &format, out)?;
    } else {
        out.write_all(text.as_bytes()).map_err(Failure::usage)?;
    }
    Ok(Outcome::Done)
}
