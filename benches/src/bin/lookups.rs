//! Counts the instructions of lookups, with callgrind.
//!
//! ```text
//! lookups             prints the instructions of each lookup, as Markdown
//! lookups --json      prints them as one JSON object
//! lookups NAME DIR    does the lookups called NAME in the images in DIR: what is counted
//! ```
//!
//! Counts do not depend on the processor, if it has AVX2: callgrind then shows the same one to the program on all
//! machines, and glibc is told to keep to what every x86-64 has ([`HWCAPS`]), since its functions differ by release.

use std::error::Error;
use std::ffi::OsStr;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use lazyoci_benches::lookups::{
    COUNT, DictionaryLookups, Erofs, Estargz, Names, RafsV5, RafsV6, SHAPE, prepare,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match &arguments[..] {
        [] => print_markdown(&count_all()?),
        [option] if option == "--json" => print_json(&count_all()?),
        [name, directory] => look_up(name, Path::new(directory)),
        _ => Err("usage: lookups [--json | NAME DIR]".into()),
    }
}

/// A name, and what is to be done in the directory with the images.
type NamedLookup = (&'static str, fn(&Path));

const LOOKUPS: [NamedLookup; 34] = [
    ("dictionary file, digest to place", |_| {
        count_in(&DictionaryLookups::new(), DictionaryLookups::find)
    }),
    ("dictionary file, missing digest", |_| {
        count_in(&DictionaryLookups::new(), DictionaryLookups::find_missing)
    }),
    ("dictionary file, digest to place, 64 at once", |_| {
        count_in(&DictionaryLookups::new(), DictionaryLookups::find_many)
    }),
    ("rafs-v5, open", |images| {
        count_in(&RafsV5::open(images), RafsV5::reopen)
    }),
    ("rafs-v5, path", |images| {
        count_in(&RafsV5::open(images).names, Names::find_paths)
    }),
    ("rafs-v5, missing path", |images| {
        count_in(&RafsV5::open(images).names, Names::find_missing)
    }),
    ("rafs-v5, path and offset to frame", |images| {
        count_in(&RafsV5::open(images).names, Names::find_paths_and_frames)
    }),
    ("rafs-v5, offset to frame", |images| {
        count_in(&RafsV5::open(images).names, Names::find_frames)
    }),
    ("rafs-v5, offset to frame, 64 chunks", |images| {
        count_in(&RafsV5::open(images).names, Names::find_frames_of_long)
    }),
    ("rafs-v5, offset to frame, 4,096 chunks", |images| {
        count_in(&RafsV5::open(images).names, Names::find_frames_of_longest)
    }),
    ("rafs-v5, digest to frame", |images| {
        count_in(&RafsV5::open(images), RafsV5::find_digests)
    }),
    ("rafs-v6, open", |images| {
        count_in(&RafsV6::open(images), RafsV6::reopen)
    }),
    ("rafs-v6, path", |images| {
        count_in(&RafsV6::open(images).names, Names::find_paths)
    }),
    ("rafs-v6, missing path", |images| {
        count_in(&RafsV6::open(images).names, Names::find_missing)
    }),
    ("rafs-v6, path and offset to frame", |images| {
        count_in(&RafsV6::open(images).names, Names::find_paths_and_frames)
    }),
    ("rafs-v6, offset to frame", |images| {
        count_in(&RafsV6::open(images).names, Names::find_frames)
    }),
    ("rafs-v6, offset to frame, 64 chunks", |images| {
        count_in(&RafsV6::open(images).names, Names::find_frames_of_long)
    }),
    ("rafs-v6, offset to frame, 4,096 chunks", |images| {
        count_in(&RafsV6::open(images).names, Names::find_frames_of_longest)
    }),
    ("rafs-v6, address to chunk", |images| {
        count_in(&RafsV6::open(images), RafsV6::find_addresses)
    }),
    ("rafs-v6, digest to frame", |images| {
        count_in(&RafsV6::open(images), RafsV6::find_digests)
    }),
    ("erofs, open", |images| {
        count_in(&Erofs::open(images), Erofs::reopen)
    }),
    ("erofs, path", |images| {
        count_in(&Erofs::open(images).names, Names::find_paths)
    }),
    ("erofs, missing path", |images| {
        count_in(&Erofs::open(images).names, Names::find_missing)
    }),
    ("erofs, path and offset to place", |images| {
        count_in(&Erofs::open(images).names, Names::find_paths_and_frames)
    }),
    ("erofs, offset to place", |images| {
        count_in(&Erofs::open(images).names, Names::find_frames)
    }),
    ("erofs, offset to place, 64 chunks", |images| {
        count_in(&Erofs::open(images).names, Names::find_frames_of_long)
    }),
    ("erofs, offset to place, 4,096 chunks", |images| {
        count_in(&Erofs::open(images).names, Names::find_frames_of_longest)
    }),
    ("estargz, path", |images| {
        count_in(&Estargz::open(images).names, Names::find_paths)
    }),
    ("estargz, missing path", |images| {
        count_in(&Estargz::open(images).names, Names::find_missing)
    }),
    ("estargz, path and offset to frame", |images| {
        count_in(&Estargz::open(images).names, Names::find_paths_and_frames)
    }),
    ("estargz, offset to frame", |images| {
        count_in(&Estargz::open(images).names, Names::find_frames)
    }),
    ("estargz, offset to frame, 64 chunks", |images| {
        count_in(&Estargz::open(images).names, Names::find_frames_of_long)
    }),
    ("estargz, offset to frame, 4,096 chunks", |images| {
        count_in(&Estargz::open(images).names, Names::find_frames_of_longest)
    }),
    ("estargz, digest to frame", |images| {
        count_in(&Estargz::open(images), Estargz::find_digests)
    }),
];

fn look_up(name: &OsStr, images: &Path) -> Result<()> {
    let known = |(known, _): &&NamedLookup| *known == name;
    let (_, look_up) = LOOKUPS
        .iter()
        .find(known)
        .ok_or("there is no such lookup")?;
    look_up(images);
    Ok(())
}

fn count_in<T>(image: &T, look_up: fn(&T)) {
    // The first lookup of a frame sorts an index.
    look_up(image);
    counted_by_callgrind(image, look_up);
}

/// The only function whose instructions are counted, those of its callees included.
#[inline(never)]
fn counted_by_callgrind<T>(image: &T, look_up: fn(&T)) {
    look_up(black_box(image));
}

fn print_markdown(counts: &[u64]) -> Result<()> {
    let entries = SHAPE.files;
    println!("| lookup in {entries} entries | instructions |\n|---|---|");
    for ((name, _), count) in LOOKUPS.iter().zip(counts) {
        println!("| {name} | {count} |");
    }
    Ok(())
}

fn print_json(counts: &[u64]) -> Result<()> {
    let lines = LOOKUPS.iter().zip(counts);
    let lines: Vec<String> = lines
        .map(|((name, _), count)| format!("  {name:?}: {count}"))
        .collect();
    println!("{{\n{}\n}}", lines.join(",\n"));
    Ok(())
}

/// The instructions of one of each of [`LOOKUPS`], counted on all processors.
fn count_all() -> Result<Vec<u64>> {
    let images = tempfile::tempdir()?;
    prepare(images.path());
    let next = AtomicUsize::new(0);
    let work = || {
        let mut counted = Vec::new();
        while let Some((name, _)) = LOOKUPS.get(next.fetch_add(1, Ordering::Relaxed)) {
            counted.push((*name, count(name, images.path())));
        }
        counted
    };
    let counted: Vec<_> = thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let counted = threads.into_iter().map(|thread| thread.join());
        counted
            .flat_map(|counted| counted.expect("counting does not panic"))
            .collect()
    });
    let mut counts = Vec::new();
    for (name, _) in LOOKUPS {
        let of_name = counted.iter().find(|(counted, _)| *counted == name);
        let (_, count) = of_name.expect("all were counted");
        counts.push((count.clone()? as f64 / COUNT as f64).round() as u64);
    }
    Ok(counts)
}

/// What glibc must not make use of.
const HWCAPS: &str = "glibc.cpu.hwcaps=-AVX2,-AVX,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM";

fn count(name: &str, images: &Path) -> std::result::Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args([
            "--collect-atstart=no",
            "--toggle-collect=*counted_by_callgrind*",
        ])
        .arg(program)
        .arg(name)
        .arg(images)
        .env("GLIBC_TUNABLES", HWCAPS)
        .output()
        .map_err(|error| format!("cannot run valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("valgrind failed: {said}"));
    }
    let collected = said
        .lines()
        .find_map(|line| line.split("Collected :").nth(1))
        .and_then(|count| count.trim().parse().ok());
    collected.ok_or_else(|| format!("valgrind counted nothing: {said}"))
}
