//! Plans against a naive model: random images, random damage, answers in random order.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use blob_io::ReadAt;
use bytes::Bytes;
use frame_codec::{Compression, Decoder, Encoder};
use image_model::{
    Blob, BlobId, BlobIndex, Codec, Decode, Extent, ExtentSource, Frame, FrameId, Image, Ino,
    Recipe, RecipeId,
};
use lazyoci_image_read::{
    BlobStore, FileExtents, FileOrder, FrameError, FrameStore, Job, OpenBlob, Piece, ReadError,
    ReadOptions, ReadPlan, ReadStep, Reader, StoreError, StoredRange,
};
use proptest::prelude::*;
use verify::{ExtentBytes, check_chunk};

use crate::support::fixtures::{GZIP, LZ4, ZSTD};
use crate::support::made::Made;
use crate::support::text;

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }
}

/// An image, its blobs, and the parts of them that cannot be read.
#[derive(Clone)]
struct World {
    image: Made,
    blobs: Vec<Vec<u8>>,
    unreadable: Vec<StoredRange>,
    damaged: bool,
}

impl World {
    fn random(dice: &mut Dice) -> Self {
        let mut blobs = vec![Vec::new(); 2];
        let mut image = Made {
            blobs: ["blob-0", "blob-1"]
                .map(|id| Blob::new(BlobId::new(id.as_bytes()).unwrap()))
                .into(),
            ..Made::default()
        };
        let mut plain_frames = Vec::new();
        for n in 0..1 + dice.below(20) {
            let compression = dice.pick(&[Compression::None, Compression::None, ZSTD, LZ4, GZIP]);
            let (len, more) = (1 + dice.below(3_000), dice.below(2) * dice.below(500));
            let plain = text(len + more, n as u64);
            let mut stored = Vec::new();
            let mut encoder = Encoder::new(compression).unwrap();
            encoder.encode_frame(&plain, &mut stored).unwrap();
            let prefix = more > 0 && compression.codec() != Codec::Lz4Block;
            let (len, recipe) = match (prefix, compression.codec()) {
                (true, codec) => (len, Recipe::prefix(codec)),
                (false, codec) => (len + more, Recipe::exact(codec)),
            };
            let blob = dice.below(2);
            let bytes: &mut Vec<u8> = &mut blobs[blob];
            let between = dice.pick(&[0, 0, 1, 50]);
            bytes.resize(bytes.len() + between, 0xee);
            image.frames.push(Frame {
                blob: BlobIndex(blob as u32),
                offset: bytes.len() as u64,
                stored_len: stored.len() as u32,
                len: len as u32,
                recipe: RecipeId(n as u32),
            });
            image.recipes.push(recipe);
            bytes.extend_from_slice(&stored);
            plain_frames.push(plain[..len].to_vec());
        }
        for blob in &mut blobs {
            blob.extend_from_slice(&text(100, 100));
        }
        for _ in 0..1 + dice.below(6) {
            let mut extents = Vec::new();
            let mut size = 0;
            for _ in 0..dice.below(12) {
                let (len, source) = match dice.below(6) {
                    0 => (1 + dice.below(5_000), ExtentSource::Zeros),
                    1 => {
                        let blob = dice.below(2);
                        let offset = dice.below(blobs[blob].len());
                        let len = 1 + dice.below(blobs[blob].len() - offset);
                        let (blob, offset) = (BlobIndex(blob as u32), offset as u64);
                        (len, ExtentSource::Plain { blob, offset })
                    }
                    _ => {
                        let frame = dice.below(plain_frames.len());
                        let plain = &plain_frames[frame];
                        let offset = dice.below(plain.len());
                        let len = 1 + dice.below(plain.len() - offset);
                        let bytes = &plain[offset..offset + len];
                        let vouched = dice.below(3);
                        let chunk = ExtentSource::Chunk {
                            frame: FrameId(frame as u32),
                            offset_in_frame: offset as u32,
                            digest: (vouched == 1).then(|| verify::sha256(bytes)),
                            crc32c: (vouched == 2).then(|| verify::crc32c(bytes)),
                        };
                        (len, chunk)
                    }
                };
                let (file_offset, len) = (size, len as u64);
                extents.push(Extent {
                    file_offset,
                    len,
                    source,
                });
                size += len;
            }
            image.files.push((size, extents));
        }
        Self {
            image,
            blobs,
            unreadable: Vec::new(),
            damaged: false,
        }
    }

    /// Flips bits, and makes bytes unreadable.
    fn damage(&mut self, dice: &mut Dice) {
        self.damaged = true;
        for _ in 0..dice.below(4) {
            let blob = dice.below(2);
            let at = dice.below(self.blobs[blob].len());
            if dice.one_in(2) {
                self.blobs[blob][at] ^= 1 << dice.below(8);
            } else {
                self.unreadable.push(StoredRange {
                    blob: BlobIndex(blob as u32),
                    offset: at as u64,
                    len: 1,
                });
            }
        }
    }

    fn read(&self, range: &StoredRange) -> Option<Bytes> {
        let overlaps = |bad: &StoredRange| {
            bad.blob == range.blob
                && bad.offset < range.offset + range.len
                && range.offset < bad.offset + bad.len
        };
        if self.unreadable.iter().any(overlaps) {
            return None;
        }
        let blob = &self.blobs[range.blob.0 as usize];
        let stored = blob
            .get(range.offset as usize..)?
            .get(..range.len as usize)?;
        Some(Bytes::copy_from_slice(stored))
    }

    /// The stored bytes of a piece, and those of the piece itself: `None` if it cannot be had.
    fn expected(
        &self,
        extent: &Extent,
        range: &Range<u64>,
    ) -> (Option<StoredRange>, Option<Vec<u8>>) {
        let skip = (range.start - extent.file_offset) as usize;
        let len = (range.end - range.start) as usize;
        match extent.source {
            ExtentSource::Zeros => (None, Some(vec![0; len])),
            ExtentSource::Plain { blob, offset } => {
                let (offset, len) = (offset + skip as u64, len as u64);
                let stored = StoredRange { blob, offset, len };
                (Some(stored), self.read(&stored).map(|bytes| bytes.to_vec()))
            }
            ExtentSource::Chunk {
                frame,
                offset_in_frame,
                digest,
                crc32c,
            } => {
                let frame = self.image.frames[frame.0 as usize];
                let stored = StoredRange {
                    blob: frame.blob,
                    offset: frame.offset,
                    len: frame.stored_len.into(),
                };
                let decode: &Decode = &self.image.recipes[frame.recipe.0 as usize].decode;
                let bytes = self.read(&stored).and_then(|bytes| {
                    let mut plain = vec![0; frame.len as usize];
                    Decoder::new()
                        .decode_frame(decode, &bytes, &mut plain)
                        .ok()?;
                    let chunk = &plain[offset_in_frame as usize..][..extent.len as usize];
                    check_chunk(chunk, digest.as_ref(), crc32c).ok()?;
                    Some(chunk[skip..skip + len].to_vec())
                });
                (Some(stored), bytes)
            }
        }
    }
}

fn random_options(dice: &mut Dice) -> ReadOptions {
    ReadOptions::default()
        .window(dice.pick(&[0, 1, 3_000, 10_000, 8 << 20]))
        .gap(dice.pick(&[0, 0, 1, 60, 10_000]))
        .max_request(dice.pick(&[1, 7, 100, 1_000, 5_000, 1 << 20]))
        .cache(dice.pick(&[0, 1_000, 8 << 20]))
        .keep(dice.pick(&[0, 3_000, 8 << 20]))
        .threads(1 + dice.below(4))
}

/// What is wanted: ranges of files, some of them twice.
fn random_ranges(dice: &mut Dice, image: &Made) -> Vec<(Ino, Range<u64>)> {
    let ranges = 0..1 + dice.below(8);
    ranges
        .map(|_| {
            let file = dice.below(image.files.len());
            let size = image.files[file].0 as usize;
            let start = dice.below(size + 1);
            let end = match dice.one_in(2) {
                true => size,
                false => start + dice.below(size - start + 1),
            };
            (Ino(file as u64), start as u64..end as u64)
        })
        .collect()
}

/// The bytes of pieces, `None` for those that cannot be had.
fn note(found: &mut Vec<Option<u8>>, piece: &Piece) {
    let len = piece.len as usize;
    match piece.bytes.as_ref().map(|bytes| bytes.as_ref()) {
        Ok(ExtentBytes::Data(data)) => {
            assert_eq!(data.len(), len);
            found.extend(data.iter().copied().map(Some));
        }
        Ok(ExtentBytes::Zeros(zeros)) => {
            assert_eq!(zeros, piece.len);
            found.resize(found.len() + len, Some(0));
        }
        Err(_) => found.resize(found.len() + len, None),
    }
}

/// Says where contents differ, which are too long to be shown.
fn assert_same<T: PartialEq + std::fmt::Debug>(found: &[T], expected: &[T]) {
    let differ = |(a, b): (&T, &T)| a != b;
    if let Some(at) = found.iter().zip(expected).position(differ) {
        panic!("byte {at} is {:?}, not {:?}", found[at], expected[at]);
    }
    assert_eq!(found.len(), expected.len());
}

/// Under way: what a plan asked for and what it gave out.
enum Pending {
    Request(StoredRange),
    Job(Job),
}

/// Whether the range is needed, or lies between two that are near.
fn is_needed(range: &StoredRange, needed: &[StoredRange], gap: u64) -> bool {
    let mut covered = range.offset;
    let mut needed: Vec<_> = needed.iter().filter(|n| n.blob == range.blob).collect();
    needed.sort_unstable_by_key(|n| n.offset);
    let mut last_end = None;
    for n in needed {
        let bridged = last_end.is_some_and(|end: u64| end + gap >= n.offset);
        if n.offset <= covered || bridged {
            covered = covered.max(n.offset + n.len);
        }
        last_end = last_end.max(Some(n.offset + n.len));
        if n.offset > covered && n.offset >= range.offset + range.len {
            break;
        }
    }
    covered >= range.offset + range.len
}

fn run_plan(world: &World, dice: &mut Dice) {
    let options = random_options(dice);
    let store = Arc::new(FrameStore::new(options.cache));
    let image: &dyn Image = &world.image;
    // Of both readers together.
    let (mut frames, mut any_plain, mut asked) = (HashSet::new(), false, 0);
    // Readers one after the other, over one store.
    for _ in 0..2 {
        let ranges = random_ranges(dice, &world.image);
        let wants = || {
            (0u64..).zip(&ranges).flat_map(|(tag, (ino, range))| {
                FileExtents::new(image, *ino, range.clone(), tag).unwrap()
            })
        };
        let (mut expected, mut needed) = (Vec::new(), Vec::new());
        for want in wants() {
            let want = want.unwrap();
            let (stored, bytes) = world.expected(&want.extent, &want.range);
            needed.extend(stored);
            match want.extent.source {
                ExtentSource::Chunk { frame, .. } => _ = frames.insert(frame),
                ExtentSource::Plain { .. } => any_plain = true,
                ExtentSource::Zeros => {}
            }
            match bytes {
                Some(bytes) => expected.extend(bytes.into_iter().map(Some)),
                None => expected.extend(want.range.map(|_| None)),
            }
        }
        let mut plan = ReadPlan::new(image, &store, wants(), &options);
        let mut pending = Vec::new();
        let mut found = Vec::new();
        loop {
            let step = plan.step().unwrap();
            let waits = matches!(step, ReadStep::Wait);
            match step {
                ReadStep::Need(ranges) => {
                    assert!(!ranges.is_empty());
                    for range in ranges {
                        assert!(range.len > 0 && range.len <= options.max_request);
                        assert!(
                            is_needed(&range, &needed, options.gap),
                            "{range:?} {needed:?}"
                        );
                        asked += range.len;
                        pending.push(Pending::Request(range));
                    }
                }
                ReadStep::Work(job) => pending.push(Pending::Job(job)),
                ReadStep::Ready(piece) => note(&mut found, &piece),
                ReadStep::Wait => assert!(!pending.is_empty(), "nobody else is at work"),
                ReadStep::Done => break,
            }
            while !pending.is_empty() && (waits || dice.one_in(3)) {
                match pending.swap_remove(dice.below(pending.len())) {
                    Pending::Job(job) => plan.complete(job.run()),
                    Pending::Request(range) => match world.read(&range) {
                        Some(bytes) => plan.supply(range.blob, range.offset, bytes).unwrap(),
                        None => {
                            let StoredRange { blob, offset, len } = range;
                            let why = FrameError::Outside { blob, offset, len };
                            plan.fail(&range, why).unwrap();
                        }
                    },
                }
                if !dice.one_in(4) {
                    break;
                }
            }
        }
        assert_same(&found, &expected);
        if world.damaged {
            continue;
        }
        assert!(pending.is_empty(), "nothing is asked for in vain");
        if options.cache > 1 << 20 {
            assert_eq!(store.decoded(), frames.len() as u64);
            if options.gap == 0 && !any_plain {
                let stored = |id: &FrameId| u64::from(world.image.frames[id.0 as usize].stored_len);
                assert_eq!(asked, frames.iter().map(stored).sum::<u64>());
            }
        }
    }
}

/// A blob with parts that cannot be read.
struct Source(World, BlobIndex);

impl ReadAt for Source {
    fn len(&self) -> Result<u64, blob_io::ReadError> {
        Ok(self.0.blobs[self.1.0 as usize].len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), blob_io::ReadError> {
        let len = buf.len() as u64;
        let blob = self.1;
        match self.0.read(&StoredRange { blob, offset, len }) {
            Some(bytes) => {
                buf.copy_from_slice(&bytes);
                Ok(())
            }
            None => Err(blob_io::ReadError::Io {
                offset,
                len,
                source: std::io::ErrorKind::Other.into(),
            }),
        }
    }
}

impl OpenBlob for World {
    fn open_blob(&self, index: BlobIndex, _: &Blob) -> Result<Arc<dyn ReadAt>, StoreError> {
        Ok(Arc::new(Source(self.clone(), index)))
    }
}

fn run_reader(world: &World, dice: &mut Dice) {
    let options = random_options(dice);
    let blobs = match dice.one_in(2) {
        false => BlobStore::new(&world.image.blobs, world.clone()),
        true if world.unreadable.is_empty() => crate::support::store(&world.image, &world.blobs),
        true => return,
    };
    let reader = Reader::new(Arc::new(world.image.clone()), blobs, options);
    let all = |ino: Ino| {
        let mut all = Vec::new();
        for extent in &world.image.files[ino.0 as usize].1 {
            let range = extent.file_offset..extent.file_offset + extent.len;
            let bytes = world.expected(extent, &range).1;
            all.extend(bytes.map_or(vec![None; extent.len as usize], |bytes| {
                bytes.into_iter().map(Some).collect()
            }));
        }
        all
    };
    let good = |bytes: &[Option<u8>]| -> Vec<u8> { bytes.iter().map_while(|b| *b).collect() };
    for file in world.image.inos() {
        let expected = all(file);
        let mut content = Vec::new();
        let read = reader.read_range(file, 0..u64::MAX, &mut content);
        assert_same(&content, &good(&expected));
        match read {
            Ok(len) => assert_eq!(len as usize, expected.len()),
            Err(error) => {
                assert!(content.len() < expected.len());
                let (ino, at) = error.place().unwrap();
                assert_eq!(ino, file);
                assert!(at <= content.len() as u64, "{error:?}");
            }
        }
    }
    let files = world.image.inos();
    let mut content = Vec::new();
    let read = reader.read_all(&files, FileOrder::Given, &mut |piece, bytes| {
        assert_eq!(Ino(piece.tag), piece.ino);
        match bytes {
            ExtentBytes::Data(data) => content.extend_from_slice(data),
            ExtentBytes::Zeros(len) => content.resize(content.len() + len as usize, 0),
        }
        Ok::<_, ReadError>(())
    });
    let expected: Vec<_> = files.iter().flat_map(|&file| all(file)).collect();
    assert_same(&content, &good(&expected));
    assert_eq!(read.is_ok(), content.len() == expected.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn plans_hand_out_what_the_model_says(seed: u64) {
        let mut dice = Dice(seed);
        let mut world = World::random(&mut dice);
        run_plan(&world, &mut dice);
        world.damage(&mut dice);
        run_plan(&world, &mut dice);
    }

    #[test]
    fn readers_write_what_the_model_says(seed: u64) {
        let mut dice = Dice(seed);
        let mut world = World::random(&mut dice);
        run_reader(&world, &mut dice);
        world.damage(&mut dice);
        run_reader(&world, &mut dice);
    }
}
