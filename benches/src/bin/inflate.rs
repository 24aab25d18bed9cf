//! Measures indexes of a gzip layer in memory: building one against inflating alone, and inflating by it.
//!
//! ```text
//! inflate LAYER [RUNS]    prints for each way and each run its name and the seconds it took; the ways take turns
//! ```

use std::error::Error;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Instant;

use lazyoci::blob_io::ReadAt;
use lazyoci::bytes::Bytes;
use lazyoci::gzip_index::IndexBuilder;
use lazyoci::read::{LayerIndex, LayerIndexError};
use lazyoci::tar_stream::{LayerStream, StreamOptions};

/// Bytes that are read at once: what the reader of tars asks for.
const READ: usize = 256 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let layer = arguments.next().ok_or("inflate LAYER [RUNS]")?;
    let runs = arguments.next().map_or(Ok(5), |runs| runs.parse())?;
    let layer = Bytes::from(std::fs::read(layer)?);
    let source: Arc<dyn ReadAt> = Arc::new(layer.clone());
    let options = Default::default();
    let build = || LayerIndex::build(&layer[..], &options, &Default::default(), &mut ());
    let index = build()?;
    let limits = Default::default();
    let ztoc = match LayerIndex::build_ztoc(&layer[..], &Default::default(), &limits, &mut ()) {
        // The layer has members that zTOCs cannot list.
        Err(LayerIndexError::Unlisted { .. }) => None,
        built => Some(built?),
    };
    println!("index\t{}", index.bytes().len());
    if let Some(ztoc) = &ztoc {
        println!("zTOC\t{}", ztoc.bytes().len());
    }
    for _ in 0..runs {
        time("inflate", || {
            read(LayerStream::open(&layer[..], &StreamOptions::default())?)
        })?;
        time("build", || {
            let (index, _) = IndexBuilder::new(&layer[..], &options).finish()?;
            Ok(index.encode().len() as u64)
        })?;
        time("build, headers kept", || Ok(build()?.bytes().len() as u64))?;
        for threads in [1, 2] {
            time(&format!("by the index, {threads}"), || {
                read(index.stream(&source, threads)?)
            })?;
        }
        if let Some(ztoc) = &ztoc {
            time("by the zTOC, 2", || read(ztoc.stream(&source, 2)?))?;
        }
    }
    Ok(())
}

fn time(name: &str, run: impl Fn() -> Result<u64, Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let len = run()?;
    println!("{name}\t{}\t{len}", start.elapsed().as_secs_f64());
    Ok(())
}

fn read(mut stream: impl Read) -> Result<u64, Box<dyn Error>> {
    let mut piece = vec![0; READ];
    let mut len = 0;
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Ok(len),
            Ok(read) => len += read as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}
