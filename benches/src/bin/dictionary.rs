//! Builds dictionary files of chunks that never were, and merges them.
//!
//! ```text
//! dictionary build FIRST END FILE    of the chunks from FIRST up to END, in random order of digests
//! dictionary merge FILE... OUTPUT    of several files
//! dictionary hold FORM CHUNKS        in memory, in one of these forms: HashMap, list, image
//! ```
//!
//! All print seconds, peak memory in MiB, chunks, and bytes of the file, or of memory.

use std::collections::HashMap;
use std::error::Error;
use std::fs::{File, read_to_string};
use std::io::BufWriter;
use std::path::Path;
use std::time::Instant;

use lazyoci::blob_io::Mapped;
use lazyoci::chunk_dedup::{ChunkList, DictionaryFile, ImageDictionary, Summary, merge};
use lazyoci_benches::dictionaries::{builder, chunk, entry, image, pair, resident};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let start = Instant::now();
    let done =
        match &arguments[..] {
            [word, first, end, file] if word == "build" => {
                of(&build(first.parse()?, end.parse()?, Path::new(file))?)
            }
            [word, files @ .., output] if word == "merge" => of(&merged(files, Path::new(output))?),
            [word, form, count] if word == "hold" => hold(form, count.parse()?)?,
            _ => return Err(
                "usage: dictionary build FIRST END FILE | merge FILE... OUTPUT | hold FORM CHUNKS"
                    .into(),
            ),
        };
    let (chunks, bytes) = done;
    let seconds = start.elapsed().as_secs_f64();
    println!("{seconds:.1}\t{}\t{chunks}\t{bytes}", peak()?);
    Ok(())
}

/// What was made: its chunks, and the bytes that they take.
type Done = (u32, u64);

fn of(summary: &Summary) -> Done {
    (summary.chunks, summary.bytes)
}

fn hold(form: &str, count: u32) -> Result<Done> {
    let before = resident()?;
    let held: Box<dyn std::any::Any> = match form {
        "HashMap" => Box::new((0..count).map(pair).collect::<HashMap<_, _>>()),
        "list" => {
            let mut list = ChunkList::default();
            for number in 0..count {
                list.push(chunk(number));
            }
            Box::new(list)
        }
        // The image itself is not kept.
        "image" => Box::new(ImageDictionary::of(&image(count))),
        _ => return Err("there is no such form".into()),
    };
    let after = resident()?;
    drop(held);
    Ok((count, after.saturating_sub(before)))
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
