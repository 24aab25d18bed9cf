//! Frames of every codec.

use lazyoci::frame_codec::{Compression, Decoder, Encoder};
use lazyoci::model::{Blame as _, Codec};

use super::input::Input;

/// Decodes the bytes as a frame, whole and in part, with contexts that are new and used; then takes
/// them as plain bytes, encodes them, and decodes that.
pub fn frame_decode(data: &[u8]) {
    let input = &mut Input::new(data);
    let codec = input.one_of(&[Codec::Lz4Block, Codec::Zstd, Codec::Gzip, Codec::None]);
    let len = usize::from(input.u16());
    let level = input.byte();
    decode(codec, len, input.rest());
    let compressions = [
        Compression::None,
        Compression::Lz4Block,
        Compression::Zstd {
            level: i32::from(level % 24) - 4,
        },
        Compression::Gzip {
            level: u32::from(level % 10),
        },
        Compression::Libdeflate {
            level: u32::from(level % 13),
        },
    ];
    encode(
        compressions[usize::from(level) % compressions.len()],
        input.rest(),
    );
}

fn decode(codec: Codec, len: usize, stored: &[u8]) {
    let mut decoder = Decoder::new();
    let mut plain = vec![0xaa; len];
    let whole = decoder.decode(codec, stored, &mut plain);
    let mut again = vec![0x55; len];
    assert_eq!(
        decoder.decode(codec, stored, &mut again),
        whole,
        "a used context differs"
    );
    let mut prefix = vec![0; len];
    let in_part = decoder.decode_prefix(codec, stored, &mut prefix);
    match whole {
        Ok(()) => {
            assert_eq!(plain, again);
            if codec != Codec::Lz4Block {
                assert_eq!(in_part, Ok(()));
                assert_eq!(plain, prefix);
            }
            for other in [len.wrapping_sub(1), len + 1] {
                let mut out = vec![0; other.min(1 << 17)];
                decoder
                    .decode(codec, stored, &mut out)
                    .expect_err("a frame has one length");
            }
        }
        Err(error) => {
            let _ = (error.fault(), error.to_string());
        }
    }
    if in_part.is_ok() && len > 0 {
        let mut shorter = vec![0; len / 2];
        decoder
            .decode_prefix(codec, stored, &mut shorter)
            .expect("a shorter prefix can be decoded too");
        assert_eq!(shorter, prefix[..len / 2]);
    }
}

fn encode(compression: Compression, plain: &[u8]) {
    let encoder = Encoder::new(compression);
    if matches!(compression, Compression::Libdeflate { .. }) && encoder.is_err() {
        // It is not part of every build.
        return;
    }
    let mut encoder = encoder.expect("the level exists");
    let mut decoder = Decoder::new();
    let mut frame = b"before".to_vec();
    encoder
        .encode_frame(plain, &mut frame)
        .expect("it is short");
    let frame = frame.strip_prefix(b"before").expect("it was appended");
    check(&mut decoder, compression.codec(), frame, plain);

    let mut stored = Vec::new();
    let codec = encoder.encode(plain, &mut stored).expect("it is short");
    check(&mut decoder, codec, &stored, plain);
    if codec == Codec::None {
        assert_eq!(stored, plain);
    } else {
        assert!(stored.len() < plain.len());
        assert_eq!(stored, frame, "a used context differs");
    }
}

fn check(decoder: &mut Decoder, codec: Codec, frame: &[u8], plain: &[u8]) {
    let mut decoded = vec![0; plain.len()];
    decoder
        .decode(codec, frame, &mut decoded)
        .expect("it was encoded by us");
    assert_eq!(decoded, plain);
}
