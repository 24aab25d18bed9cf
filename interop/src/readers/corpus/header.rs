//! What a header block says: numbers, checksums, magic, types.

use super::{Corpus, MAGICS, show};
use crate::readers::tape::{GNU, Header, Tape, USTAR, V7};

/// The ways to write `value` into `width` bytes, right ones and wrong ones.
fn spellings(value: u64, width: usize) -> Vec<Vec<u8>> {
    let fill = |text: &str, with: u8| {
        let mut field = text.as_bytes().to_vec();
        field.resize(width, with);
        field
    };
    let front = |text: &str, with: u8| {
        let mut field = vec![with; width - text.len()];
        field.extend_from_slice(text.as_bytes());
        field
    };
    let octal = format!("{value:o}");
    let binary = |value: i64, first: u8| {
        let wide = i128::from(value).to_be_bytes();
        let mut field = wide[wide.len() - width..].to_vec();
        field[0] |= first;
        field
    };
    let signed = value.cast_signed();
    vec![
        fill(&octal, 0),
        fill(&octal, b' '),
        fill(&format!("{octal} "), 0),
        front(&octal, b' '),
        front(&octal, b'0'),
        front(&octal, 0),
        front(&format!("{octal} "), 0),
        front(&format!("{octal}\0"), b' '),
        fill(&format!(" {octal}"), 0),
        fill(&format!("\0{octal}"), 0),
        fill(&format!("{octal}\x001"), 0),
        fill(&format!("{octal} 1"), 0),
        fill(&format!("{octal}x"), 0),
        fill(&format!("{octal}8"), 0),
        fill(&format!("+{octal}"), 0),
        fill(&format!("-{octal}"), 0),
        fill(&format!("0x{octal}"), 0),
        fill("", b' '),
        fill("", 0),
        fill("", b'7'),
        fill("\t", 0),
        binary(signed, 0x80),
        binary(-1 - signed, 0xff),
        binary(i64::MAX, 0x80),
        binary(i64::MIN, 0xff),
        fill("\u{0}", 0xff),
        front(&octal, 0x80),
    ]
}

pub(super) fn numbers(all: &mut Corpus) {
    let fields = [
        ("mode", 100, 8, 0o600),
        ("uid", 108, 8, 5),
        ("gid", 116, 8, 6),
        ("size", 124, 12, 5),
        ("mtime", 136, 12, 0o12),
        ("devmajor", 329, 8, 1),
    ];
    for (magic_name, magic) in MAGICS {
        for (field, at, width, value) in fields {
            for spelling in spellings(value, width) {
                let typeflag = if field == "devmajor" { b'3' } else { b'0' };
                let header = Header::new(b"a", typeflag).magic(magic);
                let header = match typeflag {
                    b'0' => header.size(5).put(at, &spelling),
                    _ => header.put(at, &spelling),
                };
                let tape = Tape::default().header(header);
                let tape = match typeflag {
                    b'0' => tape.bytes(b"hello").pad(),
                    _ => tape,
                };
                all.add(
                    "number",
                    format!("{magic_name} {field} {}", show(&spelling)),
                    tape.end(),
                );
            }
        }
    }
}

pub(super) fn checksums(all: &mut Corpus) {
    for name in [&b"a"[..], b"\xc3\xa4"] {
        let header = Header::new(name, b'0');
        let (sum, signed) = (header.sum(false), header.sum(true));
        for field in [
            format!("{sum:06o}\0 "),
            format!("{sum:06o} \0"),
            format!("{sum:07o}\0"),
            format!("{sum:08o}"),
            format!("{sum:o}"),
            format!("{sum:6o}\0 "),
            format!(" {sum:o}"),
            format!("\0{sum:o}"),
            format!("{signed:06o}\0 "),
            format!("{:06o}\0 ", sum + 1),
            format!("{sum:06o}\0x"),
            format!("{sum:06o}x"),
            String::new(),
            "        ".into(),
        ] {
            let tape = Tape::default().bytes(&header.clone().block_with(field.as_bytes()));
            all.add(
                "checksum",
                format!("{} {}", show(name), show(field.as_bytes())),
                tape.end(),
            );
        }
    }
}

pub(super) fn magics(all: &mut Corpus) {
    let magics: [&[u8]; 12] = [
        USTAR,
        GNU,
        V7,
        b"ustar\x0001",
        b"ustar\0\0\0",
        b"ustar\0  ",
        b"ustar 00",
        b"ustar  1",
        b"ustar   ",
        b"USTAR\x0000",
        b"GNUtar \0",
        b"ustar\0xx",
    ];
    let rests: [(&str, usize, &[u8]); 9] = [
        ("nothing", 345, b""),
        ("prefix", 345, b"pre"),
        ("prefix with slash", 345, b"pre/"),
        ("prefix of spaces", 345, b"   "),
        ("prefix not ascii", 345, b"pr\xe9"),
        ("octal times", 345, b"00000000001\x0000000000002\0"),
        ("full prefix", 345, &[b'p'; 155]),
        ("uname", 265, b"root"),
        ("star trailer", 508, b"tar\0"),
    ];
    for magic in magics {
        for (rest, at, bytes) in rests {
            for name in [&b"a"[..], &[b'n'; 100]] {
                let header = Header::new(name, b'0').magic(magic).put(at, bytes);
                let name = format!("{} {rest} {}", show(magic), name.len());
                all.add(
                    "magic",
                    name,
                    Tape::default().member(header, b"hello").end(),
                );
            }
        }
    }
}

pub(super) fn types(all: &mut Corpus) {
    let others = (b'A'..=b'Z')
        .chain(b'a'..=b'z')
        .filter(|t| !b"LKXxgSAMNV".contains(t));
    let odd = others.step_by(5).chain(*b"89AMNV ~");
    for typeflag in [0].into_iter().chain(b'0'..=b'7').chain(odd) {
        for name in ["a", "a/"] {
            for size in [0, 5, 512] {
                for magic in [USTAR, GNU] {
                    let header = Header::new(name.as_bytes(), typeflag)
                        .magic(magic)
                        .size(size);
                    let header = match typeflag {
                        b'1' => header.link(b"first"),
                        b'2' => header.link(b"t"),
                        b'3' | b'4' => header.octal(329, 8, 1).octal(337, 8, 3),
                        _ => header,
                    };
                    let start = Tape::default().file("first", b"1").header(header);
                    let label = format!(
                        "{} {name} {size} {}",
                        char::from(typeflag).escape_default(),
                        show(magic)
                    );
                    if size == 0 {
                        all.add("type", label, start.end());
                        continue;
                    }
                    all.add(
                        "type",
                        format!("{label}, no payload"),
                        start.clone().file("inside", b"").end(),
                    );
                    let payload = start.bytes(&vec![b'p'; size]).pad();
                    all.add("type", format!("{label}, payload"), payload.end());
                }
            }
        }
    }
}
