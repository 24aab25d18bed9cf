//! zTOCs that are damaged, or made to do harm.

use image_model::{Blame, Fault, Limits};
use lazyoci_soci_ztoc::bytes::Bytes;
use lazyoci_soci_ztoc::{
    FileFault, FileMetadata, FileType, Malformed, TarZinfo, TooLong, Zinfo, Ztoc, ZtocError,
};

use crate::goldens::PLAIN;
use crate::round_trip::sample;

fn decode(bytes: impl Into<Bytes>) -> Result<Ztoc, ZtocError> {
    Ztoc::decode(&bytes.into(), &Limits::default())
}

fn written(ztoc: &Ztoc) -> Vec<u8> {
    ztoc.encode().unwrap()
}

#[test]
fn garbage_is_no_ztoc() {
    for bytes in [
        &b""[..],
        b"abc",
        &[0; 64],
        &[0xff; 64],
        b"hello world, no table",
    ] {
        let error = decode(Bytes::from_static(bytes)).unwrap_err();
        assert!(
            matches!(error, ZtocError::Malformed(Malformed { table: "Ztoc", .. })),
            "{error}"
        );
        assert_eq!(error.fault(), Fault::Corrupt);
        assert!(!Ztoc::detect(&Bytes::from_static(bytes)));
    }
}

/// What is cut off at the end, and any bit anywhere, leads to an error or to another zTOC, never to a panic.
#[test]
fn cuts_and_flips_do_no_harm() {
    for len in 0..PLAIN.len() {
        let cut = decode(PLAIN[..len].to_vec());
        assert!(
            cut.is_err_and(|error| error.fault() == Fault::Corrupt),
            "{len}"
        );
    }
    for at in 0..PLAIN.len() {
        for bit in 0..8 {
            let mut bytes = PLAIN.to_vec();
            bytes[at] ^= 1 << bit;
            if let Ok(read) = decode(bytes) {
                let again = decode(written(&read));
                assert_eq!(again, Ok(read), "{at} {bit}");
            }
        }
    }
}

/// All tables of files are one, so that a short buffer declares many.
#[test]
fn shared_tables_are_bounded() {
    let ztoc = sample();
    let bytes = written(&ztoc);
    let limits = Limits::default().max_metadata_len(1_000);
    let error = Ztoc::decode(&bytes.clone().into(), &limits).unwrap_err();
    let what = "bytes of metadata";
    assert_eq!(error, ZtocError::Limit { what, limit: 1_000 });
    assert_eq!(error.fault(), Fault::Limit);
    let limits = Limits::default().max_inodes(6);
    let error = Ztoc::decode(&bytes.clone().into(), &limits).unwrap_err();
    assert_eq!(
        error,
        ZtocError::Limit {
            what: "files",
            limit: 6
        }
    );
    let limits = Limits::default().max_layer_len(5_999);
    let error = Ztoc::decode(&bytes.into(), &limits).unwrap_err();
    let what = "decoded bytes";
    assert_eq!(error, ZtocError::Limit { what, limit: 5_999 });
}

#[test]
fn spans_are_counted_alike_everywhere() {
    let mut ztoc = sample();
    ztoc.digests.pop();
    let error = decode(written(&ztoc)).unwrap_err();
    let expected = ZtocError::Count {
        what: "digests",
        expected: 2,
        found: 1,
    };
    assert_eq!(error, expected);
    let mut ztoc = sample();
    ztoc.zinfo = Zinfo::Tar(TarZinfo::new(500, 999).unwrap());
    let error = decode(written(&ztoc)).unwrap_err();
    let (span_size, len) = (500, 999);
    assert_eq!(error, ZtocError::TarZinfo { span_size, len });
}

#[test]
fn numbers_that_overflow_are_refused() {
    let lie = |change: fn(&mut Ztoc)| {
        let mut ztoc = sample();
        change(&mut ztoc);
        decode(written(&ztoc)).unwrap_err()
    };
    let fault = FileFault::Outside;
    let error = lie(|ztoc| ztoc.files[6].size = i64::MAX as u64);
    assert_eq!(error, ZtocError::File { index: 6, fault });
    let error = lie(|ztoc| ztoc.files[6].offset = i64::MAX as u64);
    assert_eq!(error, ZtocError::File { index: 6, fault });
    let fault = FileFault::Overlap;
    let error = lie(|ztoc| ztoc.files[0].size = 1_537);
    assert_eq!(error, ZtocError::File { index: 1, fault });
    // No room for a header: 512 bytes behind the padding of the file before.
    let error = lie(|ztoc| ztoc.files[0].offset = 511);
    assert_eq!(error, ZtocError::File { index: 0, fault });
    let error = lie(|ztoc| ztoc.files[1].offset = 2_047);
    assert_eq!(error, ZtocError::File { index: 1, fault });
    let error = lie(|ztoc| ztoc.compressed_len = 800);
    assert!(
        matches!(error, ZtocError::Checkpoint { index: 1, .. }),
        "{error}"
    );
}

/// No value of this crate is negative: the bytes are found by their value.
#[test]
fn negative_numbers_are_refused() {
    let changes: [fn(&mut FileMetadata); 2] = [|file| file.offset = 5_555, |file| file.size = 555];
    for (change, number) in changes.into_iter().zip([5_555_u64, 555]) {
        let mut ztoc = sample();
        change(&mut ztoc.files[6]);
        let mut bytes = written(&ztoc);
        let number = number.to_le_bytes();
        let at = bytes.windows(8).position(|bytes| bytes == number);
        bytes[at.unwrap() + 7] = 0x80;
        let error = decode(bytes).unwrap_err();
        let fault = FileFault::Negative;
        assert_eq!(error, ZtocError::File { index: 6, fault });
    }
}

/// The parts that come once are found by their values.
#[test]
fn what_is_not_known_is_refused() {
    let bytes = written(&sample());
    let place = |what: &[u8]| bytes.windows(what.len()).position(|b| b == what).unwrap();
    let with = |at: usize, new: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + new.len()].copy_from_slice(new);
        decode(bytes).unwrap_err()
    };
    let found = (*b"1.0").into();
    let error = with(place(b"0.9\0"), b"1.0");
    assert_eq!(error, ZtocError::Version { found });
    assert_eq!(error.fault(), Fault::Unsupported);
    let fault = FileFault::Type;
    let error = with(place(b"fifo\0"), b"door");
    assert_eq!(error, ZtocError::File { index: 6, fault });
    let error = with(place(b"sha256:01"), b"sha512");
    assert_eq!(error, ZtocError::Digest { index: 0 });
    // As many checkpoints as no length has, or fewer than none.
    let header = [&2_i32.to_le_bytes()[..], &3_000_i64.to_le_bytes()].concat();
    let at = place(&header);
    for count in [0, 1, 4, i32::MAX, i32::MIN, -1_i32] {
        let error = with(at, &count.to_le_bytes());
        let found = 12 + 2 * (17 + 32_768);
        assert_eq!(error, ZtocError::Checkpoints { count, found });
    }
}

/// Told by lengths, before anything is written: the files share a name.
#[test]
fn two_gibibytes_are_not_written() {
    let file = FileMetadata::new(vec![b'n'; 1 << 20], FileType::Regular);
    let ztoc = sample().files(vec![file; 2_048]);
    let error = ztoc.encode().unwrap_err();
    let checkpoints = 12 + 2 * (17 + 32_768);
    let tables = 4_096 + 2 * 96 + Ztoc::BUILD_TOOL.len() as u64;
    let len = checkpoints + tables + 2_048 * ((1 << 20) + 256);
    assert_eq!(error, TooLong { len });
    assert_eq!(error.fault(), Fault::Unsupported);
}
