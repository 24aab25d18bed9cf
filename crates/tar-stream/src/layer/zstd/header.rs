//! Headers of zstd frames.

use super::super::Corruption;

pub(super) const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Of a skippable frame; the low half of its first byte is free.
const SKIPPABLE: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];

/// Longest header there is.
pub(super) const MAX_LEN: usize = 18;

/// The header of a frame (RFC 8878 section 3.1.1.1), little endian:
///
/// | size | field | rule |
/// |---|---|---|
/// | 4 | magic number | 28 b5 2f fd |
/// | 1 | descriptor | bits 0-1: size of the dictionary id, 0, 1, 2 or 4; 2: there is a checksum; 3: reserved, zero; 5: single segment; 6-7: size of the content size, 0, 2, 4 or 8, but 1 instead of 0 for a single segment |
/// | 0 or 1 | window descriptor | not for a single segment, whose window is its content. Bits 3-7: exponent, 0-2: mantissa |
/// | 0 to 4 | dictionary id | 0: none |
/// | 0 to 8 | content size in bytes | of two bytes: less 256 |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// Length of the header itself.
    pub(super) len: usize,
    /// In bytes.
    pub(super) window: u64,
    pub(super) dictionary: Option<u32>,
    pub(super) content_len: Option<u64>,
    pub(super) has_checksum: bool,
}

/// The result of parsing the start of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// Not enough bytes; how many are needed to continue.
    Short(usize),
    Frame(FrameHeader),
    /// A skippable frame, with a payload of this length after eight bytes.
    Skippable(u32),
    /// Not a frame.
    Other,
}

/// Length of the header of a skippable frame: magic number and length of the payload.
pub(super) const SKIPPABLE_LEN: usize = 8;

/// Whether `bytes` can begin any frame.
fn is_magic(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(MAGIC.len())];
    let skippable = match start {
        [] => true,
        [first, rest @ ..] => first & 0xf0 == SKIPPABLE[0] && SKIPPABLE[1..].starts_with(rest),
    };
    skippable || MAGIC.starts_with(start)
}

impl Start {
    pub(super) fn of(bytes: &[u8]) -> Result<Self, Corruption> {
        if !is_magic(bytes) {
            return Ok(Self::Other);
        }
        match bytes {
            [] | [_] | [_, _] | [_, _, _] => Ok(Self::Short(MAGIC.len())),
            [a, b, c, d, rest @ ..] if [*a, *b, *c, *d] == MAGIC => match rest {
                [] => Ok(Self::Short(5)),
                [descriptor, rest @ ..] => Self::of_frame(*descriptor, rest),
            },
            [_, _, _, _, a, b, c, d, ..] => {
                Ok(Self::Skippable(u32::from_le_bytes([*a, *b, *c, *d])))
            }
            _ => Ok(Self::Short(SKIPPABLE_LEN)),
        }
    }

    /// Continues after a descriptor.
    fn of_frame(descriptor: u8, fields: &[u8]) -> Result<Self, Corruption> {
        if descriptor & 1 << 3 != 0 {
            return Err(Corruption::Reserved);
        }
        let single_segment = descriptor & 1 << 5 != 0;
        let window_len = usize::from(!single_segment);
        let dictionary_len = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let content_len_len = match descriptor >> 6 {
            0 => usize::from(single_segment),
            1 => 2,
            2 => 4,
            _ => 8,
        };
        let number = |at: usize, len: usize| {
            let field = fields.get(at..at.saturating_add(len))?;
            let mut bytes = [0; 8];
            bytes[..len].copy_from_slice(field);
            Some(u64::from_le_bytes(bytes))
        };
        let content_at = window_len.saturating_add(dictionary_len);
        let len = content_at
            .saturating_add(content_len_len)
            .saturating_add(MAGIC.len())
            .saturating_add(1);
        let (Some(window), Some(dictionary), Some(content_len)) = (
            number(0, window_len),
            number(window_len, dictionary_len),
            number(content_at, content_len_len),
        ) else {
            return Ok(Self::Short(len));
        };
        let content_len = match content_len_len {
            0 => None,
            2 => Some(content_len.saturating_add(256)),
            _ => Some(content_len),
        };
        let window = match content_len {
            Some(content_len) if single_segment => content_len,
            _ => {
                let base = 1u64 << (window >> 3).saturating_add(10);
                (base >> 3).saturating_mul(window & 7).saturating_add(base)
            }
        };
        let dictionary = u32::try_from(dictionary).ok().filter(|id| *id != 0);
        Ok(Self::Frame(FrameHeader {
            len,
            window,
            dictionary,
            content_len,
            has_checksum: descriptor & 1 << 2 != 0,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_as_long_as_they_say() {
        let frame = |len, window, dictionary, content_len, has_checksum| {
            Start::Frame(FrameHeader {
                len,
                window,
                dictionary,
                content_len,
                has_checksum,
            })
        };
        let cases: [(&[u8], Start); 7] = [
            (&[0x20, 7], frame(6, 7, None, Some(7), false)),
            (&[0x00, 0x00], frame(6, 1024, None, None, false)),
            (
                &[0x04, 0x59],
                frame(6, (1 << 21) + (1 << 18), None, None, true),
            ),
            (&[0x01, 0x50, 9], frame(7, 1 << 20, Some(9), None, false)),
            (
                &[0x03, 0x50, 0, 0, 0, 0],
                frame(10, 1 << 20, None, None, false),
            ),
            (&[0x60, 1, 1], frame(7, 513, None, Some(513), false)),
            (
                &[0xc3, 0xff, 1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0, 0],
                frame(
                    18,
                    (1 << 41) + 7 * (1 << 38),
                    Some(0x0403_0201),
                    Some(5),
                    false,
                ),
            ),
        ];
        for (fields, expected) in cases {
            let header = [&MAGIC, fields].concat();
            for short in 0..header.len() {
                let start = Start::of(&header[..short]).unwrap();
                assert!(matches!(start, Start::Short(len) if short < len && len <= header.len()));
            }
            assert_eq!(Start::of(&header).unwrap(), expected, "{fields:?}");
        }
        let reserved = [&MAGIC[..], &[0x08, 0]].concat();
        assert_eq!(Start::of(&reserved), Err(Corruption::Reserved));
    }

    #[test]
    fn skippable_frames_have_sixteen_numbers() {
        for low in 0..16 {
            let header = [0x50 | low, 0x2a, 0x4d, 0x18, 1, 2, 0, 0];
            assert_eq!(Start::of(&header), Ok(Start::Skippable(0x201)));
            assert_eq!(Start::of(&header[..5]), Ok(Start::Short(8)));
        }
        for other in [
            &[0x60][..],
            &[0x28, 0x2a],
            &[0x28, 0xb5, 0x2f, 0xfc],
            &[0x5f, 0x2a, 0x4d, 0],
        ] {
            assert_eq!(Start::of(other), Ok(Start::Other));
        }
    }
}
