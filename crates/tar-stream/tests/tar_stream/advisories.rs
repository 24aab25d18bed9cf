//! Published bugs of other tar readers, each as a tape that they misread.

use image_model::Limits;
use lazyoci_tar_stream::{TarError, TarReadOptions};

use crate::tape::*;

/// CVE-2025-62518, RUSTSEC-2025-0111 (tokio-tar, astral-tokio-tar: "TARmageddon"): a PAX size over
/// a header size of 0 was not used for positioning, so that the members of a nested tar came up as
/// members of the outer one.
#[test]
fn rustsec_2025_0111_pax_size_positions_over_a_header_size_of_zero() {
    let inner = Tape::new().file("evil", b"x").end();
    let tar = Tape::new()
        .pax(&[("size", &inner.len().to_string())])
        .header(header(b"nested.tar", b'0').size(0))
        .bytes(&inner)
        .file("after", b"")
        .end();
    for options in [strict(), lenient()] {
        assert_eq!(names(&tar, options), ["nested.tar", "after"]);
    }
}

/// RUSTSEC-2026-0068, CVE-2026-33055 (tar before 0.4.45): the PAX size was ignored when the header
/// size is not 0.
#[test]
fn rustsec_2026_0068_pax_size_positions_over_another_header_size() {
    let inner = Tape::new().file("evil", b"x").end();
    let tar = Tape::new()
        .pax(&[("size", &inner.len().to_string())])
        .header(header(b"nested.tar", b'0').size(512))
        .bytes(&inner)
        .file("after", b"")
        .end();
    for options in [strict(), lenient()] {
        assert_eq!(names(&tar, options), ["nested.tar", "after"]);
    }
}

/// GHSA-3cv2-h65g-fgmm, RUSTSEC-2026-0112 (astral-tokio-tar): PAX records were applied to the
/// extension headers between them and their member.
#[test]
fn rustsec_2026_0112_pax_size_leaves_extension_headers_alone() {
    let tape = Tape::new()
        .pax(&[("size", "5")])
        .long(b'L', &[b'n'; 700])
        .long(b'K', &[b'k'; 600])
        .header(header(b"a", b'0').size(0))
        .bytes(b"12345")
        .pad()
        .file("after", b"");
    let tar = tape.end();
    for options in [strict(), lenient()] {
        let found = entries(&tar, options).unwrap();
        assert_eq!((found[0].path.len(), found[0].size), (700, 5));
        assert_eq!(found[1].path, b"after");
    }
}

/// The same with `x`, `L`, `x`: the last of each kind counts, for the member alone.
#[test]
fn interleaved_extension_headers_count_for_the_member() {
    let tar = Tape::new()
        .pax(&[("size", "5"), ("path", "p")])
        .long(b'L', b"p")
        .pax(&[("size", "5"), ("path", "p")])
        .header(header(b"a", b'0'))
        .bytes(b"12345")
        .pad()
        .file("after", b"")
        .end();
    for options in [strict(), lenient()] {
        assert_eq!(names(&tar, options), ["p", "after"]);
    }
}

/// RUSTSEC-2026-0067, CVE-2026-33056 (tar before 0.4.45) is a chmod through a symbolic link while
/// unpacking. Nothing is unpacked here; what is read stays two members of one name.
#[test]
fn rustsec_2026_0067_a_directory_after_a_symlink_of_its_name() {
    let tar = Tape::new()
        .header(header(b"d", b'2').put(LINK, b"/etc"))
        .header(header(b"d/", b'5').octal(MODE, 0o777))
        .end();
    assert_eq!(names(&tar, strict()), ["d", "d/"]);
}

/// CVE-2022-2879 (Go): PAX headers and long names of any length were held in memory.
#[test]
fn cve_2022_2879_extension_headers_are_bounded() {
    for typeflag in [b'x', b'g', b'L', b'K'] {
        for len in [(1 << 20) + 1, 8 << 30, (8 << 30) - 1] {
            let head = header(b"ext", typeflag);
            let head = if len < 8 << 30 {
                head.size(len)
            } else {
                head.binary(SIZE, len as i64)
            };
            let tar = Tape::new().header(head).into_bytes();
            let error = entries(&tar, lenient()).unwrap_err();
            match error {
                TarError::ExtensionsTooLong {
                    offset: 0,
                    len: found,
                    limit: 0x10_0000,
                } => assert_eq!(found, len),
                other => panic!("{other:?}"),
            }
        }
    }
    // Neither in one nor in many.
    let limits = Limits::default().max_xattr_len(8192);
    let tape = (0..17).fold(Tape::new(), |tape, _| {
        tape.records(b'g', &[("comment", "c")])
    });
    let options = TarReadOptions::default().limits(limits);
    let error = entries(&tape.end(), options).unwrap_err();
    assert!(
        matches!(error, TarError::ExtensionsTooLong { offset: 16_384, .. }),
        "{error}"
    );
}

/// As long as Go takes it.
#[test]
fn an_extension_header_of_a_mebibyte_is_read() {
    let value = "v".repeat((1 << 20) - 64);
    let tar = Tape::new()
        .pax(&[("comment", &value), ("path", "p")])
        .file("a", b"")
        .end();
    assert_eq!(names(&tar, strict()), ["p"]);
}

/// CVE-2025-58183, CVE-2026-32288 (Go): sparse maps of any length were held in memory. A count is
/// compared with the limit before anything is reserved for it.
#[test]
fn cve_2025_58183_sparse_maps_are_bounded() {
    let tar = Tape::new()
        .pax(&[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0")])
        .member(header(b"s", b'0'), b"9223372036854775807\n")
        .end();
    let error = entries(&tar, lenient()).unwrap_err();
    assert!(
        matches!(error, TarError::Sparse { .. } | TarError::Cut { .. }),
        "{error}"
    );
}

/// CVE-2017-14992 (tar-split): padding of any length was held in memory.
#[test]
fn cve_2017_14992_trailers_are_not_held() {
    use std::io::Read;
    let member = Tape::new().file("a", b"1").end();
    let source = member.chain(std::io::repeat(7).take(100 << 20));
    let mut reader = lazyoci_tar_stream::TarReader::new(source, strict());
    while reader.next_entry().unwrap().is_some() {}
    let copied = std::io::copy(&mut reader.trailer().unwrap(), &mut std::io::sink());
    assert_eq!(copied.unwrap(), 511 + 1024 + (100 << 20));
}
