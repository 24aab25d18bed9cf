//! Blobs whose small files are compressed together, made by nydus.

use std::ops::ControlFlow;

use image_model::{BlobIndex, ExtentSource, FrameId, Image as _};
use lazyoci_image_read::{Follow, NoBlobs, OpenImage, OpenOptions, open_source};
use verify::Profile;

use crate::flips::one_thread;
use crate::support::{Golden, InMemory, golden, lines, verify as found_in};

const A4: &str = "tree1:243222fffe4f6799088d67735d2fc2e64a5ed5f4fbd7e3f6c71c23ac5bb8c1e8";
const ODD: &str = "tree1:378fadebc85cdeec9d3aaf908a899987df9b8af7786a747db53746b0c6b0d3f5";

fn open(golden: &Golden) -> OpenImage {
    let blobs = InMemory(std::sync::Arc::new(golden.blob.clone()));
    let bootstrap = golden.bootstrap.clone().unwrap();
    let bootstrap = std::sync::Arc::new(bootstrap);
    open_source(bootstrap, None, blobs, &OpenOptions::default()).unwrap()
}

#[test]
fn all_of_it_is_read() {
    for (name, tree) in [
        ("a4-v6-zstd-sha256-batch", A4),
        ("a4-v6-none-blake3-batch-toc", A4),
        ("odd-v6-lz4_block-sha256-batch", ODD),
    ] {
        let golden = golden(name);
        let opened = open(&golden);
        let digest = opened.tree_digest(Profile::Default, &mut ()).unwrap();
        assert_eq!(digest.to_string(), tree, "{name}");
        let (found, summary) = golden.verify(&one_thread());
        assert_eq!(lines(&found), [""; 0], "{name}");
        assert_eq!(summary.padding, [], "{name}");
    }
}

/// The frame of a file's first chunk, and where the chunk begins in it.
fn place(opened: &OpenImage, path: &str) -> (FrameId, u32) {
    let ino = opened.resolve(path, Follow::All).unwrap();
    let mut place = None;
    let visit = &mut |extent: image_model::Extent| {
        if let ExtentSource::Chunk {
            frame,
            offset_in_frame,
            ..
        } = extent.source
        {
            place = Some((frame, offset_in_frame));
        }
        ControlFlow::Break(())
    };
    opened.image().extents(ino, 0..1, visit).unwrap();
    place.unwrap()
}

#[test]
fn batches_are_frames_behind_those_of_the_bootstrap() {
    let opened = open(&golden("a4-v6-none-blake3-batch-toc"));
    let rafs = opened.rafs().unwrap();
    // Two records, and a batch.
    assert_eq!(rafs.frame_bound(), 3);
    assert_eq!(place(&opened, "/f"), (FrameId(2), 0));
    assert_eq!(place(&opened, "/z"), (FrameId(2), 5));
    let frame = rafs.frame(FrameId(2)).unwrap();
    assert_eq!(
        (frame.blob, frame.offset, frame.stored_len, frame.len),
        (BlobIndex(0), 0, 10_005, 10_005)
    );
    assert!(rafs.frame(FrameId(0)).is_err() && rafs.frame(FrameId(3)).is_err());
    // Of the other one, only the shorter file is in a batch.
    let opened = open(&golden("a4-v6-zstd-sha256-batch"));
    assert_eq!(place(&opened, "/f"), (FrameId(2), 0));
    assert_eq!(place(&opened, "/z"), (FrameId(1), 0));
    assert_eq!(
        opened.rafs().unwrap().frame(FrameId(1)).unwrap().stored_len,
        19
    );
}

/// The blob may be missing: the tree can be listed.
#[test]
fn names_need_no_blob() {
    let bootstrap = golden("a4-v6-zstd-sha256-batch").bootstrap.unwrap();
    let source = std::sync::Arc::new(bootstrap.clone());
    let opened = open_source(source, None, NoBlobs, &OpenOptions::default()).unwrap();
    assert!(opened.resolve("/d/h", Follow::All).is_ok());
    assert!(opened.read("/f", 5).is_err());
    let (found, _) = found_in(bootstrap, None, NoBlobs, &one_thread());
    let id = golden("a4-v6-zstd-sha256-batch").id;
    assert!(lines(&found).contains(&format!("i/o: blob `{id}` is missing")));
}
