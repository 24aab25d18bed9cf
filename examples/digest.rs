//! Prints the tree digest of an image and nothing else: one hash of the file tree, whatever holds it.

mod common;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use common::open::OpenArgs;
use common::progress::Bar;
use common::{Failure, Outcome};
use lazyoci::verify::Profile;

/// Print the tree digest of an image: equal digests mean that a container sees the same files. Fractions
/// of a second and the time of the root do not count, since not every format has them
#[derive(Parser)]
#[command(version)]
struct Args {
    /// A layer, a RAFS bootstrap or blob, or a directory
    image: PathBuf,
    /// What counts: `default`, `layer` (whiteouts too) or `content` (names and content only)
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
            "digest": digest.to_string(),
            "profile": args.profile.to_string(),
            "format": image.format().to_string(),
        });
        common::json(out, &value)?;
    } else {
        writeln!(out, "{digest}").map_err(Failure::usage)?;
    }
    Ok(Outcome::Done)
}
