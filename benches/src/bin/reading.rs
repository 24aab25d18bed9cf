//! Measures whole images being read: verified against bare frames, by one thread against several.
//!
//! ```text
//! reading [--runs N] [LAYER]    prints the times as Markdown; LAYER is a tar, default: a generated one
//! ```
//!
//! What is compared alternates within each run, so that a machine that slows down slows both.

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use lazyoci::blob_io::{DirectoryOutput, LocalFile};
use lazyoci::convert::{RafsOptions, Streaming, to_rafs};
use lazyoci::frame_codec::Compression;
use lazyoci::model::Limits;
use lazyoci::read::{BlobStore, Finding, OpenImage, ReadOptions, Reader, VerifyOptions, open};
use lazyoci::verify::{self, AuditFault};
use lazyoci_benches::Shape;
use lazyoci_benches::bare::Bare;
use lazyoci_benches::lookups::COUNT;
use lazyoci_benches::reading::{Place, files, needed_frames, ranges, read_ranges};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Bytes of a range.
const RANGE_LEN: u64 = 64 << 10;

/// Threads that decode.
const THREADS: usize = 2;

/// Threads that read the same.
const MANY: usize = 8;

fn main() -> Result<()> {
    let mut runs = 7;
    let mut layer = None;
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--runs") => runs = arguments.next().ok_or(USAGE)?.to_string_lossy().parse()?,
            Some(option) if option.starts_with('-') => return Err(USAGE.into()),
            _ => layer = Some(PathBuf::from(argument)),
        }
    }
    let directory = tempfile::tempdir()?;
    let image = Stored::new(&directory.path().join("image"), layer.as_deref())?;
    verifying(&image, runs)?;
    println!();
    sharing(&image, runs)
}

const USAGE: &str = "usage: reading [--runs N] [LAYER]";

/// A RAFS v6 image of zstd frames.
struct Stored(PathBuf);

impl Stored {
    fn new(output: &Path, layer: Option<&Path>) -> Result<Self> {
        let options = RafsOptions::default().compression(Compression::Zstd { level: 3 });
        let mut directory = DirectoryOutput::create(output)?;
        let tar = layer.is_none().then(|| Shape::CONTENT.tar());
        let layer: Box<dyn Read> = match (layer, &tar) {
            (Some(layer), _) => Box::new(File::open(layer)?),
            (None, tar) => Box::new(tar.as_deref().unwrap_or_default()),
        };
        to_rafs(Streaming::new(layer), &mut directory, &options, &mut ())?;
        Ok(Self(output.into()))
    }

    fn open(&self) -> Result<OpenImage> {
        let mut image = open(self.0.join("image.boot"), &Default::default())?;
        image.set_read_options(ReadOptions::default().threads(THREADS));
        Ok(image)
    }

    /// Reads the image with blobs and frames of its own, and keeps all frames.
    fn fresh(&self) -> Result<Reader> {
        let image = self.open()?;
        let blobs = BlobStore::directory(image.image().blobs(), self.0.join("blobs"));
        let options = ReadOptions::default().cache(1 << 30);
        Ok(Reader::new(image.reader().image().clone(), blobs, options))
    }
}

/// Seconds that something takes.
fn time<T>(work: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    let _ = std::hint::black_box(work());
    start.elapsed().as_secs_f64()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A line of a table: medians and extremes.
fn row(name: &str, times: &[f64], bytes: u64) {
    let all = || times.iter().copied();
    let (min, max) = (all().fold(f64::MAX, f64::min), all().fold(0.0, f64::max));
    let median = median(all());
    let rate = bytes as f64 / median / 1e6;
    println!("| {name} | {median:.3} ({min:.3}–{max:.3}) | {rate:.0} |");
}

/// The median of the ratios of the times of each run.
fn ratio(one: &[f64], other: &[f64]) -> f64 {
    median(one.iter().zip(other).map(|(one, other)| one / other))
}

/// A verification, and an audit of the same chunks, against threads that do nothing else.
fn verifying(stored: &Stored, runs: usize) -> Result<()> {
    let image = stored.open()?;
    let bootstrap = image.bootstrap().ok_or("it is RAFS")?;
    let id = image.image().blobs()[0].id.as_str();
    let blob = LocalFile::open(&stored.0.join("blobs").join(id))?;
    let bare = Bare::of(&bootstrap.to_chunked()?.image);
    let (mut bares, mut digested) = (Vec::new(), Vec::new());
    let (mut verifies, mut audits) = (Vec::new(), Vec::new());
    for run in 0..=runs {
        let image = stored.open()?;
        let times = (
            time(|| bare.check(&blob, THREADS)),
            time(|| bare.check_and_digest(&blob, THREADS)),
            time(|| {
                let mut tell = |found: Finding| panic!("{found}");
                image.verify(&VerifyOptions::default(), &mut (), &mut tell)
            }),
            time(|| {
                let mut tell = |fault: AuditFault| panic!("{fault}");
                let mut reader = image.reader().clone();
                verify::audit(image.image(), &mut reader, &Limits::default(), &mut tell)
            }),
        );
        // The first one warms up.
        if run > 0 {
            bares.push(times.0);
            digested.push(times.1);
            verifies.push(times.2);
            audits.push(times.3);
        }
    }
    println!("| rafs-v6, zstd:3, blake3, {THREADS} threads | s, median (min–max) | MB/s |");
    println!("|---|---|---|");
    row("frames read, decoded, digested", &bares, bare.len());
    row(
        "the same, and SHA-256 of the stored frames",
        &digested,
        bare.len(),
    );
    row(
        "`verify`, with the digest of the blob",
        &verifies,
        bare.len(),
    );
    row(
        "audit: every chunk, no digest of the blob",
        &audits,
        bare.len(),
    );
    println!();
    println!(
        "- `verify`: **{:.3}** of the speed of bare frames, **{:.3}** of that with SHA-256",
        ratio(&bares, &verifies),
        ratio(&digested, &verifies)
    );
    println!(
        "- audit: **{:.3}** of the speed of bare frames",
        ratio(&bares, &audits)
    );
    Ok(())
}

/// Ranges read through one image: different ones on two threads, the same ones on eight.
fn sharing(stored: &Stored, runs: usize) -> Result<()> {
    let image = stored.open()?;
    let ranges = ranges(&files(image.image()), COUNT, RANGE_LEN);
    let needed = needed_frames(image.image(), &ranges);
    let len: u64 = ranges.iter().map(Place::len).sum();
    let (mut ones, mut twos, mut manies) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..=runs {
        let on = |shares: &[&[Place]]| -> Result<f64> {
            let reader = stored.fresh()?;
            let seconds = time(|| {
                thread::scope(|scope| {
                    for &share in shares {
                        let reader = reader.clone();
                        scope.spawn(move || read_ranges(&reader, share));
                    }
                });
            });
            let decoded = reader.frames().decoded();
            if decoded != needed {
                return Err(format!("{decoded} frames were decoded, {needed} are needed").into());
            }
            Ok(seconds)
        };
        let (left, right) = ranges.split_at(ranges.len() / 2);
        let times = (
            on(&[&ranges[..]])?,
            on(&[left, right])?,
            on(&[&ranges[..]; MANY])?,
        );
        if run > 0 {
            ones.push(times.0);
            twos.push(times.1);
            manies.push(times.2);
        }
    }
    println!(
        "| {COUNT} ranges of at most {} KiB | s, median (min–max) | MB/s |",
        RANGE_LEN >> 10
    );
    println!("|---|---|---|");
    row("one thread", &ones, len);
    row("two threads, half of them each", &twos, len);
    row(
        &format!("{MANY} threads, all of them each"),
        &manies,
        MANY as u64 * len,
    );
    println!();
    println!(
        "- two threads: **{:.3}** of the time of one",
        ratio(&twos, &ones)
    );
    println!(
        "- {MANY} threads: **{:.3}** of it, for {MANY} times the ranges",
        ratio(&manies, &ones)
    );
    println!("- each time {needed} frames are needed, and {needed} are decoded");
    Ok(())
}
