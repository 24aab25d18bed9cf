//! Prints only the tree digest of an image: one hash of the file tree, independent of the format.

mod common;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use common::open::OpenArgs;
use common::progress::Bar;
use common::{Failure, Outcome};
use lazyoci::verify::Profile;

/// Print the tree digest of an image: equal digests mean that a container sees the same files. The
/// profile decides what counts
#[derive(Parser)]
#[command(version)]
struct Args {
    /// A layer, a RAFS bootstrap or blob, an EROFS image, a directory, or a whole image, as in `oci:DIR:TAG` or
    /// `docker://HOST/REPOSITORY:TAG`
    image: PathBuf,
    /// What counts. `default`: names, kinds, modes (except of symbolic links), owners, times in whole seconds (except
    /// of the root), devices, link targets, extended attributes, content, and which names are hard links to the same
    /// file; but not fractions of a second, which eStargz drops, the root's time, which builders make up, or whiteouts,
    /// which no container sees. `layer`: the same for a single layer, including whiteouts and opaque directories.
    /// `content`: only names, kinds, link targets and content
    #[arg(long, default_value = "default")]
    profile: Profile,
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
    let mut bar = Bar::new("digesting");
    let digest = image.tree_digest(args.profile, &mut bar)?;
    drop(bar);
    if args.json {
        let value = serde_json::json!({
            "image": args.image.display().to_string(),
            "format": image.format().to_string(),
            "profile": args.profile.to_string(),
            "tree_digest": digest.to_string(),
        });
        common::json(out, &value)?;
    } else {
        writeln!(out, "{digest}").map_err(Failure::usage)?;
    }
    Ok(Outcome::Done)
}
