//! Readers of one store: each frame is fetched and decoded once, and nobody waits for ever.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use blob_io::ReadAt;
use frame_codec::Compression;
use image_model::walk::Walk;
use image_model::{BlobIndex, Cancelled, Extent, ExtentSource, FileKind, FrameId, Ino, Limits};
use lazyoci_image_read::{BlobStore, FileOrder, ReadError, ReadOptions, Reader};
use verify::ExtentBytes;

use crate::support::fixtures::{ZSTD, eight};
use crate::support::{Builder, Fixture, Piece, text};

/// A blob that takes its time, and is not in memory for its readers.
struct Slow(Vec<u8>);

impl ReadAt for Slow {
    fn len(&self) -> Result<u64, blob_io::ReadError> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), blob_io::ReadError> {
        std::thread::sleep(Duration::from_micros(100));
        self.0[..].read_at(offset, buf)
    }
}

fn slow_reader(fixture: &Fixture, options: ReadOptions) -> Reader {
    let mut blobs = BlobStore::new(&fixture.image.blobs, lazyoci_image_read::NoBlobs);
    for (index, blob) in (0..).zip(&fixture.blobs) {
        blobs = blobs.with_source(BlobIndex(index), Arc::new(Slow(blob.clone())));
    }
    Reader::new(fixture.image.clone(), blobs, options)
}

/// Ends the test if `work` does not end.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = channel();
    let thread = std::thread::spawn(move || {
        let _ = done.send(work());
    });
    match result.recv_timeout(Duration::from_secs(60)) {
        Ok(result) => result,
        Err(_) if thread.is_finished() => resume_unwind(thread.join().unwrap_err()),
        Err(_) => panic!("it waits for ever"),
    }
}

/// Files of many frames, some shared.
fn many() -> Fixture {
    let mut builder = Builder::new(2);
    let mut frames = Vec::new();
    for n in 0..200u64 {
        let compression = [ZSTD, Compression::None][(n % 2) as usize];
        let plain = text(1_000 + 17 * n as usize, n);
        frames.push(builder.whole((n % 2) as u32, compression, &plain));
    }
    for file in 0..10 {
        let pieces = (0..40).map(|n| Piece::Chunk(frames[(file * 23 + n * (1 + file % 3)) % 200]));
        builder.file(&file.to_string(), &pieces.collect::<Vec<_>>());
    }
    builder.build()
}

#[test]
fn eight_threads_fetch_and_decode_each_frame_once() {
    let fixture = Arc::new(many());
    let reader = slow_reader(&fixture, ReadOptions::default());
    let mut state = 7u64;
    let mut ranges = Vec::new();
    for _ in 0..1_000 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let file = (state >> 33) as usize % 7;
        let len = fixture.contents[file].len() as u64;
        let start = (state >> 17) % len;
        ranges.push((file, start..len.min(start + 3_000)));
    }
    let ranges = Arc::new(ranges);
    let needed: HashSet<FrameId> = (ranges.iter())
        .flat_map(|(file, range)| {
            let ino = fixture.ino(&file.to_string());
            let mut frames = Vec::new();
            let visit = &mut |extent: Extent| {
                if let ExtentSource::Chunk { frame, .. } = extent.source {
                    frames.push(frame);
                }
                std::ops::ControlFlow::Continue(())
            };
            let image: &dyn image_model::Image = &*fixture.image;
            image.extents(ino, range.clone(), visit).unwrap();
            frames
        })
        .collect();
    let read = {
        let (reader, fixture) = (reader.clone(), Arc::clone(&fixture));
        move || {
            let threads: Vec<_> = (0..8)
                .map(|thread| {
                    let reader = reader.clone();
                    let (fixture, ranges) = (Arc::clone(&fixture), Arc::clone(&ranges));
                    std::thread::spawn(move || {
                        // Half of them in the same order, half of them from elsewhere on.
                        let first = thread / 2 * 150;
                        for n in 0..ranges.len() {
                            let (file, range) = &ranges[(first + n) % ranges.len()];
                            let ino = fixture.ino(&file.to_string());
                            let mut content = Vec::new();
                            reader.read_range(ino, range.clone(), &mut content).unwrap();
                            let range = range.start as usize..range.end as usize;
                            assert!(content == fixture.contents[*file][range]);
                        }
                    })
                })
                .collect();
            threads
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
        }
    };
    in_time(read);
    assert_eq!(reader.frames().decoded(), needed.len() as u64);
    let stored = |id: &FrameId| u64::from(fixture.frame(id.0 as usize).stored_len);
    let stats = reader.blobs().stats();
    assert_eq!(stats.bytes, needed.iter().map(stored).sum::<u64>());
    // Frames do not touch.
    assert_eq!(stats.requests, needed.len() as u64);
}

#[test]
fn whole_images_are_read_by_many_threads_at_once() {
    let fixture = Arc::new(many());
    for cache in [0, 100_000, 8 << 20] {
        let options = ReadOptions::default()
            .cache(cache)
            .gap(1)
            .max_request(10_000);
        let reader = slow_reader(&fixture, options.window(50_000).threads(3));
        let fixture = Arc::clone(&fixture);
        in_time(move || {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let (reader, fixture) = (reader.clone(), Arc::clone(&fixture));
                    std::thread::spawn(move || read_whole(&reader, &fixture))
                })
                .collect();
            threads
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
        });
    }
}

/// Reads all files of `many` and compares them.
fn read_whole(reader: &Reader, fixture: &Fixture) {
    let files: Vec<Ino> = (0..10).map(|n| fixture.ino(&n.to_string())).collect();
    let mut contents = vec![Vec::new(); 10];
    for order in [FileOrder::Given, FileOrder::Stored] {
        contents.iter_mut().for_each(Vec::clear);
        let mut last = None;
        let mut seen = Vec::new();
        let read = reader.read_all(&files, order, &mut |piece, bytes| {
            if last.replace(piece.tag) != Some(piece.tag) {
                seen.push(piece.tag);
            }
            let content: &mut Vec<u8> = &mut contents[piece.tag as usize];
            assert_eq!(piece.file_offset, content.len() as u64);
            assert_eq!(piece.ino, files[piece.tag as usize]);
            let ExtentBytes::Data(data) = bytes else {
                panic!("there are no holes")
            };
            content.extend_from_slice(data);
            Ok::<_, ReadError>(())
        });
        read.unwrap();
        assert!(contents == fixture.contents);
        match order {
            FileOrder::Given => assert!(seen.iter().copied().eq(0..10)),
            // One behind the other all the same.
            _ => assert_eq!(seen.len(), 10),
        }
    }
}

#[test]
fn a_reader_inside_anothers_callback_ends() {
    let fixture = Arc::new(many());
    for (cache, threads) in [(0, 1), (0, 3), (20_000, 2), (8 << 20, 2)] {
        let options = ReadOptions::default().cache(cache).threads(threads);
        let options = options.window(30_000).max_request(5_000).gap(1);
        let reader = fixture.reader(options);
        let fixture = Arc::clone(&fixture);
        in_time(move || {
            let files: Vec<Ino> = (0..10).map(|n| fixture.ino(&n.to_string())).collect();
            let mut pieces = 0;
            let read = reader.read_all(&files, FileOrder::Stored, &mut |piece, _| {
                pieces += 1;
                if pieces % 40 == 0 {
                    read_whole(&reader, &fixture);
                }
                // The piece itself, and what the outer reader will want next.
                let mut content = Vec::new();
                let range = piece.file_offset..piece.file_offset + 20_000;
                reader.read_range(piece.ino, range, &mut content)?;
                let expected = &fixture.contents[piece.tag as usize][piece.file_offset as usize..];
                assert!(content == expected[..expected.len().min(20_000)]);
                Ok::<_, ReadError>(())
            });
            read.unwrap();
            assert_eq!(pieces, 400);
        });
    }
}

#[test]
fn what_is_held_in_the_middle_is_not_fetched_again() {
    let fixture = eight(Compression::None);
    let reader = fixture.reader(ReadOptions::default().gap(1));
    let ino = fixture.ino("eight");
    reader
        .read_range(ino, 3_000..4_000, &mut Vec::new())
        .unwrap();
    let before = reader.blobs().stats();
    reader.read_range(ino, 0..8_000, &mut Vec::new()).unwrap();
    let after = reader.blobs().stats();
    assert_eq!(after.requests - before.requests, 2);
    assert_eq!(after.bytes - before.bytes, 7_000 + 5);
}

#[test]
fn a_read_that_is_cancelled_leaves_nothing_behind() {
    let fixture = many();
    for threads in [1, 2, 4] {
        let options = ReadOptions::default().threads(threads).window(30_000);
        let reader = slow_reader(&fixture, options);
        let files: Vec<Ino> = (0..10).map(|n| fixture.ino(&n.to_string())).collect();
        let mut left = 25;
        let read = reader.read_all(&files, FileOrder::Given, &mut |_, _| {
            left -= 1;
            match left {
                0 => Err(ReadError::from(Cancelled)),
                _ => Ok(()),
            }
        });
        assert!(matches!(read, Err(ReadError::Cancelled(_))), "{read:?}");
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            reader.read_all(&files, FileOrder::Stored, &mut |piece, _| {
                assert!(piece.file_offset < 5_000, "enough");
                Ok::<_, ReadError>(())
            })
        }));
        assert!(panicked.is_err());
        read_whole(&reader, &fixture);
    }
}

#[test]
fn what_is_needed_again_is_kept() {
    let mut builder = Builder::new(1);
    let mut pieces: Vec<_> = (0..50)
        .map(|n| Piece::Chunk(builder.whole(0, ZSTD, &text(5_000, n))))
        .collect();
    let [first, second] = [0, 1].map(|n: usize| pieces[n]);
    pieces.extend([first, second]);
    builder.file("f", &pieces);
    builder.file("g", &[first]);
    let fixture = builder.build();
    let files = [fixture.ino("f"), fixture.ino("g")];
    // The one that was used last stays in any case.
    for (keep, decoded) in [(8 << 20, 50), (10_000, 50), (9_999, 52), (0, 52)] {
        let options = ReadOptions::default().window(1).cache(0).keep(keep);
        let reader = fixture.reader(options);
        let mut len = 0;
        let read = reader.read_all(&files, FileOrder::Given, &mut |_, bytes| {
            len += bytes.len();
            Ok::<_, ReadError>(())
        });
        read.unwrap();
        assert_eq!(len, 53 * 5_000);
        assert_eq!(reader.frames().decoded(), decoded, "keep {keep}");
    }
}

/// In RAFS v5 each use of a chunk has a record of its own: 98 in this image, of 65 chunks. Names of one file are read
/// one by one.
#[cfg(feature = "zstd")]
#[test]
fn records_of_one_chunk_are_decoded_once() {
    let golden = crate::open::golden("odd-v5-zstd-sha256-4k");
    let image = crate::open::open_default(&golden.join("image.boot")).unwrap();
    let mut files = Vec::new();
    let limits = Limits::default();
    let mut walk = Walk::new(image.image(), &limits);
    while let Some(entry) = walk.next_entry() {
        let entry = entry.unwrap();
        if entry.attributes.kind == FileKind::File {
            files.push(entry.ino);
        }
    }
    let mut chunks = 0;
    let reader = image.reader();
    let read = reader.read_all(&files, FileOrder::Given, &mut |piece, _| {
        chunks += usize::from(matches!(piece.extent.source, ExtentSource::Chunk { .. }));
        Ok::<_, ReadError>(())
    });
    read.unwrap();
    assert_eq!((chunks, reader.frames().decoded()), (196, 65));
}
