//! Chunk tables, digests and checksums.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lazyoci::chunk_dedup::{ChunkTable, is_zero};
use lazyoci::model::{Chunk, Digest, DigestAlgorithm, FrameId};
use lazyoci::verify;
use lazyoci_benches::content::{Kind, Random, bytes};

/// Chunks of a large dictionary.
const CHUNKS: usize = 1_000_000;

fn chunk(random: &mut Random) -> Chunk {
    let mut digest = [0; 32];
    for word in digest.as_chunks_mut().0 {
        *word = random.number().to_le_bytes();
    }
    Chunk {
        digest: Some(Digest::new(DigestAlgorithm::Blake3, digest)),
        len: 4096,
        crc32c: None,
        frame: FrameId(0),
        offset_in_frame: 0,
    }
}

fn table(criterion: &mut Criterion) {
    let random = &mut Random::new(1);
    let chunks: Vec<Chunk> = (0..CHUNKS).map(|_| chunk(random)).collect();
    let table = ChunkTable::of(&chunks);
    let sample = |random: &mut Random| chunks[random.below(CHUNKS as u64) as usize];
    let hits: Vec<Chunk> = (0..1000).map(|_| sample(random)).collect();
    let misses: Vec<Chunk> = (0..1000).map(|_| chunk(random)).collect();

    let mut group = criterion.benchmark_group("dedup");
    group.throughput(Throughput::Elements(1000));
    for (name, sample, expected) in [("hit", &hits, 1000), ("miss", &misses, 0)] {
        group.bench_function(format!("digest-to-chunk, 10^6, {name}"), |bencher| {
            bencher.iter(|| {
                let found = sample.iter().filter(|chunk| {
                    let digest = chunk.digest.as_ref().expect("all have one");
                    table.find(&chunks, black_box(digest), chunk.len).is_some()
                });
                assert_eq!(found.count(), expected);
            });
        });
    }
    group.throughput(Throughput::Elements(CHUNKS as u64));
    group.sample_size(10);
    group.bench_function("table of 10^6", |bencher| {
        bencher.iter_with_large_drop(|| ChunkTable::of(&chunks))
    });
    group.finish();
}

fn digests(criterion: &mut Criterion) {
    let chunk = bytes(Kind::Text, 1, 1 << 20);
    let zeros = bytes(Kind::Zeros, 1, 1 << 20);
    let mut group = criterion.benchmark_group("digest");
    group.throughput(Throughput::Bytes(chunk.len() as u64));
    for algorithm in [DigestAlgorithm::Sha256, DigestAlgorithm::Blake3] {
        group.bench_function(algorithm.to_string(), |bencher| {
            bencher.iter(|| verify::digest(algorithm, black_box(&chunk)));
        });
    }
    group.bench_function("crc32c", |bencher| {
        bencher.iter(|| verify::crc32c(black_box(&chunk)))
    });
    group.bench_function("is_zero", |bencher| {
        bencher.iter(|| is_zero(black_box(&zeros)))
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = table, digests
}
criterion_main!(benches);
