//! All sources return the same for each read.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use image_model::{Blame, Fault};
use lazyoci_blob_io::{Counted, LocalFile, ReadAt, ReadError, ReadStats};

const BLOB: &[u8; 10] = b"0123456789";

fn file(content: &[u8]) -> std::fs::File {
    let mut file = tempfile::tempfile().expect("temporary files work");
    file.write_all(content)
        .expect("temporary files can be written");
    file
}

/// All sources, each with `content`.
fn sources(content: &[u8]) -> Vec<(&'static str, Box<dyn ReadAt + '_>)> {
    vec![
        ("slice", Box::new(content)),
        ("bytes", Box::new(Bytes::copy_from_slice(content))),
        ("file", Box::new(LocalFile::from(file(content)))),
        (
            "shared",
            Box::new(Arc::new(Bytes::copy_from_slice(content))),
        ),
        ("counted", Box::new(Counted::new(content))),
        #[cfg(feature = "mmap")]
        (
            "mapped",
            Box::new(lazyoci_blob_io::Mapped::map(&file(content)).expect("files can be mapped")),
        ),
    ]
}

#[test]
fn reads_inside_the_blob_are_exact() {
    for (name, source) in sources(BLOB) {
        assert_eq!(source.len().unwrap(), 10, "{name}");
        for (offset, len) in [(0, 10), (0, 0), (0, 1), (3, 4), (9, 1), (10, 0)] {
            let expected = &BLOB[offset..offset + len];
            let mut buf = vec![0xaa; len];
            source.read_at(offset as u64, &mut buf).unwrap();
            assert_eq!(buf, expected, "{name}");
            let bytes = source.read_bytes(offset as u64, len).unwrap();
            assert_eq!(bytes, expected, "{name}");
        }
    }
}

#[test]
fn reads_beyond_the_end_say_where_and_how_much() {
    for content in [&BLOB[..], b""] {
        for (name, source) in sources(content) {
            let blob_len = content.len() as u64;
            for (offset, len) in [
                (0, 11),
                (blob_len, 1),
                (blob_len + 1, 0),
                (5, 1000),
                (1 << 62, 1),
                (i64::MAX as u64, 2),
                (u64::MAX, 1),
                (u64::MAX, 0),
            ] {
                let mut buf = vec![0; len];
                for error in [
                    source.read_at(offset, &mut buf).unwrap_err(),
                    source.read_bytes(offset, len).unwrap_err(),
                ] {
                    let ReadError::OutOfBounds {
                        offset: at,
                        len: asked,
                        blob_len: has,
                    } = error
                    else {
                        panic!("{name}: {error:?}");
                    };
                    assert_eq!((at, asked, has), (offset, len as u64, blob_len), "{name}");
                    assert_eq!(error.fault(), Fault::Corrupt);
                }
            }
        }
    }
}

#[test]
fn nothing_is_allocated_for_bytes_that_are_not_there() {
    for (name, source) in sources(BLOB) {
        let error = source.read_bytes(0, usize::MAX).unwrap_err();
        assert!(matches!(error, ReadError::OutOfBounds { .. }), "{name}");
    }
}

#[test]
fn bytes_in_memory_are_not_copied() {
    let bytes = Bytes::copy_from_slice(BLOB);
    let slice = bytes.read_bytes(3, 4).unwrap();
    assert_eq!(slice.as_ptr(), bytes[3..].as_ptr());
    let shared: Arc<dyn ReadAt> = Arc::new(Counted::new(bytes.clone()));
    let slice = shared.read_bytes(3, 4).unwrap();
    assert_eq!(slice.as_ptr(), bytes[3..].as_ptr());
}

#[cfg(feature = "mmap")]
#[test]
fn a_mapping_outlives_its_file_and_is_not_copied() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("blob");
    std::fs::write(&path, BLOB).unwrap();
    let mapped = lazyoci_blob_io::Mapped::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let slice = mapped.read_bytes(3, 4).unwrap();
    assert_eq!(slice.as_ptr(), mapped.bytes()[3..].as_ptr());
    drop(mapped);
    assert_eq!(slice, b"3456"[..]);
}

#[test]
fn a_file_follows_its_length() {
    let file = file(BLOB);
    let source = LocalFile::from(file.try_clone().unwrap());
    file.set_len(4).unwrap();
    assert_eq!(source.len().unwrap(), 4);
    assert!(matches!(
        source.read_at(2, &mut [0; 4]),
        Err(ReadError::OutOfBounds {
            offset: 2,
            len: 4,
            blob_len: 4
        })
    ));
}

#[cfg(unix)]
#[test]
fn a_source_that_fails_is_to_blame_itself() {
    let directory = LocalFile::open("/".as_ref()).unwrap();
    let error = directory.read_at(0, &mut [0; 1]).unwrap_err();
    let ReadError::Io {
        offset: 0,
        len: 1,
        source,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(source.kind(), std::io::ErrorKind::IsADirectory);
    assert_eq!(error.fault(), Fault::Io);
    let converted = std::io::Error::from(error);
    assert_eq!(converted.kind(), std::io::ErrorKind::IsADirectory);
}

#[test]
fn threads_share_a_source() {
    let content: Vec<u8> = (0..=255).cycle().take(1 << 16).collect();
    for (name, source) in sources(&content) {
        std::thread::scope(|scope| {
            for thread in 0..4_usize {
                let (source, content) = (&source, &content);
                scope.spawn(move || {
                    for i in 0..500 {
                        let offset = (i * 131 + thread * 17) % (content.len() - 300);
                        let mut buf = [0; 300];
                        source.read_at(offset as u64, &mut buf).unwrap();
                        assert_eq!(buf, content[offset..offset + 300], "{name}");
                    }
                });
            }
        });
    }
}

#[test]
fn reads_are_counted_also_when_they_fail() {
    let blob = Counted::new(Bytes::from_static(BLOB));
    assert_eq!(blob.stats(), ReadStats::default());
    ReadAt::len(&blob).unwrap();
    blob.read_at(0, &mut [0; 4]).unwrap();
    blob.read_bytes(4, 2).unwrap();
    blob.read_at(9, &mut [0; 2]).unwrap_err();
    let stats = blob.stats();
    assert_eq!((stats.requests, stats.bytes), (3, 8));
    let both: ReadStats = [stats, stats].into_iter().sum();
    assert_eq!((both.requests, both.bytes), (6, 16));
    assert_eq!(blob.inner(), &BLOB[..]);
}
