//! How much work it is to compare two images.

use std::sync::Arc;

use lazyoci::blob_io::bytes::Bytes;
use lazyoci::model::diff::{Change, DiffError, DiffObserver, Difference, Reason, diff, transfer};
use lazyoci::model::image::{ChunkExtent, ChunkRange, ChunkedParts};
use lazyoci::model::{
    Blob, BlobId, BlobIndex, Chunk, ChunkId, ChunkedImage, Codec, DigestAlgorithm, Frame, FrameId,
    Ino, Limits, Metadata, Name, Node, Recipe, RecipeId, Tree,
};
use lazyoci::read::{BlobStore, ReadError, ReadOptions, Reader, same_bytes};
use lazyoci::verify;

use super::input::Input;

/// Decoded bytes of every frame.
const FRAME_LEN: u32 = 256;

/// Frames of each image.
const FRAMES: u32 = 4;

/// Most extents of a file.
const MAX_EXTENTS: usize = 32;

/// Takes choices of a file of chunks and of holes that are as long as any, twice: comparing them takes a step for
/// each extent, however long the holes are, and no chunk is decoded twice; what comes out is what comparing
/// run by run says.
pub fn diff_work(data: &[u8]) {
    let input = &mut Input::new(data);
    let left = File::take(input);
    let right = File::take(input);
    let limits = Limits::small();
    let mut compared = Compared {
        left: left.reader(),
        right: right.reader(),
        steps: 0,
        reasons: Vec::new(),
    };
    let (old, new) = (
        Arc::clone(compared.left.image()),
        Arc::clone(compared.right.image()),
    );
    diff(&*old, &*new, &limits, &mut compared).expect("nothing is wrong with them");
    transfer(&*old, &*new, &limits).expect("nothing is wrong with them");

    let extents = left.extents.len() + right.extents.len();
    assert!(
        compared.steps <= extents as u64,
        "{} steps for {extents} extents",
        compared.steps
    );
    for reader in [&compared.left, &compared.right] {
        let decoded = reader.frames().decoded();
        // Room for all frames is kept.
        assert!(decoded <= u64::from(FRAMES), "{decoded} frames decoded");
    }
    let differs = |reason| compared.reasons.contains(&reason);
    assert_eq!(differs(Reason::Size), left.size() != right.size());
    if left.size() == right.size() {
        assert_eq!(differs(Reason::Content), left.runs() != right.runs());
    }
}

struct Compared {
    left: Reader,
    right: Reader,
    steps: u64,
    reasons: Vec<Reason>,
}

/// Why comparing stops.
#[derive(Debug)]
enum Stopped {
    Diff,
    Read,
}

impl From<DiffError> for Stopped {
    fn from(_: DiffError) -> Self {
        Self::Diff
    }
}

impl From<ReadError> for Stopped {
    fn from(_: ReadError) -> Self {
        Self::Read
    }
}

impl DiffObserver for Compared {
    type Error = Stopped;

    fn difference(&mut self, difference: Difference<'_>) -> Result<(), Stopped> {
        match difference.change {
            Change::Changed { reasons, .. } => self.reasons.extend(reasons),
            change => panic!("both have one file: {change:?}"),
        }
        Ok(())
    }

    fn same_content(&mut self, left: Ino, right: Ino) -> Result<bool, Stopped> {
        let steps = &mut self.steps;
        let mut count = |_: u64, _: Option<u64>| {
            *steps += 1;
            Ok(())
        };
        Ok(same_bytes(
            (&self.left, left),
            (&self.right, right),
            &mut count,
        )?)
    }
}

/// A file: bytes of frames, each of which holds its number alone, and holes.
struct File {
    /// The frame, or none, and the length.
    extents: Vec<(Option<u32>, u64)>,
}

impl File {
    fn take(input: &mut Input<'_>) -> Self {
        let count = input.below(MAX_EXTENTS);
        let extents = (0..count).map(|_| {
            let frame = input.below(FRAMES as usize + 1) as u32;
            let len = 1 + u64::from(input.byte());
            match frame < FRAMES {
                true => (Some(frame), len),
                false => (None, len << (input.byte() % 48)),
            }
        });
        Self {
            extents: extents.collect(),
        }
    }

    fn size(&self) -> u64 {
        self.extents.iter().map(|(_, len)| len).sum()
    }

    /// Bytes and how often they stand there, one after the other.
    fn runs(&self) -> Vec<(u32, u64)> {
        let mut runs: Vec<(u32, u64)> = Vec::new();
        for &(frame, len) in &self.extents {
            // Frame 0 holds zeros.
            let byte = frame.unwrap_or(0);
            match runs.last_mut() {
                Some((last, sum)) if *last == byte => *sum += len,
                _ => runs.push((byte, len)),
            }
        }
        runs
    }

    fn reader(&self) -> Reader {
        let mut parts = ChunkedParts {
            recipes: vec![Recipe::exact(Codec::None)],
            blobs: vec![Blob::new(BlobId::new(b"fuzz").expect("it is a name"))],
            ..ChunkedParts::default()
        };
        parts.frames = (0..FRAMES)
            .map(|index| Frame {
                blob: BlobIndex(0),
                offset: u64::from(index * FRAME_LEN),
                stored_len: FRAME_LEN,
                len: FRAME_LEN,
                recipe: RecipeId(0),
            })
            .collect();
        let mut file_offset = 0;
        for &(frame, len) in &self.extents {
            let chunk = frame.map(|frame| {
                let bytes = vec![frame as u8; len as usize];
                let digest = verify::digest(DigestAlgorithm::Sha256, &bytes);
                parts.chunks.push(Chunk {
                    digest: Some(digest.expect("it is built in")),
                    len: len as u32,
                    crc32c: None,
                    frame: FrameId(frame),
                    offset_in_frame: 0,
                });
                ChunkId::new(parts.chunks.len() as u32 - 1)
            });
            parts.extents.push(ChunkExtent { file_offset, chunk });
            file_offset += len;
        }
        let content = ChunkRange {
            start: 0,
            end: parts.extents.len() as u32,
        };
        let mut tree: Tree<ChunkRange> = Tree::new(Metadata::implied_directory());
        let size = self.size();
        let inode = tree.add(Metadata::default(), Node::File { size, content });
        let name = Name::new(*b"file").expect("it is a name");
        tree.link(Tree::<ChunkRange>::ROOT, name, inode)
            .expect("the root is a directory");
        let image = ChunkedImage::new(tree, parts).expect("it fits together");
        let blob: Bytes = (0..FRAMES * FRAME_LEN)
            .map(|at| (at / FRAME_LEN) as u8)
            .collect::<Vec<_>>()
            .into();
        let options = ReadOptions::default().threads(1);
        Reader::new(Arc::new(image), BlobStore::single(Arc::new(blob)), options)
    }
}
