//! Checks an image: every structure, every digest, every chunk; lists all faults.

mod common;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use common::open::OpenArgs;
use common::progress::Bar;
use common::{Failure, Outcome};
use lazyoci::blob_io::LocalFile;
use lazyoci::estargz_toc::compare::{CompareOptions, compare};
use lazyoci::model::{Blame, Cancelled, Digest, Fault, Limits, Progress};
use lazyoci::read::{Format, OpenImage, read_toc};
use lazyoci::verify::{AuditFault, AuditObserver, Hasher, audit, audit_metadata};
use serde_json::{Value, json};

/// Check every structure, digest and chunk of an image and list all faults
#[derive(Parser)]
struct Args {
    /// A layer, a RAFS bootstrap or blob, or a directory
    image: PathBuf,
    /// Digest that the file must have, `sha256:...` or `blake3:...`, or the TOC of an eStargz layer
    #[arg(long, value_name = "DIGEST")]
    expect: Option<Digest>,
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
    common::main(run)
}

/// Faults in the order in which they were found.
struct Faults {
    list: Vec<Value>,
    bar: Bar,
}

impl Faults {
    fn add(&mut self, fault: Fault, path: &str, error: &dyn std::error::Error) {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        self.list
            .push(json!({ "fault": fault.to_string(), "path": path, "what": text }));
    }
}

impl AuditObserver for Faults {
    fn fault(&mut self, fault: AuditFault) {
        self.add(fault.fault(), &fault.path().to_string(), &fault);
    }

    fn advance(&mut self, done: u64) -> Result<(), Cancelled> {
        self.bar.advance(done, None)
    }
}

fn run(args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let mut faults = Faults {
        list: Vec::new(),
        bar: Bar::new("verifying"),
    };
    if let Some(expected) = &args.expect {
        expect(args, expected)?;
    }
    let image = args.open.open(&args.image)?;
    check_structure(&image, &mut faults);
    if !args.metadata_only {
        check_tar(args, &image, &mut faults)?;
    }
    let limits = Limits::default();
    let summary = if args.metadata_only {
        audit_metadata(image.image(), &limits, &mut faults)?
    } else {
        audit(image.image(), &mut image.frames(), &limits, &mut faults)?
    };
    drop(faults.bar);
    let bad = !faults.list.is_empty();
    if args.json {
        let value = json!({
            "format": image.format().to_string(),
            "paths": summary.paths,
            "files": summary.files,
            "content_bytes": summary.content_len,
            "chunks": summary.chunks,
            "unverifiable_chunks": summary.unverifiable_chunks,
            "faults": faults.list,
        });
        common::json(out, &value)?;
    } else {
        for fault in &faults.list {
            eprintln!(
                "{}: {}",
                fault["fault"].as_str().unwrap_or_default(),
                fault["what"].as_str().unwrap_or_default()
            );
        }
        writeln!(
            out,
            "{}: {} paths, {} files, {} chunks ({} without a digest), {} faults",
            image.format(),
            summary.paths,
            summary.files,
            summary.chunks,
            summary.unverifiable_chunks,
            faults.list.len()
        )
        .map_err(Failure::usage)?;
    }
    Ok(if bad { Outcome::Bad } else { Outcome::Done })
}

/// What a format's own check finds beyond what every image has.
fn check_structure(image: &OpenImage, faults: &mut Faults) {
    if let Some(bootstrap) = image.bootstrap() {
        bootstrap.check(&mut |finding| {
            faults.list.push(json!({
                "fault": Fault::Corrupt.to_string(),
                "path": finding.path.as_ref().map(ToString::to_string),
                "what": finding.to_string(),
            }));
        });
    }
}

/// The TOC of an eStargz layer against the tar that everything else sees in it.
fn check_tar(args: &Args, image: &OpenImage, faults: &mut Faults) -> Result<(), Failure> {
    let Some(estargz) = image.estargz() else {
        return Ok(());
    };
    let layer = std::fs::File::open(&args.image).map_err(Failure::usage)?;
    let options = CompareOptions {
        lenient: args.open.lenient(),
        ..CompareOptions::default()
    };
    let mut found = Vec::new();
    let compared = compare(&estargz.toc, layer, &options, &mut |disagreement| {
        found.push(json!({
            "fault": Fault::Corrupt.to_string(),
            "path": disagreement.path.to_string(),
            "what": disagreement.to_string(),
        }));
    });
    faults.list.extend(found);
    if let Err(error) = compared {
        faults.add(error.fault(), "/", &error);
    }
    Ok(())
}

/// The file itself, or its TOC, against the digest that its user trusts.
fn expect(args: &Args, expected: &Digest) -> Result<(), Failure> {
    let mut file = std::fs::File::open(&args.image).map_err(Failure::usage)?;
    let mut hasher = Hasher::new(expected.algorithm())?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match std::io::Read::read(&mut file, &mut buffer).map_err(Failure::usage)? {
            0 => break,
            len => hasher.update(&buffer[..len]),
        }
    }
    let found = hasher.finish();
    if found == *expected {
        return Ok(());
    }
    let layer = LocalFile::open(&args.image).map_err(Failure::usage)?;
    if Format::of(&layer)? == Some(Format::Estargz) {
        let toc = read_toc(&layer, &Limits::default())?;
        return Ok(toc.check(expected)?);
    }
    Err(Failure::bad(format!(
        "the file has digest {found}, expected {expected}"
    )))
}
