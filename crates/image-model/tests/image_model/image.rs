//! Owned images: what is refused, and what extents of a range are.
#![allow(clippy::unwrap_used, reason = "test support")]

use std::error::Error as _;
use std::ops::ControlFlow;

use crate::common::name;
use lazyoci_image_model::image::{BrokenImage, ChunkExtent, ChunkRange, ChunkedParts, NoSuchEntry};
use lazyoci_image_model::tree::BrokenTree;
use lazyoci_image_model::{
    Blame, Blob, BlobId, BlobIndex, Chunk, ChunkId, ChunkedImage, Codec, ExtentSource, Fault,
    Frame, FrameId, Image, Ino, InodeId, Metadata, Node, Recipe, RecipeId, Tree,
};

/// The parts of an image with one file of 10 bytes: a chunk, zeros, a chunk. Both chunks lie in one
/// frame.
struct Parts {
    tree: Tree<ChunkRange>,
    lists: ChunkedParts,
}

const FILE: InodeId = InodeId::new(1);

impl Parts {
    fn new() -> Self {
        let mut tree = Tree::new(Metadata::default());
        let content = ChunkRange { start: 0, end: 3 };
        let file = tree.add(Metadata::default(), Node::File { size: 10, content });
        tree.link(InodeId::ROOT, name("file"), file).unwrap();
        assert_eq!(file, FILE);
        let extent = |file_offset, chunk: Option<u32>| ChunkExtent {
            file_offset,
            chunk: chunk.map(ChunkId::new),
        };
        let chunk = |len, offset_in_frame| Chunk {
            digest: None,
            len,
            crc32c: None,
            frame: FrameId(0),
            offset_in_frame,
        };
        let lists = ChunkedParts {
            extents: vec![extent(0, Some(0)), extent(4, None), extent(7, Some(1))],
            chunks: vec![chunk(4, 0), chunk(3, 4)],
            frames: vec![Frame {
                blob: BlobIndex(0),
                offset: 0,
                stored_len: 7,
                len: 7,
                recipe: RecipeId(1),
            }],
            recipes: vec![Recipe::prefix(Codec::Gzip), Recipe::exact(Codec::None)],
            blobs: vec![Blob::new(BlobId::new(b"blob").unwrap())],
        };
        Self { tree, lists }
    }

    fn image(self) -> Result<ChunkedImage, BrokenImage> {
        ChunkedImage::new(self.tree, self.lists)
    }
}

#[track_caller]
fn refuses(change: impl FnOnce(&mut Parts), expected: BrokenImage) {
    let mut parts = Parts::new();
    change(&mut parts);
    assert_eq!(parts.image(), Err(expected));
    assert_eq!(expected.fault(), Fault::Misuse);
}

#[test]
fn references_that_lead_nowhere() {
    let dangling = |what, index, len| BrokenImage::Dangling { what, index, len };
    refuses(|p| p.lists.blobs.clear(), dangling("blob", 0, 0));
    refuses(|p| p.lists.frames[0].blob = BlobIndex(u32::MAX), {
        dangling("blob", 0xffff_ffff, 1)
    });
    refuses(|p| p.lists.recipes.clear(), dangling("recipe", 1, 0));
    refuses(
        |p| p.lists.frames[0].recipe = RecipeId(2),
        dangling("recipe", 2, 2),
    );
    refuses(
        |p| p.lists.chunks[1].frame = FrameId(1),
        dangling("frame", 1, 1),
    );
    refuses(
        |p| p.lists.extents[2].chunk = Some(ChunkId::new(2)),
        dangling("chunk", 2, 2),
    );
    let extents = BrokenImage::Extents {
        inode: FILE,
        size: 10,
    };
    refuses(|p| p.lists.extents.truncate(2), extents);
}

#[test]
fn extents_that_do_not_cover_the_file() {
    let broken = |size| BrokenImage::Extents { inode: FILE, size };
    let cut = |range: ChunkRange, size: u64| {
        move |p: &mut Parts| {
            p.tree.inode_mut(FILE).node = Node::File {
                size,
                content: range,
            };
        }
    };
    refuses(cut(ChunkRange { start: 1, end: 3 }, 10), broken(10));
    refuses(cut(ChunkRange { start: 3, end: 1 }, 10), broken(10));
    refuses(cut(ChunkRange { start: 0, end: 0 }, 10), broken(10));
    // An extent is not empty.
    refuses(cut(ChunkRange { start: 0, end: 3 }, 7), broken(7));
    refuses(|p| p.lists.extents[1].file_offset = 0, broken(10));
    let length = BrokenImage::ChunkLength {
        inode: FILE,
        file_offset: 7,
        chunk_len: 3,
        extent_len: 4,
    };
    refuses(cut(ChunkRange { start: 0, end: 3 }, 11), length);
}

#[test]
fn chunks_lie_in_their_frames() {
    let outside = |end| BrokenImage::ChunkOutsideFrame {
        chunk: 1,
        end,
        frame_len: 7,
    };
    refuses(|p| p.lists.chunks[1].offset_in_frame = 5, outside(8));
    refuses(
        |p| p.lists.chunks[1].offset_in_frame = u32::MAX,
        outside(0x1_0000_0002),
    );
}

#[test]
fn names_that_are_no_tree() {
    let inode = InodeId::ROOT;
    refuses(
        |p| assert_eq!(p.tree.link(inode, name("loop"), inode), Ok(None)),
        BrokenTree::SharedDirectory { inode }.into(),
    );
    let inode = InodeId::new(9);
    refuses(
        |p| assert_eq!(p.tree.link(InodeId::ROOT, name("x"), inode), Ok(None)),
        BrokenTree::Dangling { inode, len: 2 }.into(),
    );
}

#[test]
fn extents_of_a_range() {
    let image = Parts::new().image().unwrap();
    let within = |range| {
        let mut found = Vec::new();
        let result = image.extents(Ino(1), range, &mut |extent| {
            let offset = match extent.source {
                ExtentSource::Chunk {
                    frame: FrameId(0),
                    offset_in_frame,
                    digest: None,
                    crc32c: None,
                } => Some(offset_in_frame),
                ExtentSource::Zeros => None,
                source => panic!("{source:?}"),
            };
            found.push((extent.file_offset, extent.len, offset));
            ControlFlow::Continue(())
        });
        result.map(|()| found).unwrap()
    };
    let all = [(0, 4, Some(0)), (4, 3, None), (7, 3, Some(4))];
    assert_eq!(within(0..u64::MAX), all);
    assert_eq!(within(3..5), all[..2]);
    assert_eq!(within(4..7), all[1..2]);
    assert_eq!(within(9..10), all[2..]);
    assert_eq!(within(10..11), []);
    // Nothing touches an empty range.
    assert_eq!(within(5..5), []);
    assert!(
        image
            .extents(Ino(0), 0..1, &mut |_| ControlFlow::Continue(()))
            .is_err()
    );
}

#[test]
fn frames_and_recipes_by_number() {
    let image = Parts::new().image().unwrap();
    let frame = image.frame(FrameId(0)).unwrap();
    assert_eq!(frame, image.frames[0]);
    assert_eq!(frame.stored_end(), Some(7));
    let recipe = image.recipe(frame.recipe);
    assert_eq!(recipe, Some(Recipe::exact(Codec::None)));
    assert_eq!(image.recipe(RecipeId(2)), None);
    for index in [1, u32::MAX] {
        let error = image.frame(FrameId(index)).unwrap_err();
        assert_eq!(error.fault(), Fault::Misuse);
        let what = "frame";
        let none = NoSuchEntry {
            what,
            index,
            count: 1,
        };
        assert_eq!(error.source().unwrap().downcast_ref(), Some(&none));
    }
}
