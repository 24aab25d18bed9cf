//! Counts what images have in common, and writes dictionaries of their chunks.

#[path = "../common/mod.rs"]
mod common;
mod dictionary;
mod plot;

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use common::open::OpenArgs;
use common::output::OutputArgs;
use common::progress::Bar;
use common::{Failure, Outcome};
use lazyoci::blob_io::{DigestWriter, ObjectRole, Written};
use lazyoci::convert::{AnalyzeOptions, Chunking, Duplication, analyze};
use serde_json::json;

/// Count what is the same inside images and across them, by whole files and by chunks
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Images of any format; a whole image counts as the files that a container sees
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// `file`, `fixed:SIZE` or `fastcdc:MIN,AVG,MAX`; may be repeated [default: file, fixed:1MiB, fixed:64KiB, and fastcdc
    /// with averages of 64, 16 and 4 KiB]
    #[arg(long, value_name = "RULE")]
    chunking: Vec<Chunking>,
    /// Write a dictionary of the chunks that the images store (RAFS, eStargz), for `--chunk-dict` of `convert`
    #[arg(long, value_name = "FILE")]
    write_dict: Option<PathBuf>,
    /// Repository that holds the blobs of the dictionary; for nydus images, `oci:DIR` or `docker://HOST/REPOSITORY`
    #[arg(
        long,
        value_name = "REPOSITORY",
        requires = "write_dict",
        default_value = ""
    )]
    repository: String,
    /// Draw for each image what it shares, as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Threads that digest [default: one per core]; does not affect the output
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

fn main() -> ExitCode {
    common::main(|args: &Args| args.json, run)
}

fn run(args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
    for target in [&args.write_dict, &args.plot].into_iter().flatten() {
        if common::open::is_stream(target) {
            return Err(Failure::usage("-: the figures go to stdout; name a file"));
        }
        args.outputs.check(target)?;
    }
    let mut options = AnalyzeOptions::default();
    if !args.chunking.is_empty() {
        options = options.chunkings(args.chunking.iter().copied());
    }
    if let Some(threads) = args.threads {
        options = options.threads(threads.get());
    }
    let mut bar = Bar::new("comparing");
    let open = |index: usize| Ok::<_, Failure>(args.open.open(&args.images[index])?.into());
    let found = analyze(args.images.len(), open, &options, &mut bar)?;
    drop(bar);
    let written = args.write_dict.as_deref();
    let dictionary = written.map(|target| dictionary::write(args, target, out));
    let dictionary = dictionary.transpose()?;
    if let Some(target) = &args.plot {
        let picture = plot::draw(&names(args), &found);
        write(args, target, out, picture.as_bytes())?;
    }
    say(args, &found, dictionary.as_ref(), out)?;
    Ok(Outcome::Done)
}

fn names(args: &Args) -> Vec<String> {
    let names = args.images.iter().map(|image| image.display().to_string());
    names.collect()
}

/// Writes `bytes` to a new file.
fn write(
    args: &Args,
    target: &Path,
    out: &mut dyn Write,
    bytes: &[u8],
) -> Result<Written, Failure> {
    let mut output = args.outputs.file(target, out)?;
    let mut object = DigestWriter::new(output.begin(ObjectRole::Blob)?);
    object.write_all(bytes).map_err(Failure::usage)?;
    let (object, written) = object.finish();
    object.finish(&written)?;
    output.commit()?;
    Ok(written)
}

fn say(
    args: &Args,
    found: &[Duplication],
    dictionary: Option<&dictionary::Dictionary>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if args.json {
        let mut ways = Vec::new();
        for way in found {
            let mut value = common::object(way)?;
            for (index, name) in names(args).into_iter().enumerate() {
                value["images"][index]["image"] = name.into();
            }
            ways.push(value);
        }
        let mut value = json!({ "chunkings": ways });
        if let Some(dictionary) = dictionary {
            value["dictionary"] = json!({
                "digest": dictionary.written.digest.to_string(),
                "bytes": dictionary.written.len,
                "chunks": dictionary.summary.chunks,
            });
        }
        return common::json(out, &value);
    }
    let tell = |out: &mut dyn Write| {
        for way in found {
            let (all, distinct) = (way.len, way.distinct_len);
            writeln!(
                out,
                "{}: {} in {} chunks, of which {} in {} are distinct ({} %)",
                way.chunking,
                common::size(all),
                way.chunks,
                common::size(distinct),
                way.distinct_chunks,
                percent(distinct, all),
            )?;
            for (name, image) in names(args).iter().zip(&way.images) {
                writeln!(
                    out,
                    "  {name}: {} distinct, {} of that shared ({} %), {} in no image before it",
                    common::size(image.distinct_len),
                    common::size(image.shared_len),
                    percent(image.shared_len, image.distinct_len),
                    common::size(image.added_len),
                )?;
            }
        }
        if let (Some(dictionary), Some(target)) = (dictionary, &args.write_dict) {
            let chunks = dictionary.summary.chunks;
            let digest = dictionary.written.digest;
            writeln!(out, "{}: {chunks} chunks, {digest}", target.display())?;
        }
        Ok(())
    };
    tell(out).map_err(|error: std::io::Error| Failure::usage(error))
}

fn percent(part: u64, whole: u64) -> u128 {
    u128::from(part) * 100 / u128::from(whole.max(1))
}
