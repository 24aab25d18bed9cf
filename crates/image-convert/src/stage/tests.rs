//! What goes in, what comes out, and what is held meanwhile.

use std::num::NonZeroU32;

use chunk_dedup::FixedSize;
use frame_codec::Compression;
use image_model::{ChunkId, DigestAlgorithm, ImagePath};

use verify::ExtentBytes;

use super::*;

/// Keeps what it is given.
#[derive(Default)]
struct Kept(Vec<(Vec<u8>, Option<PieceChunk>)>);

impl Target for Kept {
    fn store(&mut self, piece: &Piece<'_>) -> Result<Option<ChunkId>, ConvertError> {
        self.0.push((piece.plain.to_vec(), piece.chunk));
        let id = ChunkId::new(self.0.len() as u32 - 1);
        Ok(piece.chunk.map(|_| id))
    }
}

/// Forgets it.
struct Forgotten;

impl Target for Forgotten {
    fn store(&mut self, piece: &Piece<'_>) -> Result<Option<ChunkId>, ConvertError> {
        Ok(piece.chunk.map(|_| ChunkId::new(0)))
    }
}

const RULES: Rules<'_> = Rules {
    compression: Compression::None,
    plain_if_shorter: true,
    digest: Some(ChunkDigest {
        algorithm: DigestAlgorithm::Sha256,
        with_crc: false,
        blocks_below: 0,
    }),
    dictionary: None,
    foreign: None,
    room_behind: 0,
    grouped_below: 0,
    origin: None,
    frames: None,
};

/// Runs a stage with `threads` and `chunker` without any bound on chunks.
fn with_stage<T: Target>(
    chunker: &mut dyn Chunker,
    (rules, threads): (Rules<'_>, usize),
    target: T,
    body: impl FnOnce(&mut Stage<'_, '_, T>) -> Result<(), ConvertError>,
) -> (T, Stored) {
    let setup = Setup {
        rules,
        chunker,
        max_chunks: u32::MAX,
        threads,
        before: Stored::default(),
        progress: &mut (),
    };
    let ((), target, stored) = run(setup, target, body).unwrap();
    (target, stored)
}

/// Ends a chunk after every 7, and after 5000 bytes.
#[derive(Default)]
struct Sevens(u32);

impl Chunker for Sevens {
    fn max_len(&self) -> u32 {
        5000
    }

    fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        let room = (self.max_len() - self.0) as usize;
        let seven = bytes.iter().position(|byte| *byte == 7);
        match seven.map_or(room, |at| room.min(at + 1)) {
            end if end <= bytes.len() => {
                self.0 = 0;
                Some(end)
            }
            _ => {
                self.0 += bytes.len() as u32;
                None
            }
        }
    }

    fn end_file(&mut self) {
        self.0 = 0;
    }
}

/// Data and a hole, with sevens far apart and near.
fn file(seed: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..300_000usize)
        .map(|n| ((n * n / 1000 + seed * n) % 251) as u8)
        .collect();
    bytes[100_000..140_000].fill(0);
    bytes
}

/// The chunks of `bytes`, fed at once.
fn chunks_of(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut chunker = Sevens::default();
    let (mut chunks, mut rest) = (Vec::new(), bytes);
    while let Some(end) = chunker.feed(rest) {
        chunks.push(rest[..end].to_vec());
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        chunks.push(rest.to_vec());
    }
    chunks
}

#[test]
fn cuts_do_not_depend_on_how_content_comes() {
    let files: Vec<_> = (0..12).map(file).collect();
    let expected: Vec<_> = files.iter().flat_map(|file| chunks_of(file)).collect();
    for (threads, piece_len) in [(1, 300_000), (2, 1), (3, 4999), (2, 70_000)] {
        let (kept, stored) = with_stage(
            &mut Sevens::default(),
            (RULES, threads),
            Kept::default(),
            |stage| {
                for file in &files {
                    stage.begin_file(file.len() as u64, ImagePath::root)?;
                    for piece in file[..100_000].chunks(piece_len) {
                        stage.push(ExtentBytes::Data(piece))?;
                    }
                    stage.push(ExtentBytes::Zeros(40_000))?;
                    for piece in file[140_000..].chunks(piece_len) {
                        stage.push(ExtentBytes::Data(piece))?;
                    }
                }
                assert_eq!(stage.chunks() as usize, expected.len());
                Ok(())
            },
        );
        let found: Vec<_> = kept.0.iter().map(|(plain, _)| plain.clone()).collect();
        assert!(
            found == expected,
            "{threads} threads, pieces of {piece_len}"
        );
        for (plain, chunk) in &kept.0 {
            let chunk = chunk.unwrap();
            assert_eq!(chunk.len as usize, plain.len());
            assert_eq!(chunk.digest, verify::sha256(plain));
        }
        assert_eq!(stored.content_bytes, 12 * 300_000);
        let mut file_offset = 0;
        for (index, extent) in stored.extents.iter().enumerate() {
            let chunk = Some(ChunkId::new(index as u32));
            assert_eq!((extent.file_offset, extent.chunk), (file_offset, chunk));
            file_offset = (file_offset + expected[index].len() as u64) % 300_000;
        }
    }
}

#[test]
fn what_follows_a_chunk_stays_in_its_piece() {
    let chunker = &mut FixedSize::new(NonZeroU32::new(4).unwrap());
    let (kept, _) = with_stage(chunker, (RULES, 2), Kept::default(), |stage| {
        stage.append(b"head")?;
        stage.begin_file(6, ImagePath::root)?;
        stage.push(ExtentBytes::Data(b"abcde"))?;
        stage.push(ExtentBytes::Data(b"f"))?;
        stage.append(b"behind")?;
        stage.append(b"that")?;
        stage.begin_file(4, ImagePath::root)?;
        stage.push(ExtentBytes::Zeros(4))?;
        stage.append(b"zeros")?;
        stage.begin_piece(0)
    });
    let found: Vec<_> = kept
        .0
        .iter()
        .map(|(plain, chunk)| (&plain[..], chunk.map_or(0, |chunk| chunk.len)))
        .collect();
    let expected: [(&[u8], u32); 5] = [
        (b"head", 0),
        (b"abcd", 4),
        (b"efbehindthat", 2),
        (b"\0\0\0\0zeros", 4),
        (b"", 0),
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_is_under_way_keeps_to_the_budget() {
    let compressions = [
        Compression::None,
        #[cfg(feature = "lz4")]
        Compression::Lz4Block,
    ];
    let noise: Vec<u8> = (0..1u32 << 16)
        .map(|n| (n.wrapping_mul(0x9e37_79b9) >> 24) as u8)
        .collect();
    for compression in compressions {
        for (threads, chunk_size) in [
            (1, 1 << 12),
            (2, 1 << 20),
            (16, 1 << 20),
            (64, 4 << 20),
            (4, 16 << 20),
        ] {
            let chunker = &mut FixedSize::new(NonZeroU32::new(chunk_size).unwrap());
            let rules = Rules {
                compression,
                ..RULES
            };
            let longest = 2 * chunk_size as usize + (1 << 20);
            let mut most = 0;
            with_stage(chunker, (rules, threads), Forgotten, |stage| {
                for _ in 0..4 {
                    stage.begin_file(10 << 20, ImagePath::root)?;
                    for _ in 0..160 {
                        stage.push(ExtentBytes::Data(&noise))?;
                        most = most.max(stage.held());
                    }
                }
                Ok(())
            });
            let limit = BUDGET.max(longest) + longest;
            assert!(
                most <= limit,
                "{compression} {threads} {chunk_size}: {most}"
            );
        }
    }
}

#[test]
fn long_holes_cost_neither_memory_nor_time() {
    let chunker = &mut FixedSize::new(NonZeroU32::new(1 << 20).unwrap());
    let (_, stored) = with_stage(chunker, (RULES, 2), Forgotten, |stage| {
        stage.begin_file(1 << 36, ImagePath::root)?;
        stage.push(ExtentBytes::Zeros(1 << 36))?;
        assert!(stage.held() <= BUDGET, "{}", stage.held());
        Ok(())
    });
    assert_eq!(stored.extents.len(), 1 << 16);
    assert_eq!(stored.content_bytes, 1 << 36);
}

/// Content, of which everything after `end` cannot be read.
struct Tape {
    bytes: Vec<u8>,
    end: usize,
}

impl Fetch for Tape {
    fn fetch(&self, offset: u64, place: &mut [u8]) -> Result<(), ConvertError> {
        let start = offset as usize;
        match start + place.len() <= self.end {
            true => place.copy_from_slice(&self.bytes[start..start + place.len()]),
            false => return Err(std::io::Error::other("torn").into()),
        }
        Ok(())
    }
}

/// Has a file of 300,000 bytes stored: `pieces` that lie on the tape, and zeros between them.
fn fetch_pieces<T: Target>(
    stage: &mut Stage<'_, '_, T>,
    pieces: &[(u64, usize)],
) -> Result<(), ConvertError> {
    stage.begin_file(300_000, ImagePath::root)?;
    let mut at = 0;
    for &(start, len) in pieces {
        stage.fill_zeros(start - at)?;
        stage.fetch(len as u64, start)?;
        at = start + len as u64;
    }
    stage.fill_zeros(300_000 - at)
}

#[test]
fn what_workers_fetch_is_what_they_are_given() {
    let tape = Tape {
        bytes: (0..300_000u64)
            .map(|n| (n * n / 1000 % 251) as u8)
            .collect(),
        end: 300_000,
    };
    let rules = Rules {
        origin: Some(&tape),
        ..RULES
    };
    // More places than a batch may have, pieces that go on, and holes in the middle of chunks and between them.
    let many: Vec<_> = (0..30_000).map(|n| (n * 10, 3)).collect();
    let lists = [
        vec![(0, 300_000)],
        vec![(100, 4096 * 3 - 100), (4096 * 3, 5), (150_000, 150_000)],
        vec![(8192, 1), (299_999, 1)],
        many,
    ];
    let mut expected = Vec::new();
    for list in &lists {
        let mut content = vec![0; 300_000];
        for &(start, len) in list {
            let range = start as usize..start as usize + len;
            content[range.clone()].copy_from_slice(&tape.bytes[range]);
        }
        expected.extend(content.chunks(4096).map(<[u8]>::to_vec));
    }
    for threads in 1..4 {
        let chunker = &mut FixedSize::new(NonZeroU32::new(4096).unwrap());
        let (kept, _) = with_stage(chunker, (rules, threads), Kept::default(), |stage| {
            // They take up several batches.
            for _ in 0..10 {
                for list in &lists {
                    fetch_pieces(stage, list)?;
                }
            }
            Ok(())
        });
        let found: Vec<_> = kept.0.iter().map(|(plain, _)| plain).collect();
        let ten_times = expected.iter().cycle().take(10 * expected.len());
        assert!(found.into_iter().eq(ten_times), "{threads} threads");
        for (plain, chunk) in &kept.0 {
            assert_eq!(chunk.unwrap().digest, verify::sha256(plain));
        }
    }
}

#[test]
fn what_cannot_be_fetched_is_told() {
    let tape = Tape {
        bytes: vec![1; 300_000],
        end: 200_000,
    };
    for threads in 1..4 {
        let setup = Setup {
            rules: Rules {
                origin: Some(&tape),
                ..RULES
            },
            chunker: &mut FixedSize::new(NonZeroU32::new(1 << 16).unwrap()),
            max_chunks: u32::MAX,
            threads,
            before: Stored::default(),
            progress: &mut (),
        };
        let ran = run(setup, Forgotten, |stage| {
            fetch_pieces(stage, &[(0, 300_000)])
        });
        let Err(ConvertError::Write(error)) = ran.map(|_| ()) else {
            panic!("{threads} threads");
        };
        assert_eq!(error.to_string(), "torn");
    }
}
