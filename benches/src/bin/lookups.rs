//! Counts the instructions of lookups, with callgrind.
//!
//! ```text
//! lookups             prints the instructions of each lookup, as Markdown
//! lookups NAME DIR    does the lookups called NAME in the image in DIR: what is counted
//! ```

use std::error::Error;
use std::ffi::OsStr;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use lazyoci_benches::lookups::{COUNT, Lookup, RafsV6, SHAPE};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match &arguments[..] {
        [] => count_all(),
        [name, directory] => look_up(name, Path::new(directory)),
        _ => Err("usage: lookups [NAME DIR]".into()),
    }
}

fn look_up(name: &OsStr, directory: &Path) -> Result<()> {
    let known = |(known, _): &&(&str, Lookup)| *known == name;
    let (_, lookup) = Lookup::ALL
        .iter()
        .find(known)
        .ok_or("there is no such lookup")?;
    let image = RafsV6::open(directory);
    // The first lookup of a frame sorts an index.
    let _ = black_box(image.look_up(*lookup));
    counted_by_callgrind(&image, *lookup);
    Ok(())
}

/// The only function whose instructions are counted, those of its callees included.
#[inline(never)]
fn counted_by_callgrind(image: &RafsV6, lookup: Lookup) {
    black_box(black_box(image).look_up(lookup));
}

fn count_all() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let image = directory.path().join("image");
    SHAPE.rafs_v6(&image);
    println!(
        "| lookup in {} entries | instructions |\n|---|---|",
        SHAPE.files
    );
    for (name, _) in Lookup::ALL {
        let count = count(name, &image)?;
        println!("| {name} | {:.0} |", count as f64 / COUNT as f64);
    }
    Ok(())
}

fn count(name: &str, image: &Path) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args([
            "--collect-atstart=no",
            "--toggle-collect=*counted_by_callgrind*",
        ])
        .arg(std::env::current_exe()?)
        .arg(name)
        .arg(image)
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
