//! Builds dictionary files of chunks that never were, and merges them.
//!
//! ```text
//! dictionary build FIRST END FILE    of the chunks from FIRST up to END, in random order of digests
//! dictionary merge FILE... OUTPUT    of several files
//! ```
//!
//! Both print seconds, peak memory in MiB, chunks, and bytes of the file.

use std::error::Error;
use std::fs::{File, read_to_string};
use std::io::BufWriter;
use std::path::Path;
use std::time::Instant;

use lazyoci::blob_io::Mapped;
use lazyoci::chunk_dedup::{DictionaryFile, Summary, merge};
use lazyoci_benches::dictionaries::{builder, entry};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let start = Instant::now();
    let summary = match &arguments[..] {
        [word, first, end, file] if word == "build" => {
            build(first.parse()?, end.parse()?, Path::new(file))?
        }
        [word, files @ .., output] if word == "merge" => merged(files, Path::new(output))?,
        _ => return Err("usage: dictionary build FIRST END FILE | merge FILE... OUTPUT".into()),
    };
    println!(
        "{:.1}\t{}\t{}\t{}",
        start.elapsed().as_secs_f64(),
        peak()?,
        summary.chunks,
        summary.bytes
    );
    Ok(())
}

/// The temporary file is beside the result.
fn build(first: u32, end: u32, file: &Path) -> Result<Summary> {
    let temporary = tempfile::tempfile_in(file.parent().ok_or("the file needs a folder")?)?;
    let mut builder = builder(end, temporary);
    for number in first..end {
        builder.push(entry(number))?;
    }
    let mut out = BufWriter::new(File::create_new(file)?);
    Ok(builder.finish(&mut out, &mut ())?)
}

fn merged(files: &[String], output: &Path) -> Result<Summary> {
    let mut opened = Vec::new();
    for file in files {
        let mapped = Mapped::map(&File::open(file)?)?;
        opened.push(DictionaryFile::open(mapped.bytes().clone())?);
    }
    let mut out = BufWriter::new(File::create_new(output)?);
    Ok(merge(&opened, &mut out, &mut ())?)
}

/// The most memory that this process had, in MiB, with the pages of mapped files that it has touched.
fn peak() -> Result<u64> {
    let status = read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let figure = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(figure.ok_or("there is no VmHWM")?.parse::<u64>()? / 1024)
}
