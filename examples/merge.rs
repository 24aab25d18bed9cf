//! Merges the RAFS bootstraps of layers.

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use common::bootstrap::Named;
use common::open::{OpenArgs, is_stream};
use common::output::OutputArgs;
use common::{Failure, Outcome};
use lazyoci::blob_io::{DigestWriter, DirectoryOutput, ObjectRole, Output, Written};
use lazyoci::model::layer::Whiteouts;
use lazyoci::rafs_format::Version;
use lazyoci::rafs_format::merge::{Merge, MergeOptions, Merged};
use lazyoci::read::Format;
use serde_json::json;

/// Merge the RAFS bootstraps of layers into one, applying whiteouts; content stays in the blobs
#[derive(Parser)]
#[command(version, override_usage = "merge [OPTIONS] <BOOTSTRAP>... <OUTPUT>")]
struct Args {
    /// BOOTSTRAP: bootstraps of layers, or blobs that contain theirs, lowest first. A blob that its bootstrap does not
    /// name gets the name of the bootstrap's file, up to the first dot. OUTPUT: a new directory for `image.boot`
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Bootstrap of a merged image below the layers
    #[arg(long, value_name = "BOOTSTRAP")]
    parent: Option<PathBuf>,
    /// Bootstrap or file of the chunk dictionary that the layers were made with; checked for consistency
    #[arg(long, value_name = "IMAGE")]
    chunk_dict: Option<PathBuf>,
    /// What hides files of lower layers
    #[arg(long, value_name = "KIND", default_value = "oci")]
    whiteouts: WhiteoutKind,
    /// File with one path per line: what readers fetch first, in this order
    #[arg(long, value_name = "FILE")]
    prefetch: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    open: OpenArgs,
    #[command(flatten)]
    outputs: OutputArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum WhiteoutKind {
    Oci,
    Overlayfs,
    None,
}

fn main() -> ExitCode {
    common::main(|args: &Args| args.json, run)
}

fn run(args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let Some((output, layers)) = args.paths.split_last().filter(|(_, rest)| !rest.is_empty())
    else {
        let what = "BOOTSTRAP and OUTPUT are required; see --help";
        return Err(Failure::usage(what));
    };
    if is_stream(output) {
        let what = "-: the output is a directory and cannot go to stdout";
        return Err(Failure::usage(what));
    }
    args.outputs.check(output)?;
    let merged = merge(args, layers)?;
    let directory = args.outputs.directory(output)?;
    let mut writing = DirectoryOutput::create(directory.path())?;
    let mut object = DigestWriter::new(writing.begin(ObjectRole::Bootstrap)?);
    let bytes = merged.to_bytes()?;
    object.write_all(&bytes).map_err(Failure::usage)?;
    let (object, written) = object.finish();
    object.finish(&written)?;
    writing.commit()?;
    directory.commit()?;
    say(args, (output, layers), &merged, &written, out)?;
    Ok(Outcome::Done)
}

fn merge(args: &Args, layers: &[PathBuf]) -> Result<Merged, Failure> {
    let prefetch = args.prefetch.as_deref().map(common::prefetch::read);
    let options = MergeOptions::default()
        .whiteouts(match args.whiteouts {
            WhiteoutKind::Oci => Whiteouts::Oci,
            WhiteoutKind::Overlayfs => Whiteouts::Overlayfs,
            WhiteoutKind::None => Whiteouts::Nothing,
        })
        .prefetch(prefetch.transpose()?.unwrap_or_default())
        .limits(args.open.limits());
    let mut merge = Merge::new(options);
    let open = |path: &Path| Named::open(path, &args.open);
    if let Some(path) = &args.parent {
        let parent = open(path)?;
        let pushed = merge.push_parent(parent.bootstrap());
        pushed.map_err(|error| Failure::from(error).of(path.display()))?;
    }
    for path in layers {
        let layer = open(path)?;
        let pushed = merge.push(layer.bootstrap(), layer.own_blob.as_ref());
        pushed.map_err(|error| Failure::from(error).of(path.display()))?;
    }
    if let Some(path) = &args.chunk_dict {
        let checked = match common::dictionary::open(path)? {
            Some(file) => {
                let known = common::dictionary::blobs(&file);
                let (shape, blobs) = known.map_err(|failure| failure.of(path.display()))?;
                merge.check_blobs(&shape, blobs)
            }
            None => {
                let dictionary = open(path)?;
                let own_blob = dictionary.own_blob.as_ref();
                merge.check_dictionary(dictionary.bootstrap(), own_blob)
            }
        };
        checked.map_err(|error| Failure::from(error).of(path.display()))?;
    }
    Ok(merge.finish())
}

fn say(
    args: &Args,
    (output, layers): (&Path, &[PathBuf]),
    merged: &Merged,
    written: &Written,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let format = match merged.version() {
        Version::V5 => Format::RafsV5,
        _ => Format::RafsV6,
    };
    let blobs = merged.entries().iter().map(|entry| entry.id.as_str());
    let inodes = merged.image().tree.len();
    if args.json {
        let layers = layers.iter().map(|layer| layer.display().to_string());
        let value = json!({
            "output": output.display().to_string(),
            "format": format.to_string(),
            "layers": layers.collect::<Vec<_>>(),
            "inodes": inodes,
            "bootstrap": { "digest": written.digest.to_string(), "bytes": written.len },
            "blobs": blobs.map(|id| json!({ "id": id })).collect::<Vec<_>>(),
        });
        return common::json(out, &value);
    }
    let inodes = common::count(inodes as u64, "inode");
    let tell = |out: &mut dyn Write| {
        writeln!(out, "{}: {format}, {inodes}", output.display())?;
        writeln!(out, "bootstrap {}", written.digest)?;
        blobs
            .into_iter()
            .try_for_each(|id| writeln!(out, "blob {id}"))
    };
    tell(out).map_err(Failure::usage)
}
