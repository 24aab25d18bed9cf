//! Asks dictionaries of lazyoci, `HashMap`, and the dictionary of nydus-builder for the same chunks.
//!
//! ```text
//! dictionaries CHUNKS...    for each number, dictionaries of so many chunks; prints time and memory as Markdown
//! ```
//!
//! Each digest is asked once, in random order; then as many that no dictionary has. Each way to ask takes 10,000 in its
//! turn, none of which another one has just asked, and turns begin with another way each time.

use std::collections::HashMap;
use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use lazyoci::chunk_dedup::{ChunkTable, Dictionary as _, DictionaryFile, Key, Placement};
use lazyoci::model::Chunk;
use lazyoci_benches::dictionaries::{chunk, entry, mapped, pair, questions, resident};
use nydus_builder::{ChunkDict as _, HashChunkDict};
use nydus_rafs::metadata::RafsVersion;
use nydus_rafs::metadata::chunk::ChunkWrapper;
use nydus_utils::digest::{Algorithm, RafsDigest};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Questions that one dictionary is asked before the next one is.
const TURN: usize = 10_000;

/// Dictionaries of the same chunks.
struct Dictionaries {
    file: DictionaryFile<Bytes>,
    chunks: Vec<Chunk>,
    table: ChunkTable,
    map: HashMap<Key, Placement>,
    theirs: HashChunkDict,
    /// Bytes of memory that each of [`WAYS`] takes.
    bytes: [u64; COUNT],
}

/// How many of the keys are found, each with its place.
type Ask = fn(&Dictionaries, &[Key]) -> usize;

/// Ways to ask.
const COUNT: usize = 7;

/// That of nydus-builder is the last.
const WAYS: [(&str, Ask); COUNT] = [
    ("file", Dictionaries::in_file),
    ("file, 64 at once", Dictionaries::in_file_at_once),
    ("file, found only", Dictionaries::found_in_file),
    (
        "file, found only, 64 at once",
        Dictionaries::found_in_file_at_once,
    ),
    ("in memory", Dictionaries::in_memory),
    ("HashMap", Dictionaries::in_map),
    ("nydus-builder 0.2.0", Dictionaries::in_theirs),
];

fn main() -> Result<()> {
    let counts: Vec<String> = std::env::args().skip(1).collect();
    if counts.is_empty() {
        return Err("usage: dictionaries CHUNKS...".into());
    }
    for count in counts {
        compare(count.parse()?)?;
    }
    Ok(())
}

fn compare(count: u32) -> Result<()> {
    if count == 0 || !(count as usize).is_multiple_of(TURN) {
        return Err(format!("{count} is no multiple of {TURN}").into());
    }
    let all = Dictionaries::new(count)?;
    let hits = all.times(&questions(0, count), TURN);
    let misses = all.times(&questions(count, count), 0);
    println!("## {count} chunks\n");
    println!("| | hit ns | of nydus-builder's | miss ns | of nydus-builder's | bytes an entry |");
    println!("|---|---|---|---|---|---|");
    let last = COUNT - 1;
    for (way, (name, _)) in WAYS.into_iter().enumerate() {
        let (hit, miss) = (hits[way], misses[way]);
        println!(
            "| {name} | {hit:.0} | **{:.3}** | {miss:.0} | **{:.3}** | {:.1} |",
            hit / hits[last],
            miss / misses[last],
            all.bytes[way] as f64 / f64::from(count),
        );
    }
    println!();
    Ok(())
}

impl Dictionaries {
    fn new(count: u32) -> Result<Self> {
        let mut before = resident()?;
        let mut grown = || -> Result<u64> {
            let now = resident()?;
            Ok(now.saturating_sub(std::mem::replace(&mut before, now)))
        };
        let file = mapped(count);
        let file_bytes = file.bytes().len() as u64;
        grown()?;
        let mut chunks = Vec::with_capacity(count as usize);
        chunks.extend((0..count).map(chunk));
        let table = ChunkTable::of(&chunks);
        let memory_bytes = grown()?;
        let map = (0..count).map(pair).collect();
        let map_bytes = grown()?;
        let mut theirs = HashChunkDict::new(Algorithm::Blake3);
        for number in 0..count {
            theirs.add_chunk(Arc::new(wrapper(number)?), Algorithm::Blake3);
        }
        let their_bytes = grown()?;
        Ok(Self {
            file,
            chunks,
            table,
            map,
            theirs,
            bytes: [
                file_bytes,
                file_bytes,
                file_bytes,
                file_bytes,
                memory_bytes,
                map_bytes,
                their_bytes,
            ],
        })
    }

    /// The median time of a question in nanoseconds, of each way; so many of a turn have an answer.
    fn times(&self, keys: &[Key], expected: usize) -> [f64; COUNT] {
        let mut times = [const { Vec::new() }; COUNT];
        let turns: Vec<&[Key]> = keys.chunks(TURN).collect();
        for turn in 0..turns.len() {
            for at in 0..COUNT {
                let way = (turn + at) % COUNT;
                let (name, ask) = WAYS[way];
                // What one way asks is in no cache on behalf of another.
                let keys = turns[(turn + way * turns.len() / COUNT) % turns.len()];
                let start = Instant::now();
                let found = ask(self, black_box(keys));
                let time = start.elapsed();
                assert_eq!(found, expected, "{name}");
                times[way].push(time.as_secs_f64() * 1e9 / TURN as f64);
            }
        }
        times.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        })
    }

    fn in_file(&self, keys: &[Key]) -> usize {
        let found = |(digest, len): &&Key| {
            let placement = self.file.lookup(digest, *len).expect("it is sound");
            black_box(placement).is_some()
        };
        keys.iter().filter(found).count()
    }

    fn in_file_at_once(&self, keys: &[Key]) -> usize {
        let mut found = Vec::with_capacity(64);
        let mut count = 0;
        for keys in keys.chunks(64) {
            found.clear();
            let asked = self.file.lookup_many(keys, &mut found);
            asked.expect("it is sound");
            count += black_box(&found).iter().flatten().count();
        }
        count
    }

    fn found_in_file(&self, keys: &[Key]) -> usize {
        let found = |(digest, len): &&Key| {
            black_box(self.file.find(digest, *len).expect("it is sound")).is_some()
        };
        keys.iter().filter(found).count()
    }

    fn found_in_file_at_once(&self, keys: &[Key]) -> usize {
        let mut found = Vec::with_capacity(64);
        let mut count = 0;
        for keys in keys.chunks(64) {
            found.clear();
            let asked = self.file.find_many(keys, &mut found);
            asked.expect("it is sound");
            count += black_box(&found).iter().flatten().count();
        }
        count
    }

    fn in_memory(&self, keys: &[Key]) -> usize {
        let found = |(digest, len): &&Key| {
            let id = self.table.find(&self.chunks, digest, *len);
            black_box(id.map(|id| self.chunks[id.index()])).is_some()
        };
        keys.iter().filter(found).count()
    }

    fn in_map(&self, keys: &[Key]) -> usize {
        let found = |key: &&Key| black_box(self.map.get(key).copied()).is_some();
        keys.iter().filter(found).count()
    }

    fn in_theirs(&self, keys: &[Key]) -> usize {
        let found = |(digest, len): &&Key| {
            let digest: &RafsDigest = digest.as_bytes().into();
            let chunk = self.theirs.get_chunk(digest, *len);
            let place = chunk.map(|chunk| {
                let (blob, offset) = (chunk.blob_index(), chunk.compressed_offset());
                let address = chunk.uncompressed_offset();
                (blob, offset, chunk.compressed_size(), address)
            });
            black_box(place).is_some()
        };
        keys.iter().filter(found).count()
    }
}

/// The chunk with this number as nydus knows it.
fn wrapper(number: u32) -> Result<ChunkWrapper> {
    let entry = entry(number);
    let placement = entry.placement;
    let frame = placement.frame;
    let mut wrapper = ChunkWrapper::new(RafsVersion::V6);
    wrapper.set_id(RafsDigest::from(*entry.digest.as_bytes()));
    wrapper.set_chunk_info(
        frame.blob.0,
        placement.index,
        0,
        placement.address,
        entry.len,
        frame.offset,
        frame.stored_len,
        true,
        false,
        false,
    )?;
    Ok(wrapper)
}
