//! Encrypted frames, with the vectors of IEEE 1619.
#![cfg(feature = "encryption")]
#![allow(clippy::unwrap_used, reason = "a test that unwraps has failed")]

use image_model::{Codec, Decode, XtsKey};
use lazyoci_frame_codec::xts::{decrypt, encrypt, encrypted_len, looks_padded};
use lazyoci_frame_codec::{CodecError, Decoder};

fn bytes(hex: &str) -> Vec<u8> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    assert!(rest.is_empty());
    let digits = |pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.iter().map(|pair| digits(&pair[..])).collect()
}

fn key(halves: [&str; 2], unit: &str) -> XtsKey {
    let key = bytes(&halves.concat()).try_into().unwrap();
    let mut iv = [0; 16];
    iv[..unit.len() / 2].copy_from_slice(&bytes(unit));
    XtsKey::new(key, iv).unwrap()
}

fn encrypted(key: &XtsKey, plain: &[u8]) -> Vec<u8> {
    let mut stored = Vec::new();
    encrypt(key, plain, &mut stored);
    assert_eq!(stored.len(), encrypted_len(plain.len()));
    stored
}

#[test]
fn vectors_of_the_standard() {
    let ones = [
        "11111111111111111111111111111111",
        "22222222222222222222222222222222",
    ];
    // Vector 2; vector 15 steals a byte.
    let falling = [
        "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0",
        "bfbebdbcbbbab9b8b7b6b5b4b3b2b1b0",
    ];
    for (key, plain, stored) in [
        (
            key(ones, "3333333333"),
            "4444444444444444444444444444444444444444444444444444444444444444",
            "c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0",
        ),
        (
            key(falling, "9a78563412"),
            "000102030405060708090a0b0c0d0e0f10",
            "6c1625db4671522d3d7599601de7ca09ed",
        ),
    ] {
        assert_eq!(encrypted(&key, &bytes(plain)), bytes(stored));
        assert_eq!(decrypt(&key, &bytes(stored)), Some(bytes(plain)));
    }
}

fn some_key() -> XtsKey {
    XtsKey::new(std::array::from_fn(|n| n as u8), [9; 16]).unwrap()
}

#[test]
fn objects_of_any_length_come_back() {
    let key = some_key();
    for len in 0..100 {
        let plain: Vec<u8> = (0..len).collect();
        let stored = encrypted(&key, &plain);
        assert_ne!(stored, plain);
        // Nothing is padded by 16 bytes, as nydus sees it.
        let expected = (len > 0).then_some(plain.clone());
        assert_eq!(decrypt(&key, &stored), expected, "{len}");
        let mut out = vec![0; plain.len()];
        let decoded =
            Decoder::new().decode_frame(&Decode::Encrypted(key, Codec::None), &stored, &mut out);
        assert_eq!((decoded.is_ok(), out == plain), (len > 0, true), "{len}");
    }
}

/// The length of what is not compressed tells more than its end.
#[test]
fn what_looks_padded_is_read_by_its_length() {
    let plain = *b"0123456789abcdef\x78\x90";
    assert!(looks_padded(&plain) && !looks_padded(&plain[1..]));
    let (key, mut out) = (some_key(), [0; 18]);
    let stored = encrypted(&key, &plain);
    let how = Decode::Encrypted(key, Codec::None);
    Decoder::new()
        .decode_frame(&how, &stored, &mut out)
        .unwrap();
    assert_eq!(out, plain);
    // `f` is no number of bytes that lack.
    assert_eq!(decrypt(&key, &stored), None);
}

#[test]
fn wrong_bytes_are_refused() {
    let key = some_key();
    let how = Decode::Encrypted(key, Codec::None);
    let mut out = [0; 5];
    let decode = |stored: &[u8], out: &mut [u8]| Decoder::new().decode_frame(&how, stored, out);
    let error = CodecError::Truncated {
        codec: Codec::None,
        stored_len: 15,
    };
    assert_eq!(decode(&[0; 15], &mut out), Err(error));
    let mut padded = b"lazy!".to_vec();
    padded.extend([11; 11]);
    padded[7] = 10;
    padded.extend([0x78, 0x90]);
    let malformed = CodecError::Malformed {
        codec: Codec::None,
        detail: "the padding of an encrypted frame is wrong",
    };
    assert_eq!(decode(&encrypted(&key, &padded), &mut out), Err(malformed));
    let stored = encrypted(&key, b"lazy!");
    decode(&stored, &mut out).unwrap();
    for bit in 0..8 * stored.len() {
        let mut flipped = stored.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let decoded = decode(&flipped, &mut out);
        assert!(decoded.is_err() || out != *b"lazy!", "{bit}");
    }
}
