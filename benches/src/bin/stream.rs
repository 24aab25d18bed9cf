//! Measures the layer stream: how long it takes to read the tar out of a layer in memory.
//!
//! ```text
//! stream [PASSES]    prints for each form of a generated layer its tar's length in bytes and the
//!                    shortest of the passes in microseconds
//! ```

use std::error::Error;
use std::hint::black_box;
use std::io::Read as _;
use std::time::{Duration, Instant};

use lazyoci::frame_codec::{Compression, Encoder};
use lazyoci::tar_stream::LayerStream;
use lazyoci_benches::Shape;

/// Bytes that are read at once: what the reader of tars asks for.
const READ: usize = 256 << 10;

/// Bytes of the tar in each of several members or frames.
const MEMBER: usize = 64 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let passes = match std::env::args().nth(1) {
        Some(passes) => passes.parse()?,
        None => 5,
    };
    let tar = Shape::CONTENT.tar();
    let (gzip, zstd) = (
        Compression::Gzip { level: 6 },
        Compression::Zstd { level: 3 },
    );
    for (name, layer) in [
        ("tar", tar.clone()),
        ("tar.gz", compressed(&tar, gzip, tar.len())?),
        (
            "tar.gz of members of 64 KiB",
            compressed(&tar, gzip, MEMBER)?,
        ),
        ("tar.zst", compressed(&tar, zstd, tar.len())?),
        (
            "tar.zst of frames of 64 KiB",
            compressed(&tar, zstd, MEMBER)?,
        ),
    ] {
        let mut shortest = Duration::MAX;
        for _ in 0..passes {
            let start = Instant::now();
            let len = read(&layer)?;
            shortest = shortest.min(start.elapsed());
            assert_eq!(len, tar.len());
        }
        println!("{name}\t{}\t{}", tar.len(), shortest.as_micros());
    }
    Ok(())
}

fn compressed(tar: &[u8], compression: Compression, len: usize) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut encoder = Encoder::new(compression)?;
    let mut layer = Vec::new();
    for piece in tar.chunks(len) {
        encoder.encode_frame(piece, &mut layer)?;
    }
    Ok(layer)
}

fn read(layer: &[u8]) -> Result<usize, Box<dyn Error>> {
    let mut stream = LayerStream::open(layer, &Default::default())?;
    let mut buffer = vec![0; READ];
    let mut len = 0;
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(len),
            read => len += black_box(&buffer[..read]).len(),
        }
    }
}
