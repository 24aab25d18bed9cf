//! Checks an image: every structure, every digest, every chunk; lists all faults.

mod common;

use std::collections::HashSet;
use std::error::Error;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use common::open::OpenArgs;
use common::progress::Bar;
use common::{Failure, Outcome, is_bad};
use lazyoci::blob_io::{LocalFile, ReadAt};
use lazyoci::estargz_toc::Landmark;
use lazyoci::estargz_toc::compare::{CompareOptions, compare};
use lazyoci::estargz_toc::footer::{self, FOOTER_LEN};
use lazyoci::estargz_toc::toc::TOC_NAME;
use lazyoci::model::{Blame, Cancelled, Digest, Fault, Limits, Progress};
use lazyoci::rafs_format::blob::{LocateTrailer, Step, Trailer};
use lazyoci::read::{Follow, Format, OpenImage, ReadError, format_at, read_toc};
use lazyoci::tar_stream::Compression;
use lazyoci::verify::{
    AuditFault, AuditObserver, AuditSummary, Hasher, audit, audit_metadata, digest,
};
use serde_json::{Value, json};

/// Check every structure, digest and chunk of an image and list all faults
#[derive(Parser)]
struct Args {
    /// A layer, a RAFS bootstrap or blob, or a directory
    image: PathBuf,
    /// Digest that the file must have, its bootstrap or its TOC: `sha256:...` or `blake3:...`
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
#[derive(Default)]
struct Faults {
    list: Vec<Value>,
    /// Whether one of them is the image's own.
    bad: bool,
    /// Blobs that cannot be opened, each of which is one fault, however many chunks it holds.
    unopened: HashSet<String>,
    bar: Option<Bar>,
}

impl Faults {
    fn add(&mut self, fault: Fault, path: Option<&str>, what: &str) {
        self.bad |= is_bad(fault);
        self.list
            .push(json!({ "fault": fault.to_string(), "path": path, "what": what }));
    }

    fn error(&mut self, error: &(impl Blame + 'static)) {
        self.add(error.fault(), None, &common::chain(error));
    }
}

impl AuditObserver for Faults {
    fn fault(&mut self, fault: AuditFault) {
        if let Some(why) = unopened_blob(&fault) {
            if self.unopened.insert(why.clone()) {
                self.add(fault.fault(), None, &why);
            }
            return;
        }
        let path = fault.path().to_string();
        self.add(fault.fault(), Some(&path), &common::chain(&fault));
    }

    fn advance(&mut self, done: u64) -> Result<(), Cancelled> {
        match &mut self.bar {
            Some(bar) => bar.advance(done, None),
            None => Ok(()),
        }
    }
}

/// Why a blob cannot be opened, if that is what causes `fault`.
fn unopened_blob(fault: &AuditFault) -> Option<String> {
    let mut cause = fault.source();
    while let Some(error) = cause {
        if let Some(ReadError::Store(error)) = error.downcast_ref() {
            return Some(common::chain(error));
        }
        cause = error.source();
    }
    None
}

fn run(args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let mut faults = Faults::default();
    let opened = match args.open.try_open(&args.image) {
        Ok(image) => Some(image),
        Err(error) if is_bad(error.fault()) => {
            faults.error(&error);
            None
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(expected) = &args.expect {
        expect(args, opened.as_ref(), expected, &mut faults)?;
    }
    let summary = match &opened {
        Some(image) => check(args, image, &mut faults)?,
        None => AuditSummary::default(),
    };
    let said = say(args, &summary, &faults.list, out);
    match (faults.bad, faults.list.is_empty()) {
        // The image is bad, whether or not somebody reads why.
        (true, _) => Ok(Outcome::Bad),
        (false, true) => said.map(|()| Outcome::Done),
        (false, false) => Ok(Outcome::Unreadable),
    }
}

fn check(args: &Args, image: &OpenImage, faults: &mut Faults) -> Result<AuditSummary, Failure> {
    check_structure(image, faults);
    check_disguise(args, image, faults)?;
    let limits = Limits::default();
    if !args.metadata_only {
        check_tar(args, image, faults)?;
    }
    faults.bar = Some(Bar::new("verifying"));
    let summary = if args.metadata_only {
        audit_metadata(image.image(), &limits, faults)?
    } else {
        audit(image.image(), &mut image.frames(), &limits, faults)?
    };
    faults.bar = None;
    Ok(summary)
}

fn say(
    args: &Args,
    summary: &AuditSummary,
    faults: &[Value],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let format = match format_at(&args.image) {
        Ok(format) => format.to_string(),
        Err(_) => "unknown".into(),
    };
    if args.json {
        let value = json!({
            "format": format,
            "paths": summary.paths,
            "files": summary.files,
            "content_bytes": summary.content_len,
            "chunks": summary.chunks,
            "unverifiable_chunks": summary.unverifiable_chunks,
            "faults": faults,
        });
        return common::json(out, &value);
    }
    for fault in faults {
        let text = |key: &str| fault[key].as_str().unwrap_or_default();
        common::note(format_args!("{}: {}", text("fault"), text("what")));
    }
    writeln!(
        out,
        "{format}: {} paths, {} files, {} chunks ({} without a digest), {} faults",
        summary.paths,
        summary.files,
        summary.chunks,
        summary.unverifiable_chunks,
        faults.len()
    )
    .map_err(Failure::usage)
}

/// What a format's own check finds beyond what every image has.
fn check_structure(image: &OpenImage, faults: &mut Faults) {
    if let Some(bootstrap) = image.bootstrap() {
        bootstrap.check(&mut |finding| {
            let path = finding.path.as_ref().map(ToString::to_string);
            faults.add(Fault::Corrupt, path.as_deref(), &finding.to_string());
        });
    }
}

/// With a damaged footer an eStargz layer is a sound tar, but nothing that is verified or lazy any
/// more. Without any it may have been compressed anew, and be a layer like others.
fn check_disguise(args: &Args, image: &OpenImage, faults: &mut Faults) -> Result<(), Failure> {
    let has = |name: &str| image.resolve(name.as_bytes(), Follow::Never).is_ok();
    let landmarks = [Landmark::Prefetch, Landmark::NoPrefetch];
    if image.format() == Format::Tar(Compression::Gzip)
        && has(TOC_NAME)
        && landmarks.iter().any(|landmark| has(landmark.name()))
        && ends_like_estargz(&LocalFile::open(&args.image).map_err(Failure::usage)?)?
    {
        let what = "looks like eStargz whose footer is damaged";
        faults.add(Fault::Corrupt, None, what);
    }
    Ok(())
}

/// Whether the gzip header of the footer, or its magic, is still there.
fn ends_like_estargz(layer: &dyn ReadAt) -> Result<bool, Failure> {
    let Some(start) = layer.len()?.checked_sub(FOOTER_LEN as u64) else {
        return Ok(false);
    };
    let tail = layer.read_bytes(start, FOOTER_LEN)?;
    let sound = footer::encode(0);
    Ok(tail[..10] == sound[..10] || tail[32..38] == sound[32..38])
}

/// The landmarks of an eStargz layer, and its TOC against the tar that everything else sees in it.
fn check_tar(args: &Args, image: &OpenImage, faults: &mut Faults) -> Result<(), Failure> {
    let Some(estargz) = image.estargz() else {
        return Ok(());
    };
    if let Err(error) = estargz.toc.check_landmarks(&mut image.frames()) {
        faults.error(&error);
    }
    let layer = std::fs::File::open(&args.image).map_err(Failure::usage)?;
    let options = CompareOptions {
        lenient: args.open.lenient(),
        ..CompareOptions::default()
    };
    let compared = compare(&estargz.toc, layer, &options, &mut |found| {
        let path = found.path.to_string();
        faults.add(Fault::Corrupt, Some(&path), &found.to_string());
    });
    if let Err(error) = compared {
        faults.error(&error);
    }
    Ok(())
}

/// The file itself, its bootstrap or its TOC against the digest that its user trusts.
fn expect(
    args: &Args,
    opened: Option<&OpenImage>,
    expected: &Digest,
    faults: &mut Faults,
) -> Result<(), Failure> {
    let mut found = vec![("the file", digest_of_file(args, expected)?)];
    let source = LocalFile::open(&args.image).map_err(Failure::usage)?;
    match format_at(&args.image) {
        Ok(Format::Estargz) => {
            // If it has none, opening it found that out.
            if let Ok(toc) = read_toc(&source, &Limits::default()) {
                found.push(("its TOC", digest(expected.algorithm(), &toc.json)?));
            }
        }
        Ok(Format::RafsBlob) => {
            if let Some(bootstrap) = opened.and_then(OpenImage::bootstrap) {
                let digest = digest(expected.algorithm(), bootstrap.bytes())?;
                found.push(("its bootstrap", digest));
            }
            if let Some(digest) = rafs_toc_digest(&source)? {
                found.push(("its TOC", digest));
            }
        }
        _ => {}
    }
    if found.iter().all(|(_, digest)| digest != expected) {
        let found: Vec<String> = found
            .iter()
            .map(|(what, digest)| format!("{what} has digest {digest}"))
            .collect();
        let what = format!("{}, expected {expected}", found.join(", "));
        faults.add(Fault::Corrupt, None, &what);
    }
    Ok(())
}

fn digest_of_file(args: &Args, expected: &Digest) -> Result<Digest, Failure> {
    let mut file = std::fs::File::open(&args.image).map_err(Failure::usage)?;
    let mut hasher = Hasher::new(expected.algorithm())?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(Failure::usage)? {
            0 => return Ok(hasher.finish()),
            len => hasher.update(&buffer[..len]),
        }
    }
}

/// SHA-256 of the table of contents that a RAFS blob may end with.
fn rafs_toc_digest(blob: &dyn ReadAt) -> Result<Option<Digest>, Failure> {
    let mut locate = LocateTrailer::new(blob.len()?);
    let mut step = locate.start();
    loop {
        match step {
            Step::Done(Trailer::Toc(toc)) => return Ok(Some(toc.digest())),
            Step::Done(_) => return Ok(None),
            Step::Need(range) => {
                let len = usize::try_from(range.end - range.start).map_err(Failure::bad)?;
                let Ok(next) = locate.supply(&blob.read_bytes(range.start, len)?) else {
                    return Ok(None);
                };
                step = next;
            }
        }
    }
}
