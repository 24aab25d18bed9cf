//! Differences of two images, and what to fetch.
#![allow(clippy::unwrap_used, reason = "test support")]

use std::error::Error as _;

use crate::common::{Liar, Moved, name, path};
use lazyoci_image_model::diff::{
    Change, DiffError, DiffObserver, DiffSummary, Difference, Reason, Side, Transfer, diff,
    transfer,
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

#[test]
fn added_and_removed_paths_in_walk_order() {
    let left = Builder::new()
        .directory("a")
        .file("a/x", &[])
        .file("a-b", &[])
        .directory("d")
        .file("d/y", &[]);
    let right = Builder::new()
        .directory("a")
        .directory("a/w")
        .file("a/w/z", &[])
        .file("d", &[]);
    let (left, right) = (left.image(), right.image());
    let mut notes = Notes::default();
    let summary = diff(&left, &right, &Limits::default(), &mut notes).unwrap();
    assert_eq!(
        notes.lines,
        [
            "/a/w +", "/a/w/z +", "/a/x -", "/a-b -", "/d kind", "/d/y -"
        ]
    );
    let expected = DiffSummary {
        added: 2,
        removed: 3,
        changed: 1,
        same: 2,
    };
    assert_eq!(summary, expected);
}

#[test]
fn every_path_is_through_once() {
    let left = Builder::new().file("a", &[Piece::Zeros(5)]).file("b", &[]);
    let right = Builder::new()
        .file("a", &[Piece::Zeros(7)])
        .file("c", &[Piece::Zeros(9)]);
    let mut notes = Notes::default();
    diff(
        &left.image(),
        &right.image(),
        &Limits::default(),
        &mut notes,
    )
    .unwrap();
    let (root, a) = ((Some(0), Some(0)), (Some(5), Some(7)));
    let (b, c) = ((Some(0), None), (None, Some(9)));
    assert_eq!(notes.through, [root, a, b, c]);
}

#[test]
fn every_reason_is_told() {
    let xattrs = |value: &[u8]| {
        Xattrs::new([Xattr {
            name: (*b"user.a").into(),
            value: value.into(),
        }])
        .unwrap()
    };
    let with = |metadata| Builder::new().node("p", metadata, Node::Fifo);
    let plain = Metadata::default;
    let device = |minor| {
        let node = Node::BlockDevice(Device { major: 8, minor });
        Builder::new().node("p", plain(), node)
    };
    let link = |target: &[u8], mode| {
        let metadata = Metadata { mode, ..plain() };
        Builder::new().node("p", metadata, Node::Symlink(target.into()))
    };
    let file = |pieces: &[Piece]| Builder::new().file("p", pieces);
    let cases = [
        (with(Metadata { mode: 1, ..plain() }), with(plain()), "mode"),
        (with(Metadata { uid: 1, ..plain() }), with(plain()), "uid"),
        (with(Metadata { gid: 1, ..plain() }), with(plain()), "gid"),
        (
            with(Metadata {
                mtime: Timestamp::from_seconds(1),
                ..plain()
            }),
            with(plain()),
            "mtime",
        ),
        (
            with(Metadata {
                xattrs: xattrs(b"1"),
                uid: 4,
                ..plain()
            }),
            with(Metadata {
                xattrs: xattrs(b"2"),
                ..plain()
            }),
            "uid,xattrs",
        ),
        (device(1), device(2), "device"),
        (link(b"a", 0o777), link(b"b", 0o700), "target"),
        (file(&[Piece::Zeros(1)]), file(&[Piece::Zeros(2)]), "size"),
        (
            file(&[Piece::Sha256(1, 4)]),
            file(&[Piece::Sha256(2, 4)]),
            "content",
        ),
        (
            file(&[]),
            with(Metadata { mode: 1, ..plain() }),
            "kind,mode",
        ),
    ];
    for (left, right, expected) in cases {
        assert_eq!(lines(left, right), [format!("/p {expected}")]);
    }
}

#[test]
fn what_the_tree_digest_leaves_out_is_no_difference() {
    let link = |mode| {
        let metadata = Metadata {
            mode,
            mtime: Timestamp {
                seconds: 1,
                nanoseconds: mode.into(),
            },
            ..Metadata::default()
        };
        let mut builder = Builder::new().node("l", metadata, Node::Symlink((*b"t").into()));
        let root = builder.tree.inode_mut(InodeId::ROOT);
        root.metadata.mtime = Timestamp::from_seconds(mode.into());
        builder
    };
    assert!(lines(link(1), link(2)).is_empty());
}

#[test]
fn hard_links_are_compared_by_their_groups() {
    let files = || Builder::new().file("a", &[]).file("b", &[]).file("c", &[]);
    let left = Builder::new().file("a", &[]).link("b", "a").file("c", &[]);
    assert_eq!(lines(files(), left), ["/a links", "/b links"]);
    let left = Builder::new().file("a", &[]).link("b", "a").file("c", &[]);
    let right = Builder::new().file("a", &[]).file("b", &[]).link("c", "a");
    assert_eq!(lines(left, right), ["/b links", "/c links"]);
}

#[test]
fn content_is_compared_by_chunks_or_by_asking() {
    use Piece::{Blake3, NoDigest, Sha256, Zeros};
    // Pieces of both sides, whether the observer is asked, what is found if it says "the same".
    let cases: [(&[Piece], &[Piece], usize, bool); 10] = [
        (
            &[Sha256(1, 4), Zeros(4)],
            &[Sha256(1, 4), Zeros(4)],
            0,
            true,
        ),
        (
            &[Sha256(1, 4), Zeros(4)],
            &[Sha256(2, 4), Zeros(4)],
            0,
            false,
        ),
        // Cut differently.
        (&[Sha256(1, 8)], &[Sha256(1, 4), Sha256(1, 4)], 1, true),
        (&[Sha256(1, 4), Sha256(1, 4)], &[Sha256(1, 8)], 1, true),
        (
            &[Sha256(1, 4), Zeros(4)],
            &[Sha256(1, 4), Zeros(2), Zeros(2)],
            1,
            true,
        ),
        // Other digests, or none.
        (&[Sha256(1, 4)], &[Blake3(1, 4)], 1, true),
        (&[Sha256(1, 4)], &[NoDigest(1, 4)], 1, true),
        (&[Sha256(1, 4)], &[Zeros(4)], 1, true),
        // A chunk that differs for certain spares the question.
        (
            &[NoDigest(1, 4), Sha256(1, 4)],
            &[NoDigest(1, 4), Sha256(2, 4)],
            0,
            false,
        ),
        (&[Zeros(4)], &[Zeros(2), Zeros(2)], 1, true),
    ];
    for (left, right, questions, same) in cases {
        let image = |pieces| Builder::new().file("f", pieces).link("g", "f").image();
        let mut notes = Notes {
            same: true,
            ..Notes::default()
        };
        diff(&image(left), &image(right), &Limits::default(), &mut notes).unwrap();
        // Of a hard-linked file it is asked once.
        assert_eq!(notes.questions, questions, "{left:?} {right:?}");
        let expected: &[&str] = if same {
            &[]
        } else {
            &["/f content", "/g content"]
        };
        assert_eq!(notes.lines, expected, "{left:?} {right:?}");
    }
}

#[test]
fn transfers_are_counted_by_distinct_chunks() {
    use Piece::{Blake3, NoDigest, Sha256, Zeros};
    let have = || {
        Builder::new()
            .file("a", &[Sha256(1, 10), Sha256(2, 10), Zeros(10)])
            .file("b", &[NoDigest(3, 10)])
    };
    let want = || {
        Builder::new()
            .file(
                "x",
                &[Sha256(2, 10), Sha256(4, 20), Sha256(4, 20), Zeros(5)],
            )
            .file("y", &[NoDigest(3, 10), Blake3(1, 30), Sha256(2, 10)])
            .link("z", "y")
    };
    let limits = Limits::default();
    let mut expected = Transfer {
        shared_chunks: 2,
        shared_len: 20,
        fetch_chunks: 2,
        fetch_len: 50,
        fetch_stored_len: 25,
    };
    assert_eq!(
        transfer(&have().image(), &want().image(), &limits).unwrap(),
        expected
    );
    // Places count within one blob only.
    let mut other = want();
    other.blob = "other";
    expected.shared_chunks = 1;
    expected.shared_len = 10;
    expected.fetch_chunks = 3;
    expected.fetch_len = 60;
    expected.fetch_stored_len = 30;
    assert_eq!(
        transfer(&have().image(), &other.image(), &limits).unwrap(),
        expected
    );
}

#[test]
fn bytes_that_lie_plain_are_compared_by_asking() {
    use Piece::{NoDigest, Zeros};
    let pieces = [NoDigest(1, 4), Zeros(4)];
    let file = || Builder::new().file("f", &pieces);
    let limits = Limits::default();
    let images: [(&dyn Image, &dyn Image); 2] = [
        (&file().plain(), &file().plain()),
        (&file().plain(), &file().image()),
    ];
    for (left, right) in images {
        for (same, expected) in [(true, vec![]), (false, vec!["/f content"])] {
            let mut notes = Notes {
                same,
                ..Notes::default()
            };
            diff(left, right, &limits, &mut notes).unwrap();
            assert_eq!(notes.questions, 1);
            assert_eq!(notes.lines, expected);
        }
    }
}

#[test]
fn bytes_that_lie_plain_are_fetched_as_they_are() {
    use Piece::{NoDigest, Zeros};
    let have = || Builder::new().file("a", &[NoDigest(3, 10), Zeros(10)]);
    let want = || {
        Builder::new()
            .file("x", &[NoDigest(3, 10), Zeros(5), NoDigest(50, 20)])
            .file("y", &[NoDigest(50, 20)])
            // The same place, but more of it.
            .file("z", &[NoDigest(3, 30)])
    };
    let limits = Limits::default();
    let mut expected = Transfer {
        shared_chunks: 1,
        shared_len: 10,
        fetch_chunks: 2,
        fetch_len: 50,
        fetch_stored_len: 50,
    };
    let found = transfer(&have().plain(), &want().plain(), &limits).unwrap();
    assert_eq!(found, expected);
    let mut other = want();
    other.blob = "other";
    expected.shared_chunks = 0;
    expected.shared_len = 0;
    expected.fetch_chunks = 3;
    expected.fetch_len = 60;
    expected.fetch_stored_len = 60;
    let found = transfer(&have().plain(), &other.plain(), &limits).unwrap();
    assert_eq!(found, expected);
}

#[test]
fn frames_that_are_not_there_are_named() {
    let image = Builder::new()
        .file("a", &[Piece::Zeros(4)])
        .file("f", &[Piece::Sha256(1, 4)])
        .image();
    let broken = Moved::new(image.clone(), |source| match source {
        ExtentSource::Chunk {
            offset_in_frame,
            digest,
            crc32c,
            ..
        } => ExtentSource::Chunk {
            frame: FrameId(7),
            offset_in_frame,
            digest,
            crc32c,
        },
        other => other,
    });
    let error = transfer(&image, &broken, &Limits::default()).unwrap_err();
    assert_eq!(error.fault(), Fault::Misuse);
    let DiffError::Image {
        side: Side::Right,
        path: at,
        source,
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(at, path("f"));
    let none = NoSuchEntry {
        what: "frame",
        index: 7,
        count: 1,
    };
    assert_eq!(source.source().unwrap().downcast_ref(), Some(&none));
}

#[test]
fn damaged_images_are_named() {
    let sound = Builder::new().image();
    let twice = Liar::new(&[(0, &[("a", 1), ("b", 1)]), (1, &[])]);
    let limits = Limits::default();
    let error = diff(&sound, &twice, &limits, &mut Notes::default()).unwrap_err();
    assert_eq!(error.fault(), Fault::Corrupt);
    let DiffError::Walk {
        side: Side::Right,
        source,
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(source.path(), &path("b"));
    assert_eq!(
        transfer(&twice, &sound, &limits).unwrap_err().to_string(),
        { "the first image cannot be walked" }
    );
}

#[test]
fn extents_are_bounded() {
    let image = Builder::new()
        .file("a", &[Piece::Zeros(1), Piece::Zeros(1)])
        .file("b", &[Piece::Zeros(1)])
        .image();
    let limits = Limits {
        max_chunks: 2,
        ..Limits::default()
    };
    let error = diff(&image, &image, &limits, &mut Notes::default()).unwrap_err();
    assert_eq!(error.fault(), Fault::Limit);
    let text = "/b: more than 2 extents in the first image";
    assert_eq!(error.to_string(), text);
    let error = transfer(&image, &image, &limits).unwrap_err();
    assert_eq!(error.to_string(), text);
}

/// Files and directories by path, with a number that stands for all attributes.
fn trees() -> impl Strategy<Value = std::collections::BTreeMap<String, u32>> {
    let name = prop::sample::select(vec!["a", "a-", "b"]);
    let paths = prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"));
    prop::collection::btree_map(paths, 0u32..3, 0..8)
}

/// Directories where something lies below, FIFOs elsewhere.
fn build(
    tree: &std::collections::BTreeMap<String, u32>,
) -> (ChunkedImage, Vec<(String, bool, u32)>) {
    let mut all = std::collections::BTreeMap::new();
    for (path, &number) in tree {
        for (at, _) in path.match_indices('/') {
            all.entry(path[..at].to_string()).or_insert((true, 0)).0 = true;
        }
        all.entry(path.clone()).or_insert((false, 0)).1 = number;
    }
    let mut builder = Builder::new();
    let mut sorted: Vec<_> = all.into_iter().collect();
    sorted.sort_by_key(|(path, _)| path.split('/').map(String::from).collect::<Vec<_>>());
    for (path, (is_directory, uid)) in &sorted {
        let metadata = Metadata {
            uid: *uid,
            ..Metadata::default()
        };
        let node = if *is_directory {
            Node::empty_directory()
        } else {
            Node::Fifo
        };
        builder = builder.node(path, metadata, node);
    }
    let listing = sorted.into_iter().map(|(p, (d, n))| (p, d, n)).collect();
    (builder.image(), listing)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_naive_comparison_agrees(left in trees(), right in trees()) {
        let ((left, left_list), (right, right_list)) = (build(&left), build(&right));
        let mut expected = Vec::new();
        for (path, is_directory, uid) in &left_list {
            match right_list.iter().find(|(p, ..)| p == path) {
                None => expected.push((path, "-".to_string())),
                Some((_, right_directory, right_uid)) => {
                    let mut reasons = vec![];
                    if is_directory != right_directory {
                        reasons.push("kind");
                    }
                    if uid != right_uid {
                        reasons.push("uid");
                    }
                    if !reasons.is_empty() {
                        expected.push((path, reasons.join(",")));
                    }
                }
            }
        }
        for (path, ..) in &right_list {
            if !left_list.iter().any(|(p, ..)| p == path) {
                expected.push((path, "+".to_string()));
            }
        }
        expected.sort_by_key(|(path, _)| path.split('/').collect::<Vec<_>>());
        let expected: Vec<_> = expected.iter().map(|(p, sign)| format!("/{p} {sign}")).collect();
        let mut notes = Notes::default();
        diff(&left, &right, &Limits::default(), &mut notes).unwrap();
        prop_assert_eq!(notes.lines, expected);
        let mut notes = Notes::default();
        diff(&left, &left, &Limits::default(), &mut notes).unwrap();
        prop_assert!(notes.lines.is_empty());
    }
}
