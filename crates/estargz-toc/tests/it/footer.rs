//! The footers of all kinds: vectors of the reference tools, every flipped bit, and what is refused.

use image_model::{Blame, Fault, StoredPiece};
use lazyoci_estargz_toc::footer::{self, Footer, FooterError, FooterKind};
use lazyoci_estargz_toc::footer::{containers, estargz, external, legacy, skippable, zstd_chunked};

fn bytes(hex: &str) -> Vec<u8> {
    let hex: Vec<char> = hex.chars().filter(|c| !c.is_whitespace()).collect();
    hex.chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
        .collect()
}

/// Those of stargz-snapshotter at 7cf47cba and of skopeo 1.18.
#[test]
fn the_footers_of_the_reference_tools() {
    let estargz = "1f8b08040000000000ff1a0053471600303030303030303030303030303134355354415247
        5a010000ffff0000000000000000";
    assert_eq!(bytes(estargz), estargz::encode(0x145));
    let external = "1f8b08040000000000ff15005347110053544152475a45585445524e414c544f43010000ffff
        0000000000000000";
    assert_eq!(bytes(external), external::encode());
    let containers = "502a4d18 40000000 6c01000000000000 1b02000000000000 1205000000000000
        0100000000000000 8f03000000000000 e301000000000000 2c2d000000000000 474e556c496e5578";
    let pieces = containers::Pieces::new(StoredPiece::new(0x16c, 0x21b, 0x512))
        .tar_split(StoredPiece::new(0x38f, 0x1e3, 0x2d2c));
    assert_eq!(bytes(containers), containers::encode(&pieces));
    let stargz = "502a4d18 28000000 5001000000000000 9a01000000000000 2704000000000000
        0100000000000000 476e556c496e5578";
    let toc = StoredPiece::new(336, 410, 1063);
    assert_eq!(bytes(stargz), zstd_chunked::encode(toc));
}

/// The reference test `TestGzipFooter`.
#[test]
fn offsets_survive() {
    for offset in (0..200_000).step_by(1023) {
        assert_eq!(
            estargz::decode(&estargz::encode(offset), u64::MAX),
            Ok(offset)
        );
        assert_eq!(
            legacy::decode(&legacy::encode(offset), u64::MAX),
            Ok(offset)
        );
    }
}

/// The reference tests `TestZstdChunkedFooter` and `TestGenerateAndReadFooter`.
#[test]
fn pieces_survive() {
    for n in (0..200_000).step_by(1023) {
        let toc = StoredPiece::new(n + 8, n + 1, n + 2);
        assert_eq!(
            zstd_chunked::decode(&zstd_chunked::encode(toc), 1 << 20),
            Ok(toc)
        );
        let without = containers::Pieces::new(toc);
        let with = without.tar_split(StoredPiece::new(2 * n + 17, n + 3, n + 4));
        for pieces in [without, with] {
            assert_eq!(
                containers::decode(&containers::encode(&pieces), 1 << 20),
                Ok(pieces)
            );
        }
    }
}

#[test]
fn a_footer_is_found_at_the_end_of_a_blob() {
    let toc = StoredPiece::new(20, 30, 40);
    let pieces = containers::Pieces::new(toc).tar_split(StoredPiece::new(58, 10, 20));
    let footers: [(Vec<u8>, Footer); 5] = [
        (estargz::encode(5).into(), Footer::Estargz { toc_offset: 5 }),
        (legacy::encode(5).into(), Footer::Legacy { toc_offset: 5 }),
        (external::encode().into(), Footer::External),
        (
            zstd_chunked::encode(toc).into(),
            Footer::ZstdChunked { toc },
        ),
        (
            containers::encode(&pieces).into(),
            Footer::Containers(pieces),
        ),
    ];
    for (footer, expected) in footers {
        assert_eq!(footer.len(), expected.len());
        let blob = [vec![0x55; 100], footer.clone()].concat();
        assert_eq!(footer::find(&blob, blob.len() as u64), Ok(expected));
        let cut = footer::find(&footer[1..], 99 + footer.len() as u64);
        assert_eq!(cut, Err(FooterError::Unknown));
    }
    assert_eq!(footer::find(b"", 0), Err(FooterError::Unknown));
    assert_eq!(FooterError::Unknown.fault(), Fault::Corrupt);
}

/// What may be at an offset of a footer without it being another one.
fn check_flips(
    good: &[u8],
    fields: std::ops::Range<usize>,
    decode: impl Fn(&[u8]) -> Result<Footer, FooterError>,
) {
    let right = decode(good).unwrap();
    for byte in 0..good.len() {
        for bit in 0..8 {
            let mut footer = good.to_vec();
            footer[byte] ^= 1 << bit;
            match decode(&footer) {
                Ok(other) => {
                    assert!(fields.contains(&byte), "byte {byte} bit {bit}");
                    assert_ne!(other, right);
                }
                Err(FooterError::Magic { offset, .. } | FooterError::Digit { offset, .. }) => {
                    assert_eq!(offset, byte);
                }
                Err(
                    FooterError::Piece { .. }
                    | FooterError::TocType { .. }
                    | FooterError::TocOffset { .. },
                ) => assert!(fields.contains(&byte), "byte {byte} bit {bit}"),
                Err(FooterError::Unknown) => panic!("byte {byte} bit {bit}"),
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn every_flipped_bit_is_found_or_moves_the_toc() {
    check_flips(&estargz::encode(0x1234), 16..32, |footer| {
        let toc_offset = estargz::decode(footer.try_into().unwrap(), u64::MAX)?;
        Ok(Footer::Estargz { toc_offset })
    });
    check_flips(&legacy::encode(0x1234), 12..28, |footer| {
        let toc_offset = legacy::decode(footer.try_into().unwrap(), u64::MAX)?;
        Ok(Footer::Legacy { toc_offset })
    });
    check_flips(&external::encode(), 0..0, |footer| {
        external::decode(footer.try_into().unwrap()).map(|()| Footer::External)
    });
    let toc = StoredPiece::new(20, 30, 40);
    check_flips(&zstd_chunked::encode(toc), 8..40, |footer| {
        let toc = zstd_chunked::decode(footer.try_into().unwrap(), 1 << 40)?;
        Ok(Footer::ZstdChunked { toc })
    });
    let pieces = containers::Pieces::new(toc).tar_split(StoredPiece::new(58, 10, 20));
    check_flips(&containers::encode(&pieces), 8..64, |footer| {
        containers::decode(footer.try_into().unwrap(), 1 << 40).map(Footer::Containers)
    });
}

#[test]
fn what_the_go_readers_take_by_mistake_is_refused() {
    for digit in [b'A', b'-', b'+', b' ', b'g'] {
        let mut footer = estargz::encode(0xa);
        footer[16] = digit;
        let error = FooterError::Digit {
            kind: FooterKind::Estargz,
            offset: 16,
            found: digit,
        };
        assert_eq!(estargz::decode(&footer, 100), Err(error));
    }
    for toc_offset in [100, 101, u64::MAX] {
        let error = |kind| FooterError::TocOffset {
            kind,
            toc_offset,
            footer_offset: 100,
        };
        let found = estargz::decode(&estargz::encode(toc_offset), 100);
        assert_eq!(found, Err(error(FooterKind::Estargz)));
        let found = legacy::decode(&legacy::encode(toc_offset), 100);
        assert_eq!(found, Err(error(FooterKind::Legacy)));
    }
    // The reference test `TestGzipParseFooterInvalidExtra`: extra fields that are empty or too short.
    for xlen in 0..21 {
        let mut footer = external::encode();
        footer[10] = xlen;
        assert!(external::decode(&footer).is_err());
    }
}

#[test]
fn pieces_must_be_before_the_footer_and_apart() {
    let piece = |offset, stored_len| StoredPiece::new(offset, stored_len, 10);
    let refused = |kind, what, piece, after| {
        Err::<StoredPiece, _>(FooterError::Piece {
            kind,
            what,
            piece,
            after,
            before: 100,
        })
    };
    for toc in [
        piece(7, 5),
        piece(0, 0),
        piece(90, 11),
        piece(u64::MAX, 2),
        piece(9, u64::MAX),
    ] {
        assert_eq!(
            zstd_chunked::decode(&zstd_chunked::encode(toc), 100),
            refused(FooterKind::ZstdChunked, "the TOC", toc, 8)
        );
        let pieces = containers::Pieces::new(toc).tar_split(piece(60, 5));
        assert_eq!(
            containers::decode(&containers::encode(&pieces), 100).map(drop),
            refused(FooterKind::Containers, "the TOC", toc, 8).map(drop)
        );
    }
    for split in [piece(37, 5), piece(0, 5), piece(90, 11), piece(u64::MAX, 2)] {
        let pieces = containers::Pieces::new(piece(10, 20)).tar_split(split);
        assert_eq!(
            containers::decode(&containers::encode(&pieces), 100).map(drop),
            refused(FooterKind::Containers, "the tar-split", split, 38).map(drop)
        );
    }
}

#[test]
fn headers_of_skippable_frames() {
    assert_eq!(skippable::content_len(&skippable::header(77)), Some(77));
    assert_eq!(skippable::content_len(b"\x28\xb5\x2f\xfd\0\0\0\0"), None);
    // Legal, but nothing writes it here.
    assert_eq!(skippable::content_len(b"\x51\x2a\x4d\x18\x01\0\0\0"), None);
}
