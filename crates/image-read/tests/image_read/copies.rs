//! What is copied, and what keeps what in memory.

use std::sync::Arc;

use bytes::Bytes;
use frame_codec::Compression;
use image_model::{BlobIndex, Extent, ExtentSource, Ino};
use lazyoci_image_read::{
    BlobStore, FileOrder, FrameStore, PieceBytes, ReadError, ReadOptions, ReadStep, Reader,
    SharedImage,
};
use verify::ExtentBytes;

use crate::plan::plan_of;
use crate::support::fixtures::eight;
use crate::support::made::Made;
use crate::support::{Builder, Piece, Vouch, text};

/// Whether the bytes of a piece lie in `memory`.
fn lies_in(bytes: ExtentBytes<'_>, memory: &Bytes) -> bool {
    let ExtentBytes::Data(data) = bytes else {
        panic!("there are no holes")
    };
    memory.as_ptr_range().start <= data.as_ptr()
        && data.as_ptr_range().end <= memory.as_ptr_range().end
}

#[test]
fn what_is_stored_as_it_is_is_not_copied_from_memory() {
    let mut builder = Builder::new(1);
    let plain: Vec<_> = (0..50)
        .map(|n| builder.whole(0, Compression::None, &text(3_000, n)))
        .collect();
    let tail = builder.frame(0, Compression::None, &text(1_000, 99), b"what follows");
    let tail = builder.chunk(tail, 10, 500, Vouch::Digest);
    let mut pieces: Vec<_> = plain.into_iter().map(Piece::Chunk).collect();
    pieces.push(Piece::Chunk(tail));
    builder.file("f", &pieces);
    let fixture = builder.build();
    let memory = Bytes::from(fixture.blobs[0].clone());
    let extent = Extent {
        file_offset: 0,
        len: 100_000,
        source: ExtentSource::Plain {
            blob: BlobIndex(0),
            offset: 77,
        },
    };
    let plain = Arc::new(Made::one(100_000, vec![extent]));
    // Also where requests cut frames.
    for max_request in [1_000, 4_321, 1 << 20] {
        let options = ReadOptions::default()
            .max_request(max_request)
            .gap(1)
            .window(20_000);
        let images: [(SharedImage, Ino, usize); 2] = [
            (fixture.image.clone(), fixture.ino("f"), 150_500),
            (plain.clone(), Ino(0), 100_000),
        ];
        for (image, ino, expected) in images {
            let blobs = BlobStore::single(Arc::new(memory.clone()));
            let reader = Reader::new(image, blobs, options.clone());
            let mut len = 0;
            let read = reader.read_all(&[ino], FileOrder::Given, &mut |_, bytes| {
                assert!(lies_in(bytes, &memory));
                len += bytes.len() as usize;
                Ok::<_, ReadError>(())
            });
            read.unwrap();
            assert_eq!(len, expected);
        }
    }
}

#[test]
fn what_is_held_does_not_keep_answers_in_memory() {
    let fixture = eight(Compression::None);
    let store = Arc::new(FrameStore::new(8 << 20));
    let options = ReadOptions::default().gap(1);
    let ino = fixture.ino("eight");
    let mut plan = plan_of(&*fixture.image, ino, 0..8_000, &options, &store);
    let Ok(ReadStep::Need(ranges)) = plan.step() else {
        panic!("bytes are needed")
    };
    assert_eq!(ranges.len(), 1);
    let answer = Bytes::copy_from_slice(&fixture.blobs[0][1..8_008]);
    plan.supply(BlobIndex(0), 1, answer.clone()).unwrap();
    let mut pieces: Vec<PieceBytes> = Vec::new();
    loop {
        match plan.step().unwrap() {
            ReadStep::Work(job) => plan.complete(job.run()),
            ReadStep::Ready(piece) => pieces.push(piece.bytes.unwrap()),
            ReadStep::Done => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(pieces.len(), 8);
    assert!(answer.is_unique());
    // One that is most of its answer is not copied.
    let store = Arc::new(FrameStore::new(8 << 20));
    let mut plan = plan_of(&*fixture.image, ino, 0..1_000, &options, &store);
    assert!(matches!(plan.step(), Ok(ReadStep::Need(_))));
    let answer = Bytes::copy_from_slice(&fixture.blobs[0][1..1_001]);
    plan.supply(BlobIndex(0), 1, answer.clone()).unwrap();
    let Ok(ReadStep::Work(job)) = plan.step() else {
        panic!("the frame is there")
    };
    plan.complete(job.run());
    let Ok(ReadStep::Ready(piece)) = plan.step() else {
        panic!("the frame is there")
    };
    assert!(lies_in(piece.bytes.unwrap().as_ref(), &answer));
}
