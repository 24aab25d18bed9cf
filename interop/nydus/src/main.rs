//! Makes and reads images of nydus modes that nydus-image 2.2.0 does not know, by the crates of nydus.
//!
//! ```text
//! pack DIR OUTPUT [--compressor C] [--digester D] [--chunk-size N] [--batch-size N] [--encrypt] [--inline] [--toc]
//! read BOOTSTRAP BLOBS
//! tarfs CHUNK-SIZE TAR BOOTSTRAP
//! merge LAYER... BOOTSTRAP
//! check BOOTSTRAP
//! ```
//!
//! `pack` writes `OUTPUT/image.boot` and `OUTPUT/blobs/ID`, as `nydus-image create -t dir-rafs -v 6` does. `read` reads
//! every inode and every file as nydusd does, and prints a line for each name, as `walker.py --dump` does. `tarfs`
//! describes a tar, `merge` makes one bootstrap of several, and `check` loads one and counts what it has.

mod pack;
mod read;
mod tarfs;

use std::error::Error;
use std::process::ExitCode;

/// What went wrong.
type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["pack", dir, output, ref options @ ..] => {
            pack::pack(dir.as_ref(), output.as_ref(), options)
        }
        ["read", bootstrap, blobs] => read::read(bootstrap.as_ref(), blobs.as_ref()),
        ["tarfs", chunk_size, tar, bootstrap] => tarfs::describe(chunk_size, tar, bootstrap),
        ["merge", ref layers @ .., bootstrap] => tarfs::merge(layers, bootstrap),
        ["check", bootstrap] => tarfs::check(bootstrap.as_ref()),
        _ => Err("one of: pack, read, tarfs, merge, check".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
