//! Deflate data entered in the middle.

use image_model::deflate::{DeflateStart, Window};
use image_model::{Codec, Decode};
use lazyoci_frame_codec::{CodecError, Decoder};

const CODEC: Codec = Codec::Gzip;

/// Raw deflate, one block of the fixed code: `x`, then 5 bytes from 7 before (two of the window), then `y`.
/// Bits: 1, 01, `x` = 8 bits, length 5 = 0000011, distance 7 = 00101 and one extra bit, `y`, 0000000.
const BACK: [u8; 6] = bits(&[
    (1, 1, false),
    (1, 2, false),
    (0x30 + b'x' as u32, 8, true),
    (3, 7, true),
    (5, 5, true),
    (0, 1, false),
    (0x30 + b'y' as u32, 8, true),
    (0, 7, true),
]);

/// Fields of a deflate stream: numbers begin with the low bit, codes with the high one.
const fn bits<const N: usize>(fields: &[(u32, u32, bool)]) -> [u8; N] {
    let mut out = [0; N];
    let (mut at, mut n) = (0, 0);
    while n < fields.len() {
        let (value, len, code) = fields[n];
        let mut bit = 0;
        while bit < len {
            let from = if code { len - 1 - bit } else { bit };
            out[at / 8] |= ((value >> from & 1) as u8) << (at % 8);
            at += 1;
            bit += 1;
        }
        n += 1;
    }
    out
}

/// `stored` from bit `8 - bits` of its first byte on; what is before it are ones.
fn shifted(stored: &[u8], bits: u8) -> Vec<u8> {
    let given = 8 - u32::from(bits);
    let mut carry = (1_u16 << given) - 1;
    let mut out = Vec::new();
    for &byte in stored {
        carry |= u16::from(byte) << given;
        out.push((carry & 0xff) as u8);
        carry >>= 8;
    }
    out.push((carry & 0xff) as u8);
    out
}

fn resume(bits: u8, window: Window, stored: &[u8], len: usize) -> Result<Vec<u8>, CodecError> {
    let mut out = vec![0; len];
    let how = Decode::Deflate(DeflateStart { bits, window });
    Decoder::new().decode_frame(&how, stored, &mut out)?;
    Ok(out)
}

/// The window `....ab....`, of which `ab` are the 6th and 5th bytes from the end.
fn window() -> Window {
    Window::new(vec![0xfa, 0x7f, 2, 0].into(), b"ab".to_vec().into()).expect("two bytes of 32 KiB")
}

#[test]
fn blocks_begin_at_any_bit_and_refer_to_the_window() {
    assert_eq!(resume(0, window(), &BACK, 7).unwrap(), *b"xab\0\0\0y");
    for bits in 1..=7 {
        let stored = shifted(&BACK, bits);
        assert_eq!(resume(bits, window(), &stored, 7).unwrap(), *b"xab\0\0\0y");
        assert_eq!(resume(bits, window(), &stored, 2).unwrap(), *b"xa");
    }
}

#[test]
fn stored_blocks_begin_at_whole_bytes() {
    for bits in 1..=7 {
        // The three bits of the header, and then zeros to the end of a byte.
        let header = u32::from(8 - bits);
        let mut stored = vec![(1 << header) - 1];
        if bits < 3 {
            stored.push(0);
        }
        stored.extend([3, 0, 0xfc, 0xff, b'a', b'b', b'c']);
        stored.extend(&BACK);
        assert_eq!(resume(bits, window(), &stored, 3).unwrap(), *b"abc");
        // `xab` are 7 before its end: `b` of the window, three zeros, `abc`, `x`.
        assert_eq!(
            resume(bits, window(), &stored, 10).unwrap(),
            *b"abcx\0\0\0aby"
        );
    }
}

#[test]
fn what_is_not_there_is_not_made_up() {
    let truncated = |stored_len| {
        Err(CodecError::Truncated {
            codec: CODEC,
            stored_len,
        })
    };
    assert_eq!(resume(0, window(), &BACK[..3], 7), truncated(3));
    assert_eq!(resume(0, window(), &[], 1), truncated(0));
    assert_eq!(resume(3, window(), &[], 1), truncated(0));
    assert_eq!(resume(3, window(), &[0], 1), truncated(1));
    let length = CodecError::Length {
        codec: CODEC,
        expected: 8,
        found: 7,
    };
    assert_eq!(resume(0, window(), &BACK, 8), Err(length));
    assert_eq!(resume(0, window(), &BACK, 0), Ok(vec![]));
}

#[test]
fn damage_is_found() {
    let malformed = |detail| {
        Err(CodecError::Malformed {
            codec: CODEC,
            detail,
        })
    };
    // Seven bytes back without a window.
    let damaged = malformed("invalid deflate stream");
    assert_eq!(resume(0, Window::default(), &BACK, 7), damaged);
    // A block of the fourth kind, in the stored bytes and in the first of them.
    assert_eq!(resume(0, window(), &[0x06, 0], 1), damaged);
    assert_eq!(resume(3, window(), &[0b1100_0000, 0], 1), damaged);
    let bits = "a byte has no more than seven bits of a block that begins in it";
    for given in [8, 9, 255] {
        assert_eq!(resume(given, window(), &BACK, 7), malformed(bits));
    }
}

/// Members of gzip, the first without its header.
#[test]
fn members_go_on_and_the_last_one_needs_no_trailer() {
    let member = [
        &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255][..],
        &[1, 3, 0, 0xfc, 0xff, b'a', b'b', b'c'],
        &[0xc2, 0x41, 0x24, 0x35, 3, 0, 0, 0],
    ]
    .concat();
    let stored = [&member[10..], &member, &member].concat();
    let resume = |stored: &[u8], len| {
        let mut out = vec![0; len];
        let how = Decode::DeflateMembers(DeflateStart::default());
        let decoded = Decoder::new().decode_frame(&how, stored, &mut out);
        decoded.map(|()| out)
    };
    let truncated = |stored_len| {
        Err(CodecError::Truncated {
            codec: CODEC,
            stored_len,
        })
    };
    for without in 0..=8 {
        let cut = &stored[..stored.len() - without];
        assert_eq!(resume(cut, 9), Ok(b"abcabcabc".to_vec()), "{without}");
        // What goes on is missing: a member, or its header behind the trailer.
        assert!(resume(cut, 10).is_err(), "{without}");
        let cut = &stored[..16 - without];
        assert_eq!(resume(cut, 3), Ok(b"abc".to_vec()), "{without}");
    }
    // The trailer of a member that others follow is needed, and compared.
    let cut = &stored[..stored.len() - member.len() - 1];
    assert_eq!(resume(cut, 7), truncated(2 * 26 - 10 - 1 - 16));
    let mut wrong = stored.clone();
    wrong[16 + 18] ^= 1;
    assert_eq!(
        resume(&wrong, 9),
        Err(CodecError::Checksum {
            codec: CODEC,
            expected: 0x3524_41c3,
            found: 0x3524_41c2,
        })
    );
}
