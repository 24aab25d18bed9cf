//! What is kept of a stream, and read without it.

use std::io::{Read, Seek, SeekFrom};

use lazyoci_gzip_index::{BuildError, GzipIndex, IndexBuilder, IndexOptions, NotKept};

use crate::support::{gzip, text};

/// An index that keeps 10..20, 20..25 (one range with it) and 90_000..91_000.
fn index(plain: &[u8]) -> GzipIndex {
    let stored = gzip(plain, 6);
    let mut builder = IndexBuilder::new(&stored[..], &IndexOptions::default());
    std::io::copy(&mut builder, &mut std::io::sink()).unwrap();
    for range in [10..20, 20..25, 30..30, 90_000..91_000] {
        builder.keep(range.start as u64, &plain[range]).unwrap();
    }
    let (index, _) = builder.finish().unwrap();
    GzipIndex::decode(&index.encode(), &Default::default()).unwrap()
}

#[test]
fn kept_ranges_are_read_and_nothing_else() {
    let plain = text(100_000);
    let index = index(&plain);
    assert_eq!(index.kept_len(), 1_015);
    assert!(index.kept_ranges().eq([10..25, 90_000..91_000]));
    let mut kept = index.kept();
    let read = |kept: &mut lazyoci_gzip_index::KeptReader<'_>, at: u64, len: usize| {
        kept.seek(SeekFrom::Start(at)).unwrap();
        let mut bytes = vec![0; len];
        kept.read_exact(&mut bytes).map(|()| bytes)
    };
    for (at, len) in [
        (10, 15),
        (90_000, 1_000),
        (12, 3),
        (90_500, 1),
        (24, 1),
        (90_999, 1),
    ] {
        let bytes = read(&mut kept, at, len).unwrap();
        assert_eq!(bytes, plain[at as usize..][..len]);
    }
    for (at, len, missing) in [
        (0, 1, 0),
        (9, 2, 9),
        (20, 6, 25),
        (50, 1, 50),
        (90_999, 2, 91_000),
    ] {
        let error = read(&mut kept, at, len).unwrap_err();
        assert_eq!(
            error.downcast::<NotKept>().unwrap(),
            NotKept { offset: missing }
        );
    }
    assert_eq!(kept.seek(SeekFrom::End(0)).unwrap(), 100_000);
    assert_eq!(kept.read(&mut [0; 4]).unwrap(), 0);
}

#[test]
fn ranges_are_kept_in_order_and_after_they_were_read() {
    let stored = gzip(&[7; 100], 6);
    let mut builder = IndexBuilder::new(&stored[..], &IndexOptions::default());
    let early = builder.keep(0, &[7]).unwrap_err();
    assert!(
        matches!(
            early,
            BuildError::Keep {
                offset: 0,
                from: 0,
                to: 0
            }
        ),
        "{early}"
    );
    builder.read_exact(&mut [0; 50]).unwrap();
    builder.keep(20, &[7; 10]).unwrap();
    let back = builder.keep(29, &[7]).unwrap_err();
    assert!(
        matches!(
            back,
            BuildError::Keep {
                offset: 29,
                from: 30,
                ..
            }
        ),
        "{back}"
    );
    builder.keep(30, &[7]).unwrap();
}
