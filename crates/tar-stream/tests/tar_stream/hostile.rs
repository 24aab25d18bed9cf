//! Cut and flipped tars: a typed error or a clean, shorter result, and never a panic.

use std::io::Cursor;

use image_model::{Blame, Limits};
use lazyoci_tar_stream::{TarError, TarReadOptions, TarReader};

use crate::lossless::rebuild;
use crate::tape::*;

/// A small tar with something of everything.
pub(crate) fn sampler() -> Vec<u8> {
    let map = b"2\n0\n512\n1024\n3\n";
    let mut sparse = map.to_vec();
    sparse.resize(512 + 515, 7);
    let old = header(b"old", b'S')
        .put(MAGIC, GNU)
        .put(GNU_SPARSE, b"00000000000\x0000000000003\0")
        .put(GNU_EXTENDED, &[1])
        .octal(GNU_REALSIZE, 3)
        .size(3);
    Tape::new()
        .records(b'g', &[("comment", "sampler")])
        .header(header(b"./", b'5'))
        .file("a", b"hello")
        .pax(&[("mtime", "-1.5"), ("SCHILY.xattr.user.a", "\n")])
        .long(b'L', &[b'n'; 200])
        .member(header(b"n", b'0'), &[1; 700])
        .header(header(b"l", b'2').put(LINK, b"a"))
        .header(header(b"h", b'1').put(LINK, b"a"))
        .header(header(b"c", b'3').octal(DEVMAJOR, 1).octal(DEVMINOR, 3))
        .pax(&[
            ("GNU.sparse.major", "1"),
            ("GNU.sparse.minor", "0"),
            ("GNU.sparse.name", "s"),
            ("GNU.sparse.realsize", "1027"),
        ])
        .member(header(b"GNUSparseFile.0/s", b'0'), &sparse)
        .header(old)
        .bytes(&[0; 512])
        .bytes(b"abc")
        .pad()
        .end()
}

/// Reads everything, and writes it again; the number of entries.
fn read_all(tar: &[u8], options: TarReadOptions) -> Result<usize, TarError> {
    let (again, limits) = (options.clone(), options.limits.clone());
    let mut reader = TarReader::new(tar, options);
    let mut count = 0;
    let mut buf = [0; 100];
    while let Some(entry) = reader.next_entry()? {
        count += 1;
        let payload_len = entry.payload_len;
        assert!(entry.payload_offset <= tar.len() as u64);
        let _ = entry.whiteout();
        let _ = entry.into_member(&limits);
        let mut read = 0;
        loop {
            match reader.read_payload(&mut buf)? {
                0 => break,
                step => read += step as u64,
            }
        }
        assert_eq!(read, payload_len);
    }
    reader.finish()?;
    assert!(rebuild(tar, again)? == tar);
    Ok(count)
}

fn offset_of(error: &TarError) -> Option<u64> {
    match *error {
        TarError::Cut { offset, .. }
        | TarError::Checksum { offset, .. }
        | TarError::Number { offset, .. }
        | TarError::Size { offset, .. }
        | TarError::LoneZeroBlock { offset }
        | TarError::ExtensionsTooLong { offset, .. }
        | TarError::PaxRecord { offset }
        | TarError::PaxValue { offset, .. }
        | TarError::Xattr { offset, .. }
        | TarError::Sparse { offset, .. }
        | TarError::Refused { offset, .. } => Some(offset),
        _ => None,
    }
}

#[test]
fn the_sampler_is_whole() {
    assert_eq!(read_all(&sampler(), strict()).unwrap(), 8);
}

#[test]
fn a_tar_cut_at_any_byte_is_an_error_there_or_shorter() {
    let tar = sampler();
    for len in 0..tar.len() {
        for options in [strict(), lenient()] {
            let lenient = options.lenient;
            match read_all(&tar[..len], options) {
                // Only where a reader sees no difference from a tar without end blocks.
                Ok(count) => assert!(count < 8 && (len % 512 == 0 || lenient) || count == 8),
                Err(TarError::Refused { offset, .. }) => assert!(offset <= len as u64),
                Err(TarError::Cut { offset, .. }) => assert_eq!(offset, len as u64),
                Err(other) => panic!("{len}: {other}"),
            }
        }
    }
}

#[test]
fn seeking_over_a_cut_payload_is_an_error_too() {
    let tar = Tape::new().file("a", &[7; 600_000]).end();
    for len in [1000, 512 << 10, 600_511] {
        let mut reader = TarReader::seekable(Cursor::new(&tar[..len]), strict()).unwrap();
        reader.next_entry().unwrap();
        match reader.next_entry() {
            Err(TarError::Cut { offset, .. }) => assert_eq!(offset, len as u64),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_flipped_byte_is_an_error_with_its_offset_or_harmless() {
    let tar = sampler();
    for at in 0..tar.len() {
        // Inside a field of zeros or of content, one flip is as good as another.
        let around = at.saturating_sub(8)..(at + 8).min(tar.len());
        let flips: &[u8] = match tar[around].iter().all(|&byte| byte == tar[at]) {
            true => &[0xff],
            false => &[0x01, 0x80, 0xff],
        };
        for &flip in flips {
            let mut flipped = tar.clone();
            flipped[at] ^= flip;
            // Behind the checksum the flip goes on into the fields.
            let mut repaired = flipped.clone();
            let block = at - at % 512;
            repair(&mut repaired[block..block + 512]);
            for tar in [flipped, repaired] {
                for options in [strict(), lenient()] {
                    if let Err(error) = read_all(&tar, options) {
                        let offset = offset_of(&error).expect("every error has its offset");
                        assert!(offset <= tar.len() as u64, "{at}: {error}");
                        error.fault();
                    }
                }
            }
        }
    }
}

#[test]
fn headers_of_noise_are_no_tar() {
    let noise: Vec<u8> = (0..1024u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    assert!(matches!(
        read_all(&noise, lenient()),
        Err(TarError::Checksum { offset: 0, .. })
    ));
}

#[test]
fn impossible_sizes_are_refused_before_anything_is_read() {
    for size in [-1, i64::MIN, i64::MAX, i64::MAX / 2] {
        for typeflag in [b'0', b'1', b'x', b'L', b'Q'] {
            let tar = Tape::new()
                .file("first", b"")
                .header(header(b"a", typeflag).binary(SIZE, size))
                .end();
            let error = read_all(&tar, lenient()).unwrap_err();
            let sized = matches!(error, TarError::Size { offset: 512, size: s } if s == size);
            let limited = matches!(error, TarError::ExtensionsTooLong { offset: 512, .. });
            assert!(sized || limited && size > 0, "{error}");
        }
    }
    let by_pax = Tape::new()
        .pax(&[("size", "-1")])
        .header(header(b"a", b'0'))
        .end();
    let error = read_all(&by_pax, strict()).unwrap_err();
    assert!(
        matches!(
            error,
            TarError::Size {
                offset: 1024,
                size: -1
            }
        ),
        "{error}"
    );
}

#[test]
fn a_size_of_4_gib_in_a_tar_of_a_kilobyte_costs_nothing() {
    let tar = Tape::new().header(header(b"a", b'0').size(4 << 30)).end();
    let error = read_all(&tar, strict()).unwrap_err();
    assert!(
        matches!(error, TarError::Cut { offset: 1536, .. }),
        "{error}"
    );
}

#[test]
fn numbers_that_are_none_name_their_field() {
    let fields = [
        (MODE, "mode"),
        (UID, "uid"),
        (GID, "gid"),
        (SIZE, "size"),
        (MTIME, "mtime"),
        (DEVMAJOR, "devmajor"),
        (DEVMINOR, "devminor"),
    ];
    for (range, name) in fields {
        for bytes in [&b"12345x"[..], b"8", b"1 2", b"\x80\x01\0\0\0\0\0\0"] {
            if range.len() == 12 && bytes[0] == 0x80 {
                continue;
            }
            let tar = Tape::new()
                .header(header(b"a", b'0').put(range.clone(), bytes))
                .end();
            match read_all(&tar, lenient()) {
                Err(TarError::Number {
                    offset: 0, field, ..
                }) => {
                    assert_eq!(field.to_string(), name);
                }
                // A base-256 number of eight bytes that fits.
                Ok(1) => assert_eq!(bytes[0], 0x80),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

#[test]
fn small_limits_hold() {
    let options = || TarReadOptions::default().limits(Limits::small());
    assert_eq!(read_all(&sampler(), options()).unwrap(), 8);
}
