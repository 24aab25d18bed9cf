//! The image of a blob.

use std::ops::ControlFlow;

use erofs_format::ErofsImage;
use image_model::{
    Blame as _, BlobId, BlobIndex, Codec, ExtentSource, Fault, FrameId, Image, Ino, Limits, Name,
    RecipeId, Vouched,
};
use lazyoci_rafs_format::v7::{V7Error, V7Image};

use super::support::{golden, open};

fn image() -> V7Image {
    let id = BlobId::new(b"own").unwrap();
    V7Image::of_blob(open(golden()).unwrap(), Some(&id), &Limits::default()).unwrap()
}

fn lookup(image: &V7Image, name: &[u8]) -> Ino {
    let name = Name::new(name).unwrap();
    image.lookup(image.root(), name.as_ref()).unwrap().unwrap()
}

/// Where the content of `ino` is.
fn sources(image: &V7Image, ino: Ino) -> Vec<(u64, ExtentSource)> {
    let mut found = Vec::new();
    image
        .extents(ino, 0..u64::MAX, &mut |extent| {
            found.push((extent.len, extent.source));
            ControlFlow::Continue(())
        })
        .unwrap();
    found
}

#[test]
fn groups_are_frames() {
    let image = image();
    let groups = image.blob(BlobIndex(1)).unwrap().groups.as_ref().unwrap();
    assert_eq!(image.frame_bound(), groups.group_count());
    for index in 0..groups.group_count() {
        let group = groups.group(index).unwrap();
        let frame = image.frame(FrameId(index)).unwrap();
        assert_eq!(
            (frame.blob, frame.offset),
            (BlobIndex(1), group.stored.start)
        );
        assert_eq!(
            (frame.len, frame.stored_end()),
            (group.len, Some(group.stored.end))
        );
        let recipe = image.recipe(frame.recipe).unwrap();
        assert_eq!(recipe.decode.codec(), group.codec);
        let expected = match group.is_one_chunk() {
            true => Vouched::Nothing,
            false => Vouched::Decoded(group.digest.unwrap()),
        };
        assert_eq!(recipe.vouched, expected);
    }
    let bound = image.frame_bound();
    let error = image.frame(FrameId(bound)).unwrap_err();
    assert_eq!(error.fault(), Fault::Misuse);
    assert_eq!(image.recipe(RecipeId(bound)), None);
}

#[test]
fn files_are_chunks() {
    let image = image();
    assert_eq!(image.blobs()[1].id.as_str(), "own");
    assert_eq!(image.opened_blob(), Some(BlobIndex(1)));
    // A chunk that is a group by itself has the digest of that, and is one that does not shrink.
    let noise = sources(&image, lookup(&image, b"noise"));
    assert_eq!(noise.len(), 2);
    let (
        8192,
        ExtentSource::Chunk {
            frame,
            digest,
            crc32c,
            ..
        },
    ) = noise[0]
    else {
        panic!("{noise:?}");
    };
    assert!(digest.is_some() && crc32c.is_some());
    let recipe = image.recipe(image.frame(frame).unwrap().recipe).unwrap();
    assert_eq!(recipe.decode.codec(), Codec::None);
    let (
        808,
        ExtentSource::Chunk {
            digest: None,
            crc32c: None,
            ..
        },
    ) = noise[1]
    else {
        panic!("{noise:?}");
    };
    let zeros = sources(&image, lookup(&image, b"zeros"));
    let expected = [(8192, ExtentSource::Zeros), (1808, ExtentSource::Zeros)];
    assert_eq!(zeros, expected);
}

/// A bootstrap over a blob that has other chunks.
#[test]
fn content_that_is_no_chunk() {
    let mut opened = open(golden()).unwrap();
    let bootstrap = opened.bootstrap.take().unwrap();
    let mut moved = bootstrap.to_vec();
    let image = image();
    let inode = image.erofs().inode(lookup(&image, b"noise")).unwrap();
    // The first block of its first chunk.
    let at = inode.chunk_addresses() as usize + 4;
    let first = u32::from_le_bytes(*moved[at..].first_chunk().unwrap());
    moved[at..at + 4].copy_from_slice(&(first + 1).to_le_bytes());
    let erofs = ErofsImage::open(bytes::Bytes::from(moved), &Limits::default()).unwrap();
    let image = V7Image::new(erofs);
    assert!(V7Image::is_one(image.erofs()));
    let image = image.with_blob(BlobIndex(1), opened.into()).unwrap();
    let ino = lookup(&image, b"noise");
    let error = image.extents(ino, 0..1, &mut |_| ControlFlow::Continue(()));
    let expected = V7Error::NoChunk {
        blob: BlobIndex(1),
        address: u64::from(first + 1) * 4096,
        len: 8192,
    };
    let source = std::error::Error::source(&error.unwrap_err())
        .unwrap()
        .to_string();
    assert_eq!(source, expected.to_string());
}

#[test]
fn blobs_that_do_not_belong() {
    let image = image();
    let blob = image.blob(BlobIndex(1)).unwrap().clone();
    let error = image.with_blob(BlobIndex(2), blob).unwrap_err();
    let (index, count) = (BlobIndex(2), 2);
    assert_eq!(error, V7Error::NoSuchBlob { index, count });
    let mut opened = open(golden()).unwrap();
    opened.bootstrap = None;
    let error = V7Image::of_blob(opened, None, &Limits::default()).unwrap_err();
    assert_eq!(error, V7Error::NoBootstrap);
}
