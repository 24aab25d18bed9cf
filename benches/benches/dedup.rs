//! Dictionaries, each digest of which is asked once in random order; chunkers, digests and checksums.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::RwLock;
use std::thread;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use lazyoci::chunk_dedup::rollsum::{Part, RollsumChunker};
use lazyoci::chunk_dedup::{
    ChunkList, ChunkTable, Chunker, Dictionary as _, FastCdc, FixedSize, ImageDictionary, Key,
    PlacedDictionary as _, Placement, is_zero,
};
use lazyoci::model::{Chunk, DigestAlgorithm};
use lazyoci::verify;
use lazyoci_benches::content::{Kind, bytes};
use lazyoci_benches::dictionaries::{chunk, image, mapped, pair, questions};

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

fn found_in(map: &HashMap<Key, Placement, impl BuildHasher>, keys: &[Key]) -> usize {
    let found = |key: &&Key| black_box(map.get(key).copied()).is_some();
    keys.iter().filter(found).count()
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
            let map: HashMap<Key, Placement> = (0..count).map(pair).collect();
            each(&mut asked, &mut group, "HashMap", &mut |keys| {
                found_in(&map, keys)
            });
        }
        {
            let map: HashMap<Key, Placement, BuildHasherDefault<Identity>> =
                (0..count).map(pair).collect();
            each(&mut asked, &mut group, "HashMap, identity", &mut |keys| {
                found_in(&map, keys)
            });
        }
        {
            let chunks: Vec<Chunk> = (0..count).map(chunk).collect();
            let table = ChunkTable::of(&chunks);
            each(&mut asked, &mut group, "in memory", &mut |keys| {
                let found = |(digest, len): &&Key| {
                    let id = table.find(&chunks, digest, *len);
                    black_box(id.map(|id| chunks[id.index()])).is_some()
                };
                keys.iter().filter(found).count()
            });
        }
        {
            let image = ImageDictionary::of(&image(count));
            each(&mut asked, &mut group, "image", &mut |keys| {
                let found = |(digest, len): &&Key| {
                    let id = image.find(digest, *len).expect("it cannot fail");
                    let place = id.map(|id| image.entry_placement(id));
                    black_box(place).is_some()
                };
                keys.iter().filter(found).count()
            });
        }
        let file = mapped(count);
        each(&mut asked, &mut group, "file", &mut |keys| {
            let found = |(digest, len): &&Key| {
                let placement = file.lookup(digest, *len).expect("it is sound");
                black_box(placement).is_some()
            };
            keys.iter().filter(found).count()
        });
        each(&mut asked, &mut group, "file, found only", &mut |keys| {
            let found = |(digest, len): &&Key| {
                black_box(file.find(digest, *len).expect("it is sound")).is_some()
            };
            keys.iter().filter(found).count()
        });
        let mut found = Vec::new();
        let what = "file, found only, 64 at once";
        each(&mut asked, &mut group, what, &mut |keys| {
            let mut count = 0;
            for keys in keys.chunks(64) {
                found.clear();
                file.find_many(keys, &mut found).expect("it is sound");
                count += black_box(&found).iter().flatten().count();
            }
            count
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

/// Chunks that are inserted in one go.
const INSERTED: u32 = 200_000;

/// Inserts chunks that are not there, as a writer does: asked first, and then inserted.
fn insertions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("insertion");
    group.throughput(Throughput::Elements(u64::from(INSERTED)));
    group.sample_size(10);
    let chunks: Vec<Chunk> = (0..INSERTED).map(chunk).collect();
    let pairs: Vec<(Key, Placement)> = (0..INSERTED).map(pair).collect();
    for threads in [1, 2] {
        group.bench_function(format!("in memory, threads: {threads}"), |bencher| {
            bencher.iter(|| {
                let list = RwLock::new(ChunkList::default());
                on_threads(threads, &chunks, |chunk| {
                    let digest = chunk.digest.expect("each has one");
                    if list
                        .find(&digest, chunk.len)
                        .expect("it cannot fail")
                        .is_none()
                    {
                        let _ = list.write().expect("nobody panicked").push(*chunk);
                    }
                });
                list
            });
        });
        group.bench_function(format!("HashMap, threads: {threads}"), |bencher| {
            bencher.iter(|| {
                let map = RwLock::new(HashMap::new());
                on_threads(threads, &pairs, |(key, placement)| {
                    let known = map.read().expect("nobody panicked").contains_key(key);
                    if !known {
                        let _ = map
                            .write()
                            .expect("nobody panicked")
                            .insert(*key, *placement);
                    }
                });
                map
            });
        });
    }
    group.finish();
}

/// Does something with each of `all`, on several threads.
fn on_threads<T: Sync>(threads: usize, all: &[T], each: impl Fn(&T) + Sync) {
    thread::scope(|scope| {
        for part in all.chunks(all.len().div_ceil(threads)) {
            scope.spawn(|| part.iter().for_each(&each));
        }
    });
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
    group.bench_function("rolling checksum, 64 KiB", |bencher| {
        bencher.iter(|| {
            let mut chunks = 0;
            let mut take = |part: Part<'_>| {
                chunks += usize::from(part == Part::End);
                Ok::<_, Infallible>(())
            };
            let mut chunker = RollsumChunker::default();
            let Ok(()) = chunker.feed(black_box(&content), &mut take);
            let Ok(()) = chunker.end_file(&mut take);
            chunks
        });
    });
    group.bench_function("the crate rollsum, 64 KiB", |bencher| {
        bencher.iter(|| {
            // The same sums, without holes.
            let mut sums = rollsum::Bup::new_with_chunk_bits(16);
            let (mut rest, mut chunks) = (black_box(&content[..]), 0);
            while let Some((end, _)) = sums.find_chunk_edge(rest) {
                rest = &rest[end..];
                chunks += 1;
            }
            chunks
        });
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
    targets = lookups, insertions, chunkers, digests
}
criterion_main!(benches);
