//! Images over plain sources.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use bytes::Bytes;
use image_model::tree::{Span, Spans};
use image_model::{
    BlobId, BlobIndex, Device, Extent, ExtentSource, FileKind, Image, Ino, Metadata, Name, Node,
    Tree,
};
use lazyoci_image_read::{FileExtents, Follow, LayerImage, TreeImage, resolve};
use proptest::prelude::*;

use crate::support::tar;

/// An image of one file, inode 1.
fn one_file(size: u64, content: Spans) -> TreeImage {
    let mut tree = Tree::new(Metadata::default());
    let file = tree.add(Metadata::default(), Node::File { size, content });
    tree.link(Tree::<Spans>::ROOT, Name::new(*b"f").unwrap(), file)
        .unwrap();
    TreeImage::new(tree, BlobId::new(b"source").unwrap(), u64::MAX)
}

fn extents(image: &TreeImage, range: Range<u64>) -> Vec<Extent> {
    let mut list = Vec::new();
    image
        .extents(Ino(1), range, &mut |extent| {
            list.push(extent);
            ControlFlow::Continue(())
        })
        .unwrap();
    list
}

/// Runs of hole and data, as spans and size of a file; data lies 1,000 bytes apart in the source.
fn sparse(runs: &[(u64, u64)]) -> (u64, Spans) {
    let (mut at, mut source) = (0, 0);
    let mut spans = Vec::new();
    for &(hole, data) in runs {
        at += hole;
        spans.push(Span {
            file_offset: at,
            source_offset: source,
            len: data,
        });
        at += data;
        source += data + 1_000;
    }
    (at, Spans::sparse(spans).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn extents_cover_files_and_ranges_see_the_same(
        runs in prop::collection::vec((0u64..3_000_000, 0u64..3_000_000), 0..6),
        tail in 0u64..2_000_000,
        start in 0u64..20_000_000,
        len in 0u64..5_000_000,
    ) {
        let (end, spans) = sparse(&runs);
        let size = end + tail;
        let image = one_file(size, spans.clone());
        let all = extents(&image, 0..u64::MAX);
        let mut at = 0;
        for extent in &all {
            prop_assert_eq!(extent.file_offset, at);
            prop_assert!(extent.len > 0);
            at += extent.len;
            let inside = spans.as_slice().iter().find(|s| {
                s.file_offset <= extent.file_offset && at <= s.file_offset + s.len
            });
            match (extent.source, inside) {
                (ExtentSource::Zeros, None) => {}
                (ExtentSource::Plain { blob: BlobIndex(0), offset }, Some(span)) => {
                    prop_assert_eq!((extent.file_offset, extent.len), (span.file_offset, span.len));
                    prop_assert_eq!(offset, span.source_offset);
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert_eq!(at, size);
        let range = start..start + len;
        let touched = |e: &&Extent| {
            e.file_offset < range.end && range.start < e.file_offset + e.len && !range.is_empty()
        };
        let expected: Vec<_> = all.iter().filter(touched).copied().collect();
        prop_assert_eq!(extents(&image, range.clone()), expected);
    }
}

#[test]
fn a_place_is_contiguous_if_nothing_lies_between() {
    let spans = |spans: &[(u64, u64, u64)]| {
        let spans = spans.iter().map(|&(file_offset, source_offset, len)| Span {
            file_offset,
            source_offset,
            len,
        });
        Spans::sparse(spans).unwrap()
    };
    let place = |size, content, range| {
        let image = one_file(size, content);
        let extents = FileExtents::new(&image, Ino(1), range, 0).unwrap();
        extents.into_contiguous().unwrap()
    };
    let at = |range| Some((BlobIndex(0), range));
    let whole = spans(&[(0, 512, 30)]);
    assert_eq!(place(30, whole.clone(), 0..u64::MAX), at(512..542));
    assert_eq!(place(30, whole.clone(), 10..12), at(522..524));
    assert_eq!(place(30, whole.clone(), 7..7), None, "no bytes are nowhere");
    assert_eq!(place(31, whole, 0..31), None, "a hole at its end");
    let next_to_each_other = spans(&[(0, 512, 10), (10, 522, 20)]);
    assert_eq!(place(30, next_to_each_other, 0..30), at(512..542));
    let apart = spans(&[(0, 512, 10), (10, 1024, 20)]);
    assert_eq!(place(30, apart.clone(), 0..30), None);
    assert_eq!(place(30, apart, 10..30), at(1024..1044));
    let beyond = spans(&[(0, u64::MAX - 5, 5)]);
    assert_eq!(place(5, beyond, 0..5), at(u64::MAX - 5..u64::MAX));
}

#[test]
fn every_kind_of_member_is_in_the_image() {
    let device = Device {
        major: 8,
        minor: 0x12345,
    };
    let mut members = tar::Builder::new();
    members.node("char", &Node::CharDevice(device));
    members.node("block", &Node::BlockDevice(device));
    members.node("fifo", &Node::Fifo);
    members.file("a/implied/f", b"1");
    members.link("link", "a/implied/f");
    let tar: Bytes = members.finish().into();
    let image = LayerImage::open(Arc::new(tar), &Default::default())
        .unwrap()
        .image;
    let attributes = |path: &str| {
        let ino = resolve(&image, path.as_bytes(), Follow::Never).unwrap();
        image.attributes(ino).unwrap()
    };
    assert_eq!(
        (attributes("char").kind, attributes("char").device),
        (FileKind::CharDevice, device)
    );
    assert_eq!(attributes("block").kind, FileKind::BlockDevice);
    assert_eq!(attributes("fifo").kind, FileKind::Fifo);
    assert_eq!((attributes("link").links, attributes("link").size), (2, 1));
    let implied = attributes("a/implied");
    assert_eq!(
        (implied.mode, implied.mtime.seconds, implied.links),
        (0o755, 0, 2)
    );
}
