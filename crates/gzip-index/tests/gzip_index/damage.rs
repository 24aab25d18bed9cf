//! Streams that no index is made of.

use image_model::{Blame, Fault, Limits};
use lazyoci_gzip_index::{BuildError, Corruption, IndexBuilder, IndexOptions};

use crate::support::{gzip, text};

fn refused(stored: &[u8], options: &IndexOptions) -> BuildError {
    IndexBuilder::new(stored, options).finish().unwrap_err()
}

fn corrupt(stored: &[u8]) -> (u64, u64, Corruption) {
    let error = refused(stored, &IndexOptions::default());
    assert_eq!(error.fault(), Fault::Corrupt);
    match error {
        BuildError::Corrupt {
            stored,
            decoded,
            source,
        } => (stored, decoded, source),
        other => panic!("{other}"),
    }
}

#[test]
fn a_cut_stream_is_refused_wherever_it_ends() {
    let stored = [gzip(b"lazy lazy lazy", 6), gzip(&text(300), 6)].concat();
    let first = gzip(b"lazy lazy lazy", 6).len();
    for len in (1..stored.len()).filter(|len| *len != first) {
        let error = refused(&stored[..len], &IndexOptions::default());
        match error {
            BuildError::Cut { stored, .. } => assert_eq!(stored, len as u64),
            // Too little to be told from what is no member.
            BuildError::NoMember { stored } if len < 3 => assert_eq!(stored, 0),
            BuildError::NoMember { stored } => {
                assert_eq!(stored, first as u64);
                assert!(len - first < 3);
            }
            other => panic!("{len}: {other}"),
        }
    }
    let nothing = refused(&[], &IndexOptions::default());
    assert!(
        matches!(nothing, BuildError::NoMember { stored: 0 }),
        "{nothing}"
    );
}

#[test]
fn checksums_and_lengths_are_checked() {
    let stored = gzip(b"lazy", 6);
    let len = stored.len();
    for (at, expected) in [
        (len - 8, Corruption::Checksum),
        (len - 5, Corruption::Checksum),
        (len - 4, Corruption::Length),
        (len - 1, Corruption::Length),
    ] {
        let mut stored = stored.clone();
        stored[at] ^= 1;
        assert_eq!(corrupt(&stored), (len as u64, 4, expected));
    }
    let mut reserved = stored.clone();
    reserved[3] = 0x20;
    assert_eq!(corrupt(&reserved), (3, 0, Corruption::Reserved));
    let mut block = stored;
    block[10] |= 0b110;
    assert_eq!(corrupt(&block).2, Corruption::Deflate);
}

#[test]
fn what_follows_is_ignored_if_asked() {
    let member = gzip(b"lazy", 6);
    let ignore = IndexOptions::default().ignore_trailing(true);
    for trailing in [
        &b"\0\0\0"[..],
        b"\x1f",
        b"\x1f\x8b",
        b"\x1f\x8b\x09",
        &[7; 200_000],
    ] {
        let stored = [&member, trailing].concat();
        let error = refused(&stored, &IndexOptions::default());
        assert!(
            matches!(error, BuildError::NoMember { stored } if stored == member.len() as u64),
            "{error}"
        );
        let (index, _) = IndexBuilder::new(&stored[..], &ignore).finish().unwrap();
        assert_eq!((index.decoded_len(), index.spans().len()), (4, 1));
        assert_eq!(index.stored_len(), stored.len() as u64);
    }
    let error = refused(b"lazy", &ignore);
    assert!(
        matches!(error, BuildError::NoMember { stored: 0 }),
        "{error}"
    );
    assert_eq!(error.fault(), Fault::Unsupported);
    assert_eq!(error.to_string(), "not a gzip stream");
}

#[test]
fn limits_hold() {
    let stored = gzip(&[0; 100_000], 6);
    let layer = Limits::default().max_layer_len(99_999);
    let error = refused(&stored, &IndexOptions::default().limits(layer));
    assert!(
        matches!(error, BuildError::TooLarge { limit: 99_999 }),
        "{error}"
    );
    assert_eq!(error.fault(), Fault::Limit);
    let frame = Limits::default().max_frame_len(50_000);
    let error = refused(&stored, &IndexOptions::default().limits(frame));
    let expected = |error: &BuildError| {
        matches!(
            error,
            BuildError::SpanTooLong {
                stored: 10,
                limit: 50_000
            }
        )
    };
    assert!(expected(&error), "{error}");
}
