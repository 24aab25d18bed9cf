//! Shows the structure of an image: format, flags, counts, blobs, digests, prefetch list.

mod common;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use common::describe::Description;
use common::open::OpenArgs;
use common::{Failure, Outcome, chunked_dump, estargz_dump, rafs_dump};
use lazyoci::read::OpenImage;

/// Show the structure of an image
#[derive(Parser)]
#[command(version)]
struct Args {
    /// A layer, a RAFS bootstrap or blob, an EROFS image, a directory, or a whole image, as in `oci:DIR:TAG` or
    /// `docker://HOST/REPOSITORY:TAG`
    image: PathBuf,
    /// Print every structure with its offset (RAFS, EROFS, eStargz, zstd:chunked)
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

fn dump(args: &Args, image: &OpenImage, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let (mut value, text) = if let Some(layer) = image.estargz().filter(|l| l.pieces.is_some()) {
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
        let what = format!("a {} has no structures to dump", image.format());
        return Err(Failure::usage(what));
    };
    if args.json {
        value["image"] = args.image.display().to_string().into();
        value["format"] = image.format().to_string().into();
        common::json(out, &value)?;
    } else {
        out.write_all(text.as_bytes()).map_err(Failure::usage)?;
    }
    Ok(Outcome::Done)
}
