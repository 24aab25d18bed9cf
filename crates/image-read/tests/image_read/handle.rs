//! Files as `Read` and `Seek`, and what threads may share.

use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::sync::Arc;

use frame_codec::Compression;
use image_model::{Blame, Fault, Image};
use lazyoci_image_read::{
    BlobStore, FileHandle, FrameStore, Job, OpenError, OpenImage, Piece, ReadError, ReadOptions,
    ReadPlan, Reader, Want,
};

use crate::support::fixtures::{eight, mixed};

#[test]
fn a_file_is_read_and_sought() {
    let fixture = mixed();
    let content = &fixture.contents[0];
    let reader = fixture.reader(ReadOptions::default());
    let mut file = FileHandle::new(reader.clone(), fixture.ino("mixed")).unwrap();
    assert_eq!((file.len(), file.is_empty()), (content.len() as u64, false));
    assert_eq!(file.ino(), fixture.ino("mixed"));

    let mut whole = Vec::new();
    assert_eq!(file.read_to_end(&mut whole).unwrap(), content.len());
    assert!(whole == *content);
    assert_eq!(file.read(&mut [0; 10]).unwrap(), 0);

    // It fills the buffer, across frames and holes.
    let mut buffer = vec![0; 120_000];
    assert_eq!(file.seek(SeekFrom::Start(60_000)).unwrap(), 60_000);
    assert_eq!(file.read(&mut buffer).unwrap(), 120_000);
    assert!(buffer == content[60_000..180_000]);
    assert_eq!(file.stream_position().unwrap(), 180_000);
    assert_eq!(file.seek(SeekFrom::Current(-1)).unwrap(), 179_999);
    file.read_exact(&mut buffer[..2]).unwrap();
    assert_eq!(buffer[..2], content[179_999..180_001]);
    let end = content.len() as u64;
    assert_eq!(file.seek(SeekFrom::End(-5)).unwrap(), end - 5);
    assert_eq!(file.read(&mut buffer).unwrap(), 5);
    assert_eq!(buffer[..5], content[content.len() - 5..]);
    assert_eq!(file.read(&mut []).unwrap(), 0);

    // Behind the end there is nothing, and before the beginning no place.
    assert_eq!(file.seek(SeekFrom::End(7)).unwrap(), end + 7);
    assert_eq!(file.read(&mut buffer).unwrap(), 0);
    for nowhere in [
        SeekFrom::Current(-(end as i64) - 8),
        SeekFrom::End(i64::MIN),
    ] {
        let error = file.seek(nowhere).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(file.stream_position().unwrap(), end + 7);
    }
    file.seek(SeekFrom::Start(u64::MAX)).unwrap();
    assert_eq!(file.read(&mut buffer).unwrap(), 0);
    assert!(file.seek(SeekFrom::Current(1)).is_err());

    // Copies have places of their own, and frames in common.
    let stats = reader.blobs().stats();
    file.rewind().unwrap();
    let mut copy = file.clone();
    file.read_exact(&mut buffer[..100]).unwrap();
    copy.read_exact(&mut buffer[100..200]).unwrap();
    assert_eq!(buffer[..100], buffer[100..200]);
    assert_eq!(reader.blobs().stats(), stats);

    let mut empty = FileHandle::new(reader, fixture.ino("empty")).unwrap();
    assert!(empty.is_empty());
    assert_eq!(empty.read(&mut buffer).unwrap(), 0);
}

#[test]
fn only_files_have_handles() {
    let fixture = mixed();
    let reader = fixture.reader(ReadOptions::default());
    let error = FileHandle::new(reader, fixture.image.root()).unwrap_err();
    assert!(matches!(error, ReadError::Image(_)), "{error:?}");
    assert_eq!(error.fault(), Fault::Misuse);
}

#[test]
fn what_comes_before_a_fault_is_read() {
    let mut fixture = eight(Compression::None);
    fixture.stored(2)[7] ^= 1;
    let reader = fixture.reader(ReadOptions::default());
    let mut file = FileHandle::new(reader, fixture.ino("eight")).unwrap();
    let mut buffer = [0; 5_000];
    assert_eq!(file.read(&mut buffer).unwrap(), 2_000);
    assert_eq!(buffer[..2_000], fixture.contents[0][..2_000]);
    for _ in 0..2 {
        let error = file.read(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let inner = error.get_ref().unwrap().downcast_ref::<ReadError>();
        assert!(
            matches!(
                inner,
                Some(ReadError::Chunk {
                    file_offset: 2_000,
                    ..
                })
            ),
            "{error:?}"
        );
        assert_eq!(file.stream_position().unwrap(), 2_000);
    }
    file.seek(SeekFrom::Start(3_000)).unwrap();
    assert_eq!(file.read(&mut buffer).unwrap(), 5_000);
    assert_eq!(buffer, fixture.contents[0][3_000..]);
}

#[test]
fn threads_share_readers() {
    fn shared<T: Send + Sync + 'static>() {}
    fn cloned<T: Clone>() {}
    fn sent<T: Send>() {}
    shared::<Reader>();
    cloned::<Reader>();
    shared::<FileHandle>();
    cloned::<FileHandle>();
    shared::<OpenImage>();
    cloned::<OpenImage>();
    shared::<BlobStore>();
    shared::<FrameStore>();
    shared::<Job>();
    shared::<Piece>();
    shared::<ReadError>();
    shared::<OpenError>();
    type Wants = std::vec::IntoIter<Result<Want, ReadError>>;
    sent::<ReadPlan<'_, Wants, dyn Image + Send + Sync>>();
    sent::<Arc<FrameStore>>();
}
