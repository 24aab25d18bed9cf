//! Damaged and hostile layers.

use super::*;

#[test]
fn cut_layers_are_cut_whatever_the_pieces() {
    let tar = tar();
    for options in decoders() {
        for layer in [estargz_shaped(&tar), zstd_shaped(&tar)] {
            for len in 6..layer.len() {
                let (tar, end) = whole(&layer[..len], &options);
                let (pieced, pieced_end) = decode(layer[..len].chunks(1), 3, &options);
                assert!(pieced == tar, "{len}");
                match (end, pieced_end) {
                    (Ok(summary), Ok(other)) => assert_eq!(summary, other),
                    (
                        Err(LayerError::Cut {
                            stored, decoded, ..
                        }),
                        Err(LayerError::Cut { stored: other, .. }),
                    ) => {
                        assert_eq!((stored, other), (len as u64, len as u64));
                        assert_eq!(decoded, tar.len() as u64);
                    }
                    other => panic!("{len}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn windows_and_dictionaries_are_refused_before_they_are_allocated() {
    let small = Limits::small();
    let frame = |rest: &[u8]| [&zstd(b"before")[..], &[0x28, 0xb5, 0x2f, 0xfd], rest].concat();
    let first = zstd(b"before").len() as u64;
    // Exponent 21 is a window of 2 GiB; a single segment of 2^40 bytes is its own window.
    let windows = [
        (frame(&[0, 21 << 3, 1, 0, 0]), 1 << 31),
        (frame(&[0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0]), 1 << 40),
    ];
    let dictionary = frame(&[3, 0, 1, 2, 3, 4, 1, 0, 0]);
    for options in decoders() {
        for (layer, expected) in &windows {
            for (limits, most) in [(Limits::default(), 1 << 27), (small.clone(), 1 << 24)] {
                for piece in [1, 100] {
                    let options = options.clone().limits(limits.clone());
                    match decode(layer.chunks(piece), 100, &options).1 {
                        Err(
                            error @ LayerError::Window {
                                stored,
                                window,
                                limit,
                            },
                        ) => {
                            assert_eq!((stored, window, limit), (first, *expected, most));
                            assert_eq!(error.fault(), Fault::Limit);
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
        match whole(&dictionary, &options).1 {
            Err(
                error @ LayerError::Dictionary {
                    stored,
                    id: 0x0403_0201,
                },
            ) => {
                assert_eq!((stored, error.fault()), (first, Fault::Unsupported));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn flipped_bits_never_give_other_bytes() {
    let tar = tar();
    for options in decoders() {
        for layer in [gzip(&tar), zstd(&tar)] {
            for bit in 0..layer.len() * 8 {
                let mut layer = layer.clone();
                layer[bit / 8] ^= 1 << (bit % 8);
                let (decoded, end) = whole(&layer, &options);
                if end.is_ok_and(|summary| summary.compression != Compression::None) {
                    assert!(decoded == tar || layer.starts_with(&[0x50]), "bit {bit}");
                }
            }
        }
    }
}

#[test]
fn what_a_member_says_of_itself_is_checked() {
    let corrupt = |layer: &[u8], options: &StreamOptions| match whole(layer, options).1 {
        Err(LayerError::Corrupt { source, .. }) => source,
        other => panic!("{other:?}"),
    };
    let one = gzip(b"content");
    let len = one.len();
    let options = StreamOptions::default();
    let flip = |at: usize, layer: &[u8]| {
        let mut layer = layer.to_vec();
        layer[at] ^= 0x20;
        layer
    };
    assert_eq!(
        corrupt(&flip(len - 8, &one), &options),
        Corruption::Checksum
    );
    assert_eq!(corrupt(&flip(len - 4, &one), &options), Corruption::Length);
    assert_eq!(corrupt(&flip(3, &one), &options), Corruption::Reserved);
    let block = [&one[..10], &[0x07]].concat();
    assert_eq!(corrupt(&block, &options), Corruption::Deflate);
    // A content size and a checksum that are wrong, in a frame of one raw block.
    let raw = |content_len: u8, descriptor: u8, rest: &[u8]| {
        let start = [
            0x28,
            0xb5,
            0x2f,
            0xfd,
            descriptor,
            content_len,
            3 << 3 | 1,
            0,
            0,
        ];
        [&start[..], b"abc", rest].concat()
    };
    for options in decoders() {
        assert!(whole(&raw(3, 0x20, b""), &options).1.is_ok());
        corrupt(&raw(4, 0x20, b""), &options);
        corrupt(&raw(3, 0x24, b"\0\0\0\0"), &options);
        assert_eq!(corrupt(&raw(3, 0x28, b""), &options), Corruption::Reserved);
    }
}

/// Neither with the length of the content nor without it.
#[test]
fn compressed_blocks_have_bytes() {
    for options in decoders() {
        for header in [&[0x00, 0x00][..], &[0x20, 0]] {
            let layer = [&[0x28, 0xb5, 0x2f, 0xfd], header, &[5, 0, 0]].concat();
            for piece in [1, 4, layer.len()] {
                let end = decode(layer.chunks(piece), 100, &options).1;
                assert!(matches!(end, Err(LayerError::Corrupt { .. })), "{end:?}");
            }
        }
    }
}

/// A block has at most the window of its frame and 128 KiB, stored or decoded, however the frame arrives.
#[test]
fn blocks_are_no_larger_than_their_frame_allows() {
    let header = |kind: u32, size: u32| ((size << 3) | (kind << 1) | 1).to_le_bytes()[..3].to_vec();
    let raw = |size: u32| [header(0, size), vec![7; size as usize]].concat();
    let repeated = |size: u32| [header(1, size), vec![7]].concat();
    // Literals of one byte, of whose number there are 20 bits or 12, and no sequences.
    let literals = |size: u32| {
        let long = (size << 4) | 0b1101;
        [header(2, 5), long.to_le_bytes()[..3].to_vec(), vec![7, 0]].concat()
    };
    let fewer_literals = |size: u32| {
        let short = (size << 4) | 0b0101;
        [header(2, 4), short.to_le_bytes()[..2].to_vec(), vec![7, 0]].concat()
    };
    let kib: &[u8] = &[0x00, 0x00];
    let mib: &[u8] = &[0x00, 0x50];
    let nothing: &[u8] = &[0x20, 0];
    let cases = [
        (kib, raw(1024), true),
        (kib, raw(1025), false),
        (kib, repeated(1024), true),
        (kib, repeated(1025), false),
        (kib, literals(1024), true),
        (kib, literals(1025), false),
        (kib, fewer_literals(1024), true),
        (kib, fewer_literals(1025), false),
        (mib, raw(128 << 10), true),
        (mib, raw((128 << 10) + 1), false),
        (mib, literals(128 << 10), true),
        (mib, literals((128 << 10) + 1), false),
        (nothing, raw(0), true),
        (nothing, repeated(0), false),
    ];
    for options in decoders() {
        for (number, (frame, block, sound)) in cases.iter().enumerate() {
            let layer = [&[0x28, 0xb5, 0x2f, 0xfd], *frame, block].concat();
            for piece in [1000, layer.len()] {
                for room in [100, 1 << 18] {
                    match (decode(layer.chunks(piece), room, &options).1, sound) {
                        (Ok(_), true) => {}
                        // libzstd says it in its own words, if it finds it first.
                        (Err(LayerError::Corrupt { source, .. }), false) => assert!(
                            matches!(source, Corruption::LargeBlock | Corruption::Zstd { .. }),
                            "{number}: {source:?}"
                        ),
                        (end, _) => panic!("{number}: {end:?}"),
                    }
                }
            }
        }
    }
}

/// Twenty literals, and twenty sequences, each of which copies 65,539 bytes: libzstd takes such a block of a frame that it
/// sees whole, though its window has 1 KiB.
#[test]
fn sequences_do_not_make_more_than_a_block() {
    let content_len = 1_310_800_u32.to_le_bytes();
    let literals = [&[20 << 3][..], b"abcdefghijklmnopqrst"].concat();
    let sequences = [&[0x14, 0x54, 1, 0, 0x34][..], &[0; 40], &[1]].concat();
    let block = [literals, sequences].concat();
    let header = ((u32::try_from(block.len()).unwrap() << 3) | 0b101).to_le_bytes();
    let start = [&[0x28, 0xb5, 0x2f, 0xfd, 0x80, 0x00][..], &content_len];
    let layer = [start.concat(), header[..3].to_vec(), block].concat();
    for options in decoders() {
        for piece in [1, 20, layer.len()] {
            let end = decode(layer.chunks(piece), 2 << 20, &options).1;
            assert!(
                matches!(
                    end,
                    Err(LayerError::Corrupt {
                        source: Corruption::Zstd { .. },
                        ..
                    })
                ),
                "{end:?}"
            );
        }
    }
}
