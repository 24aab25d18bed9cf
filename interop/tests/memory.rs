//! Peak memory of everything that works on whole images, by a counting allocator.
//!
//! It counts what Rust allocates; the contexts of the zstd library, about a megabyte for each thread,
//! come on top.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use lazyoci::convert::ZstdChunkedDialect::Containers;
use lazyoci::convert::{Source, Streaming, UnpackOptions, unpack};
use lazyoci::estargz_toc::image::{ImageOptions, TocBlob, TocKind, decode_image};
use lazyoci::frame_codec::Compression;
use lazyoci::model::BlobId;
use lazyoci::read::{OpenImage, OpenOptions, ReadOptions, VerifyOptions, open};
use lazyoci::verify::Profile;
use lazyoci_interop::Corpus;
use lazyoci_interop::conversions::{Nowhere, TARGETS, Target, VARIANTS, in_memory};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What anything may take, and what it may take besides for each inode and each chunk.
const BOUND: usize = 64 << 20;
const EACH: usize = 300;

/// Has `work` done, which may take `bound` bytes. Whether that was enough.
fn fits<T>(what: &str, bound: usize, work: impl FnOnce() -> T) -> bool {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    drop(work());
    let peak = MEMORY.peak_usage().saturating_sub(before);
    let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    println!("{what}: {:.1} MiB, at most {:.1}", mib(peak), mib(bound));
    peak <= bound
}

fn opened(path: &Path) -> OpenImage {
    let options = OpenOptions::default().read(ReadOptions::default().threads(2));
    open(path, &options).unwrap_or_else(|error| panic!("{}: {error:?}", path.display()))
}

/// What is done with a corpus. What takes too much memory is told in the end.
struct Checked<'a> {
    name: &'a str,
    bound: usize,
    exceeded: Vec<String>,
}

impl<'a> Checked<'a> {
    fn new(name: &'a str, bound: usize) -> Self {
        let exceeded = Vec::new();
        Self {
            name,
            bound,
            exceeded,
        }
    }

    fn fits(&mut self, what: String, work: impl FnOnce()) {
        if !fits(&format!("{}, {what}", self.name), self.bound, work) {
            self.exceeded.push(what);
        }
    }

    fn convert(&mut self, form: &str, path: &Path, targets: &[Target]) {
        for target in targets {
            self.fits(format!("{form} to {target:?}"), || {
                let source = match form {
                    "tar" => streamed(path),
                    _ => opened(path).into(),
                };
                let converted = target.convert(source, &mut Nowhere);
                converted.expect("it is sound");
            });
        }
    }

    fn end(self) {
        let Self { name, exceeded, .. } = self;
        assert!(exceeded.is_empty(), "{name}: too much memory: {exceeded:?}");
    }
}

/// A layer as RAFS.
fn rafs(layer: &Path, dir: &Path) -> PathBuf {
    let rafs = Target::Rafs(Compression::Zstd { level: 3 });
    rafs.write(streamed(layer), &dir.join("rafs"))
}

/// Everything with a layer and what is made of it.
fn check(name: &str, bound: usize) {
    let tar = Corpus::new(name).tar();
    let dir = in_memory();
    let rafs = rafs(&tar, dir.path());
    let estargz = Target::Estargz.write(streamed(&tar), &dir.path().join("estargz"));
    let mut checked = Checked::new(name, bound);
    for (form, path) in [("tar", tar), ("rafs", rafs), ("estargz", estargz)] {
        checked.fits(format!("verify {form}"), || {
            let mut tell = |found| panic!("{found}");
            let verified = opened(&path).verify(&VerifyOptions::default(), &mut (), &mut tell);
            assert!(verified.is_ok_and(|summary| summary.is_sound()));
        });
        checked.fits(format!("digest {form}"), || {
            let digest = opened(&path).tree_digest(Profile::Default, &mut ());
            digest.expect("it is sound");
        });
        checked.fits(format!("unpack {form}"), || {
            let options = UnpackOptions::default().lossy(true);
            let output = dir.path().join("unpacked");
            let image = opened(&path);
            unpack(&image, &output, &options, &mut ()).expect("it is sound");
        });
        std::fs::remove_dir_all(dir.path().join("unpacked")).expect("it was just made");
        checked.convert(form, &path, &TARGETS);
    }
    checked.end();
}

/// The targets that are written much as others are: of a layer that is several times as long as the bound, and of one
/// of many files.
fn check_variants(many: usize) {
    let dir = in_memory();
    let tar = Corpus::new("packages/peer").tar();
    let mut checked = Checked::new("packages/peer", BOUND);
    checked.convert("tar", &tar, &VARIANTS);
    checked.convert("rafs", &rafs(&tar, dir.path()), &VARIANTS);
    checked.end();
    // podman takes no tar-split of so many members, and so neither do we.
    let refused = |target: &Target| matches!(target, Target::ZstdChunked(Containers));
    let targets = VARIANTS.into_iter().filter(|target| !refused(target));
    let mut checked = Checked::new("many/layer", many);
    let tar = Corpus::new("many/layer").tar();
    checked.convert("tar", &tar, &targets.collect::<Vec<_>>());
    checked.end();
}

fn streamed(layer: &Path) -> Source<'static> {
    Streaming::new(File::open(layer).expect("a corpus")).into()
}

/// A TOC of that many files of a chunk each, a hundred to a directory.
fn toc(kind: TocKind, files: u32) -> Vec<u8> {
    let digest = lazyoci::verify::sha256(b"hello");
    let mut json = String::from(r#"{"version":1,"entries":["#);
    for number in 0..files {
        let comma = if number == 0 { "" } else { "," };
        let offset = u64::from(number) * 10;
        let end = match kind {
            TocKind::Containers => format!(r#","endOffset":{}"#, offset + 10),
            _ => String::new(),
        };
        let _ = write!(
            json,
            r#"{comma}{{"type":"reg","name":"d{}/f{number}","size":5,"digest":"{digest}","offset":{offset}{end}}}"#,
            number / 100
        );
    }
    (json + "]}").into_bytes()
}

/// Some ten times the entries take some ten times the time, and the memory of their inodes and chunks.
fn check_toc(kind: TocKind, many: u32) {
    let seconds = [100_000, many].map(|files: u32| {
        let json = toc(kind, files);
        let content_len = u64::from(files) * 10;
        let blob = TocBlob {
            kind,
            id: BlobId::new(b"layer").expect("a valid id"),
            len: content_len + 1_000_000,
            content_len,
        };
        let start = Instant::now();
        let bound = EACH * 2 * files as usize;
        let within = fits(
            &format!("a TOC of {files} entries, {kind:?}"),
            bound,
            || {
                let image = decode_image(&json, blob, &ImageOptions::default());
                let image = image.expect("a sound TOC").image;
                assert_eq!(image.chunks.len(), files as usize);
                image
            },
        );
        assert!(within, "{kind:?}: too much memory");
        start.elapsed().as_secs_f64()
    });
    let [some, many] = seconds;
    println!("{some:.2} s and {many:.2} s");
    assert!(many < 30.0 * some, "{kind:?}: {some} s, {many} s");
}

/// One test, since all that the process has allocated counts.
#[test]
fn memory_is_bounded_whatever_is_done() {
    tempfile::env::override_temp_dir(Path::new("/dev/shm")).ok();
    check_toc(TocKind::Estargz, 1_000_000);
    // podman takes TOCs of 150 MiB at most, and so do we.
    check_toc(TocKind::Containers, 900_000);
    check("big/layer", BOUND);
    // As many chunks as inodes: files are small.
    let many = BOUND + EACH * 2 * 151_500;
    check("many/layer", many);
    check_variants(many);
}
