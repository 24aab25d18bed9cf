//! Checks an image: every structure, every digest, every chunk; lists all faults.

mod common;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use common::failure::with_hint;
use common::open::{OpenArgs, no_stream};
use common::progress::Bar;
use common::whole::Whole;
use common::{Failure, Outcome, count};
use lazyoci::model::{Digest, Fault};
use lazyoci::read::{Finding, VerifyOptions, VerifySummary, verify_path};
use serde_json::{Value, json};

/// Check every structure, digest and chunk of an image and list all faults
#[derive(Parser)]
#[command(version)]
struct Args {
    /// A layer, a RAFS bootstrap or blob, an EROFS image, a directory (an output of `convert`, or any other), or a whole
    /// image, as in `oci:DIR`
    image: PathBuf,
    /// Expected digest of the file, its bootstrap, its TOC or its index: `sha256:...` or `blake3:...`
    #[arg(long, value_name = "DIGEST")]
    expect: Option<Digest>,
    /// Expected digest of the layer's tar: what the configuration of its image lists
    #[arg(long, value_name = "DIGEST")]
    diff_id: Option<Digest>,
    /// Do not read the content
    #[arg(long)]
    metadata_only: bool,
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
    no_stream(&args.image)?;
    let options = VerifyOptions::default()
        .content(!args.metadata_only)
        .lenient(args.open.lenient())
        .expect(args.expect)
        .diff_id(args.diff_id);
    let mut findings = Vec::new();
    let mut bar = Bar::new("verifying");
    let mut found = |found| findings.push(found);
    let summary = match Whole::find(&args.image, &args.open)? {
        Some(whole) => {
            args.open.refuse_index_of_all(&args.image)?;
            whole.check(&args.open, &mut bar)?;
            let image = whole.open(&args.open)?;
            image.verify(&options, &mut bar, &mut found)?
        }
        None => verify_path(
            &args.image,
            &args.open.layer_options()?,
            &options,
            &mut bar,
            &mut found,
        )?,
    };
    drop(bar);
    let said = say(args, &summary, &findings, out);
    match summary.worst() {
        None => said.map(|()| Outcome::Done),
        // The image is bad whether or not anybody reads why.
        Some(Fault::Corrupt) => Ok(Outcome::Bad),
        Some(Fault::Io) => Ok(Outcome::Unreadable),
        Some(_) => Ok(Outcome::Refused),
    }
}

fn say(
    args: &Args,
    summary: &VerifySummary,
    findings: &[Finding],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let format = match summary.format {
        Some(format) => format.to_string(),
        None => "unknown".into(),
    };
    if args.json {
        let mut value = common::object(summary)?;
        value["image"] = args.image.display().to_string().into();
        value["format"] = Value::String(format);
        value["faults"] = json!(findings);
        return common::json(out, &value);
    }
    for finding in findings {
        common::note(with_hint(finding.to_string(), &finding.what));
    }
    common::note_advisories(&summary.advisories);
    if summary.untold > 0 {
        common::note(format_args!("and {} more", summary.untold));
    }
    let audit = &summary.audit;
    let padding = match summary.padding_len {
        0 => String::new(),
        len => format!("{} of padding, ", count(len, "byte")),
    };
    let unvouched = match summary.unvouched_len {
        0 => String::new(),
        len => format!("{} without a digest, ", count(len, "stored byte")),
    };
    writeln!(
        out,
        "{format}: {}, {}, {} ({} without a digest), {padding}{unvouched}{}",
        count(audit.paths, "path"),
        count(audit.files, "file"),
        count(audit.chunks, "chunk"),
        audit.unverifiable_chunks,
        count(summary.findings, "fault"),
    )
    .map_err(Failure::usage)
}
