//! Counts the instructions of lookups, with callgrind.
//!
//! ```text
//! lookups             prints the instructions of each lookup, as Markdown
//! lookups NAME DIR    does the lookups called NAME in the images in DIR: what is counted
//! ```

use std::error::Error;
use std::ffi::OsStr;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use lazyoci_benches::lookups::{COUNT, Estargz, Names, RafsV6, SHAPE, prepare};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match &arguments[..] {
        [] => count_all(),
        [name, directory] => look_up(name, Path::new(directory)),
        _ => Err("usage: lookups [NAME DIR]".into()),
    }
}

/// A name, and what is to be done in the directory with the images.
type NamedLookup = (&'static str, fn(&Path));

const LOOKUPS: [NamedLookup; 15] = [
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

fn count_all() -> Result<()> {
    let images = tempfile::tempdir()?;
    prepare(images.path());
    println!(
        "| lookup in {} entries | instructions |\n|---|---|",
        SHAPE.files
    );
    for (name, _) in LOOKUPS {
        let count = count(name, images.path())?;
        println!("| {name} | {:.0} |", count as f64 / COUNT as f64);
    }
    Ok(())
}

fn count(name: &str, images: &Path) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args([
            "--collect-atstart=no",
            "--toggle-collect=*counted_by_callgrind*",
        ])
        .arg(std::env::current_exe()?)
        .arg(name)
        .arg(images)
        .output()
        .map_err(|error| format!("cannot run valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("valgrind failed: {said}").into());
    }
    let collected = said
        .lines()
        .find_map(|line| line.split("Collected :").nth(1));
    let collected = collected.ok_or_else(|| format!("valgrind counted nothing: {said}"))?;
    Ok(collected.trim().parse()?)
}
