//! Differences of two images, and what to fetch.
#![allow(clippy::unwrap_used, reason = "test support")]

mod changes;
mod content;

use std::error::Error as _;

use crate::common::{Liar, Moved, name, path};
use lazyoci_image_model::diff::{
    Change, DiffError, DiffObserver, DiffSummary, Difference, Reason, Side, Transfer, diff,
    transfer, transfer_by_blob,
};
use lazyoci_image_model::image::{ChunkExtent, ChunkRange, ChunkedParts, NoSuchEntry};
use lazyoci_image_model::metadata::Xattr;
use lazyoci_image_model::{
    Attributes, Blame, Blob, BlobId, BlobIndex, Chunk, ChunkId, ChunkedImage, Codec, Device,
    Digest, DigestAlgorithm, ExtentSource, Fault, Frame, FrameId, Image, Ino, InodeId, Limits,
    Metadata, Node, Recipe, RecipeId, Timestamp, Tree, Xattrs,
};
use proptest::prelude::*;

/// A piece of a file, by which it is compared: zeros, or a chunk with such a digest.
#[derive(Debug, Clone, Copy)]
enum Piece {
    Zeros(u32),
    Sha256(u8, u32),
    Blake3(u8, u32),
    NoDigest(u8, u32),
}

/// An image to which files are added.
struct Builder {
    tree: Tree<ChunkRange>,
    lists: ChunkedParts,
    blob: &'static str,
}

impl Builder {
    fn new() -> Self {
        Self {
            tree: Tree::new(Metadata::default()),
            lists: ChunkedParts {
                recipes: vec![Recipe::exact(Codec::Zstd)],
                ..ChunkedParts::default()
            },
            blob: "blob",
        }
    }

    fn node(mut self, at: &str, metadata: Metadata, node: Node<ChunkRange>) -> Self {
        let inode = self.tree.add(metadata, node);
        self.put(at, inode);
        self
    }

    fn put(&mut self, at: &str, inode: InodeId) {
        let (directory, last) = at.rsplit_once('/').unwrap_or(("", at));
        let directory = self.tree.resolve(directory.as_bytes()).unwrap();
        self.tree.link(directory, name(last), inode).unwrap();
    }

    fn link(mut self, at: &str, target: &str) -> Self {
        let inode = self.tree.resolve(target.as_bytes()).unwrap();
        self.put(at, inode);
        self
    }

    fn directory(self, at: &str) -> Self {
        self.node(at, Metadata::default(), Node::empty_directory())
    }

    fn file(mut self, at: &str, pieces: &[Piece]) -> Self {
        let start = self.lists.extents.len() as u32;
        let mut size = 0;
        for &piece in pieces {
            let (number, len, digest) = match piece {
                Piece::Zeros(len) => (0, len, None),
                Piece::Sha256(n, len) => (n, len, Some(DigestAlgorithm::Sha256)),
                Piece::Blake3(n, len) => (n, len, Some(DigestAlgorithm::Blake3)),
                Piece::NoDigest(n, len) => (n, len, None),
            };
            let chunk = (!matches!(piece, Piece::Zeros(_))).then(|| {
                let index = self.lists.chunks.len() as u32;
                self.lists.chunks.push(Chunk {
                    digest: digest.map(|algorithm| Digest::new(algorithm, [number; 32])),
                    len,
                    crc32c: None,
                    frame: FrameId(index),
                    offset_in_frame: 0,
                });
                self.lists.frames.push(Frame {
                    blob: BlobIndex(0),
                    offset: number.into(),
                    stored_len: len / 2,
                    len,
                    recipe: RecipeId(0),
                });
                ChunkId::new(index)
            });
            self.lists.extents.push(ChunkExtent {
                file_offset: size,
                chunk,
            });
            size += u64::from(len);
        }
        let end = self.lists.extents.len() as u32;
        let content = ChunkRange { start, end };
        self.node(at, Metadata::default(), Node::File { size, content })
    }

    fn image(mut self) -> ChunkedImage {
        let id = BlobId::new(self.blob.as_bytes()).unwrap();
        self.lists.blobs.push(Blob::new(id));
        ChunkedImage::new(self.tree, self.lists).unwrap()
    }

    /// The same image, whose chunks lie plain in its blob.
    fn plain(self) -> Moved {
        let image = self.image();
        let frames = image.frames.clone();
        Moved::new(image, move |source| match source {
            ExtentSource::Chunk { frame, .. } => {
                let Frame { blob, offset, .. } = frames[frame.0 as usize];
                ExtentSource::Plain { blob, offset }
            }
            other => other,
        })
    }
}

/// Writes differences down; answers every question with `same`.
#[derive(Default)]
struct Notes {
    lines: Vec<String>,
    questions: usize,
    same: bool,
    /// Of each path that is through: bytes of it in either image.
    through: Vec<(Option<u64>, Option<u64>)>,
}

impl DiffObserver for Notes {
    type Error = DiffError;

    fn difference(&mut self, difference: Difference<'_>) -> Result<(), DiffError> {
        let sign = match difference.change {
            Change::Added(_) => "+".into(),
            Change::Removed(_) => "-".into(),
            Change::Changed { reasons, .. } => {
                let names: Vec<_> = reasons.iter().map(Reason::to_string).collect();
                names.join(",")
            }
        };
        self.lines.push(format!("{} {sign}", difference.path));
        Ok(())
    }

    fn same_content(&mut self, _: Ino, _: Ino) -> Result<bool, DiffError> {
        self.questions += 1;
        Ok(self.same)
    }

    fn compared(
        &mut self,
        left: Option<&Attributes>,
        right: Option<&Attributes>,
    ) -> Result<(), DiffError> {
        let size = |attributes: Option<&Attributes>| attributes.map(|found| found.size);
        self.through.push((size(left), size(right)));
        Ok(())
    }
}

fn lines(left: Builder, right: Builder) -> Vec<String> {
    let mut notes = Notes::default();
    diff(
        &left.image(),
        &right.image(),
        &Limits::default(),
        &mut notes,
    )
    .unwrap();
    assert_eq!(notes.questions, 0);
    notes.lines
}
