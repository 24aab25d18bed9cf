//! Dictionaries, each digest of which is asked once in random order; chunkers, digests and checksums.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use lazyoci::chunk_dedup::{ChunkTable, Chunker, FastCdc, FixedSize, Key, is_zero};
use lazyoci::model::{Chunk, ChunkId, DigestAlgorithm, FrameId};
use lazyoci::verify;
use lazyoci_benches::content::{Kind, bytes};
use lazyoci_benches::dictionaries::{entry, file, questions};

/// Questions of one measurement.
const ASKED: usize = 10_000;

/// Questions, which come round again only when all were asked.
struct Questions {
    keys: Vec<Key>,
    next: usize,
}

impl Questions {
    fn new(first: u32, count: u32) -> Self {
        Self {
            keys: questions(first, count),
            next: 0,
        }
    }

    fn next(&mut self) -> &[Key] {
        if self.next + ASKED > self.keys.len() {
            self.next = 0;
        }
        let start = self.next;
        self.next += ASKED;
        &self.keys[start..self.next]
    }
}

/// Measures `ask`, which finds all of the keys or none of them.
fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    questions: &mut Questions,
    expected: usize,
    mut ask: impl FnMut(&[Key]) -> usize,
) {
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|count| {
            let mut time = Duration::ZERO;
            for _ in 0..count {
                let keys = questions.next();
                let start = Instant::now();
                let found = ask(black_box(keys));
                time += start.elapsed();
                assert_eq!(found, expected);
            }
            time
        });
    });
}

/// Digests are random already: their first bytes are a hash.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _: usize) {}
}

fn lookups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dictionary");
    group.throughput(Throughput::Elements(ASKED as u64));
    group.sample_size(10);
    for (count, name) in [(100_000, "10^5"), (1_000_000, "10^6"), (10_000_000, "10^7")] {
        let mut asked = [
            ("hit", ASKED, Questions::new(0, count)),
            ("miss", 0, Questions::new(count, count)),
        ];
        let each = |asked: &mut [(&str, usize, Questions); 2],
                    group: &mut BenchmarkGroup<'_, WallTime>,
                    form: &str,
                    ask: &mut dyn FnMut(&[Key]) -> usize| {
            for (what, expected, questions) in asked {
                let name = format!("{form}, {name}, {what}");
                measure(group, &name, questions, *expected, &mut *ask);
            }
        };
        {
            let all = (0..count).map(|number| (*entry(number).digest.as_bytes(), number));
            let map: HashMap<[u8; 32], u32> = all.collect();
            each(&mut asked, &mut group, "HashMap", &mut |keys| {
                let found = |(digest, _): &&Key| map.contains_key(digest.as_bytes());
                keys.iter().filter(found).count()
            });
        }
        {
            let all = (0..count).map(|number| (*entry(number).digest.as_bytes(), number));
            let map: HashMap<[u8; 32], u32, BuildHasherDefault<Identity>> = all.collect();
            each(&mut asked, &mut group, "HashMap, identity", &mut |keys| {
                let found = |(digest, _): &&Key| map.contains_key(digest.as_bytes());
                keys.iter().filter(found).count()
            });
        }
        {
            let chunk = |number| {
                let entry = entry(number);
                Chunk {
                    digest: Some(entry.digest),
                    len: entry.len,
                    crc32c: None,
                    frame: FrameId(number),
                    offset_in_frame: 0,
                }
            };
            let chunks: Vec<Chunk> = (0..count).map(chunk).collect();
            let table = ChunkTable::of(&chunks);
            each(&mut asked, &mut group, "in memory", &mut |keys| {
                let found: fn(&ChunkId) -> bool = |id| id.index() < usize::MAX;
                let ids = keys
                    .iter()
                    .filter_map(|(digest, len)| table.find(&chunks, digest, *len));
                ids.filter(found).count()
            });
        }
        let file = file(count);
        println!(
            "{name}: {} bytes an entry",
            file.bytes().len() as f64 / f64::from(count)
        );
        each(&mut asked, &mut group, "file", &mut |keys| {
            let found = |(digest, len): &&Key| {
                let placement = file.lookup(digest, *len).expect("it is sound");
                black_box(placement).is_some()
            };
            keys.iter().filter(found).count()
        });
        let mut found = Vec::new();
        each(&mut asked, &mut group, "file, 64 at once", &mut |keys| {
            let mut count = 0;
            for keys in keys.chunks(64) {
                found.clear();
                file.lookup_many(keys, &mut found).expect("it is sound");
                count += black_box(&found).iter().flatten().count();
            }
            count
        });
    }
    group.finish();
}

fn chunkers(criterion: &mut Criterion) {
    let content = bytes(Kind::Text, 1, 16 << 20);
    let mut group = criterion.benchmark_group("chunkers");
    group.throughput(Throughput::Bytes(content.len() as u64));
    let cut = |chunker: &mut dyn Chunker| {
        let (mut rest, mut chunks) = (&content[..], 0);
        while let Some(end) = chunker.feed(black_box(rest)) {
            rest = &rest[end..];
            chunks += 1;
        }
        chunker.end_file();
        chunks
    };
    let mut fixed = FixedSize::new(NonZeroU32::new(1 << 16).expect("it is not 0"));
    group.bench_function("fixed, 64 KiB", |bencher| bencher.iter(|| cut(&mut fixed)));
    let mut fastcdc = FastCdc::new(4096, 16_384, 65_536).expect("these sizes can be");
    group.bench_function("fastcdc, 16 KiB", |bencher| {
        bencher.iter(|| cut(&mut fastcdc))
    });
    group.bench_function("the crate fastcdc, 16 KiB", |bencher| {
        bencher.iter(|| fastcdc::v2020::FastCDC::new(&content, 4096, 16_384, 65_536).count());
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
    targets = lookups, chunkers, digests
}
criterion_main!(benches);
