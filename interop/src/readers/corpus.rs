//! Odd tars, the same ones every time.

use super::tape::{GNU, Header, Tape, USTAR, V7, record};

/// A tar that somebody may read differently.
#[derive(Debug)]
pub struct Odd {
    /// What is odd: the kind, as a word, and the very case; of a mixed one both.
    pub cases: Vec<(&'static str, String)>,
    /// Its bytes.
    pub tar: Vec<u8>,
}

/// All of them.
#[must_use]
pub fn corpus() -> Vec<Odd> {
    let mut all = Corpus::default();
    for part in [
        numbers, checksums, magics, names, types, links, values, forms, orders, sparse, whiteouts,
        ends, replaced, mixed,
    ] {
        part(&mut all);
    }
    all.0
}

#[derive(Default)]
struct Corpus(Vec<Odd>);

impl Corpus {
    fn add(&mut self, kind: &'static str, name: impl Into<String>, tar: Vec<u8>) {
        let cases = vec![(kind, name.into())];
        self.0.push(Odd { cases, tar });
    }
}

const MAGICS: [(&str, &[u8]); 3] = [("ustar", USTAR), ("gnu", GNU), ("v7", V7)];

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

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

fn numbers(all: &mut Corpus) {
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

fn checksums(all: &mut Corpus) {
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

fn magics(all: &mut Corpus) {
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

fn names(all: &mut Corpus) {
    let long = [b'l'; 250];
    let deep = [&b"d/"[..]; 60].concat();
    let names: [&[u8]; 26] = [
        b"",
        b".",
        b"./",
        b"/",
        b"//",
        b"./a",
        b"/a",
        b"//a",
        b"a/",
        b"a//b",
        b"a/./b",
        b"./././a",
        b"a/.",
        b"a b",
        b"a\nb",
        b"a\\b",
        b"a\x7fb",
        b"\xc3\xa4",
        b"\xff\xfe",
        b"...",
        b"..a",
        b"-a",
        b"a:b",
        b" ",
        &long[..100],
        &deep[..99],
    ];
    for name in names {
        for typeflag in [b'0', b'5', 0, b'2'] {
            let link: &[u8] = if typeflag == b'2' { b"target" } else { b"" };
            let member = |tape: Tape, block: &[u8]| {
                let header = Header::new(block, typeflag).link(link);
                tape.header(header)
            };
            let label = format!("{} {}", char::from(typeflag).escape_default(), show(name));
            all.add(
                "name",
                format!("block {label}"),
                member(Tape::default(), name).end(),
            );
            let tape = Tape::default().long(b'L', name);
            all.add("name", format!("L {label}"), member(tape, b"block").end());
            let tape = Tape::default().pax(b'x', &[("path", name)]);
            all.add(
                "name",
                format!("path {label}"),
                member(tape, b"block").end(),
            );
        }
    }
    for len in [100, 101, 155, 156, 250] {
        let tape = Tape::default().long(b'L', &long[..len]).file("block", b"1");
        all.add("name", format!("L of {len}"), tape.end());
        let tape = Tape::default()
            .pax(b'x', &[("path", &long[..len])])
            .file("block", b"1");
        all.add("name", format!("path of {len}"), tape.end());
    }
}

fn types(all: &mut Corpus) {
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

fn links(all: &mut Corpus) {
    let base = || {
        Tape::default()
            .dir("d")
            .file("d/f", b"content")
            .symlink("s", "d")
            .symlink("t", "d/f")
    };
    let targets = [
        "d/f", "./d/f", "/d/f", "d//f", "d/./f", "d/f/", "d", "s", "t", "s/f", "s/../d/f", "gone",
        "gone/f", "", ".", "/", "later", "link", "link/x", "zz-end",
    ];
    for target in targets {
        let tape = base().hardlink("link", target).file("later", b"later");
        all.add("hard link", format!("to {target}"), tape.end());
        let tape = base().hardlink("s/link", target);
        all.add(
            "hard link",
            format!("through a symlink to {target}"),
            tape.end(),
        );
        let tape = base().symlink("link", target).file("link/x", b"x");
        all.add("symlink", format!("to {target}, a file below"), tape.end());
        let tape = base().symlink("link", target).dir("link/");
        all.add(
            "symlink",
            format!("to {target}, a directory over it"),
            tape.end(),
        );
        let tape = base().symlink("link", target).file("link", b"x");
        all.add(
            "symlink",
            format!("to {target}, a file over it"),
            tape.end(),
        );
        let tape = base().long(b'K', target.as_bytes()).hardlink("link", "d/f");
        all.add("hard link", format!("K to {target}"), tape.end());
        let tape = base()
            .pax(b'x', &[("linkpath", target.as_bytes())])
            .symlink("link", "block");
        all.add("symlink", format!("linkpath to {target}"), tape.end());
        let tape = base()
            .pax(b'x', &[("linkpath", target.as_bytes())])
            .long(b'K', b"d/f")
            .symlink("link", "block");
        all.add("symlink", format!("linkpath and K to {target}"), tape.end());
    }
    for size in ["0", "5", "7", "512"] {
        for typeflag in b'1'..=b'6' {
            for header_size in [0, 7] {
                let header = Header::new(b"link", typeflag)
                    .link(b"d/f")
                    .size(header_size);
                let tape = base()
                    .pax(b'x', &[("size", size.as_bytes())])
                    .header(header);
                let label = format!(
                    "type {} PAX {size} header {header_size}",
                    char::from(typeflag)
                );
                all.add("size of no payload", label, tape.end());
            }
        }
    }
}

fn values(all: &mut Corpus) {
    let keys = [
        "path",
        "linkpath",
        "size",
        "uid",
        "gid",
        "mtime",
        "atime",
        "ctime",
        "uname",
        "comment",
        "SCHILY.xattr.user.a",
        "LIBARCHIVE.xattr.user.a",
        "hdrcharset",
        "SCHILY.acl.access",
        "SCHILY.xattr.",
        "VENDOR.key",
        "devmajor",
        "mode",
    ];
    let values: [&[u8]; 22] = [
        b"",
        b"0",
        b"5",
        b"-1",
        b"1.5",
        b"-0.5",
        b"-1.5",
        b"1.",
        b".5",
        b"x",
        b" 5",
        b"5 ",
        b"05",
        b"+5",
        b"5\n",
        b"4294967296",
        b"9223372036854775807",
        b"9223372036854775808",
        b"1.1234567891",
        b"a/b",
        b"a\0b",
        b"BINARY",
    ];
    for key in keys {
        for value in values {
            let tape = Tape::default().pax(b'x', &[(key, value)]);
            let tape = match key {
                "linkpath" => tape.symlink("a", "target"),
                "size" => tape
                    .header(Header::new(b"a", b'0').size(5))
                    .bytes(b"hello")
                    .pad(),
                _ => tape.file("a", b"hello"),
            };
            all.add("PAX value", format!("{key}={}", show(value)), tape.end());
        }
        for (first, second) in [("5", "6"), ("5", "5"), ("5", ""), ("", "5")] {
            let records = [(key, first.as_bytes()), (key, second.as_bytes())];
            let tape = Tape::default().pax(b'x', &records).file("a", b"hello");
            all.add(
                "PAX record twice",
                format!("{key}={first}, {second}"),
                tape.end(),
            );
        }
        let tape = Tape::default()
            .pax(b'g', &[(key, b"5")])
            .file("a", b"hello");
        all.add("global PAX record", key, tape.file("b", b"b").end());
    }
}

fn forms(all: &mut Corpus) {
    let good = record(b"mtime", b"5");
    let forms: [&[u8]; 24] = [
        b"",
        b"\0",
        b"\n",
        b"11 mtime=5\n",
        b"10 mtime=5\n",
        b"12 mtime=5\n",
        b"9 mtime=5\n",
        b"011 mtime=5\n",
        b" 11 mtime=5\n",
        b"11  mtime=5\n",
        b"11 mtime=5\0",
        b"11 mtime 5\n",
        b"9 =mtime\n",
        b"+11 mtime=5\n",
        b"-11 mtime=5\n",
        b"0 mtime=5\n",
        b"99999999999999999999 mtime=5\n",
        b"11mtime=5\n",
        b"x mtime=5\n",
        b"11 mtime=5\n\0",
        b"11 mtime=5\n\n",
        b"11\tmtime=5\n",
        b"11 m\0ime=5\n",
        b"5 a=\n",
    ];
    for form in forms {
        for (label, payload) in [
            ("alone", form.to_vec()),
            ("first", [form, &good].concat()),
            ("last", [&good, form].concat()),
        ] {
            let tape = Tape::default().raw_pax(b'x', &payload).file("a", b"hello");
            all.add("PAX form", format!("{label} {}", show(form)), tape.end());
        }
    }
}

fn orders(all: &mut Corpus) {
    type Extension = (&'static str, fn(Tape) -> Tape);
    let extensions: [Extension; 8] = [
        ("path", |tape| tape.pax(b'x', &[("path", b"pax")])),
        ("mtime", |tape| tape.pax(b'x', &[("mtime", b"7")])),
        ("size", |tape| tape.pax(b'x', &[("size", b"5")])),
        ("L", |tape| tape.long(b'L', b"gnu")),
        ("K", |tape| tape.long(b'K', b"target")),
        ("comment", |tape| tape.pax(b'g', &[("comment", b"c")])),
        ("empty", |tape| tape.raw_pax(b'x', b"")),
        ("same", |tape| tape.pax(b'x', &[("path", b"gnu")])),
    ];
    let mut orders: Vec<Vec<Extension>> = vec![Vec::new()];
    for _ in 0..3 {
        let longer: Vec<_> = orders
            .iter()
            .flat_map(|order| extensions.map(|extension| [&order[..], &[extension]].concat()))
            .collect();
        for order in &longer {
            let names: Vec<_> = order.iter().map(|(name, _)| *name).collect();
            // Of the many orders of three, those without the two that matter least.
            if names.len() == 3
                && names
                    .iter()
                    .any(|name| matches!(*name, "empty" | "mtime" | "K"))
            {
                continue;
            }
            let tape = order
                .iter()
                .fold(Tape::default(), |tape, (_, add)| add(tape));
            all.add(
                "order",
                names.join(" "),
                tape.clone().file("block", b"hello").end(),
            );
            if names.len() == 1 {
                all.add("order", format!("{} alone", names[0]), tape.clone().0);
                all.add(
                    "order",
                    format!("{} at the end", names[0]),
                    tape.bytes(&[0; 1024]).0,
                );
            }
        }
        orders = longer;
    }
}

fn sparse(all: &mut Corpus) {
    let data = [b's'; 1024];
    // Old GNU: pairs, real size, stored bytes.
    for (pairs, real, stored) in [
        (&[(0, 512), (1024, 512)][..], 2048, 1024),
        (&[(512, 512)], 1024, 512),
        (&[(0, 0)], 4096, 0),
        (&[], 4096, 0),
        (&[], 0, 0),
        (&[(0, 5), (1024, 5)], 2048, 10),
        (&[(0, 512), (256, 512)], 2048, 1024),
        (&[(1024, 512), (0, 512)], 2048, 1024),
        (&[(0, 512), (1024, 512)], 1024, 1024),
        (&[(0, 512)], 512, 1024),
        (&[(0, 1024)], 1024, 512),
        (&[(0, 512), (2048, 0)], 2048, 512),
        (&[(0, 512), (512, 512)], 1024, 1024),
    ] {
        for magic in [GNU, USTAR] {
            let mut header = Header::new(b"a", b'S')
                .magic(magic)
                .size(stored)
                .octal(483, 12, real);
            for (at, &(offset, len)) in pairs.iter().enumerate() {
                header = header
                    .octal(386 + 24 * at, 12, offset)
                    .octal(398 + 24 * at, 12, len);
            }
            let tape = Tape::default().header(header).bytes(&data[..stored]).pad();
            all.add(
                "sparse",
                format!("S {} {pairs:?} {real} {stored}", show(magic)),
                tape.end(),
            );
        }
    }
    let pair = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    for (map, size, count, stored) in [
        ("0,512,1024,512", "2048", "2", 1024),
        ("512,512", "1024", "1", 512),
        ("0,512,1024,512", "2048", "3", 1024),
        ("0,512,1024", "2048", "2", 1024),
        ("0,512,256,512", "2048", "2", 1024),
        ("0,5,1024,5", "2048", "2", 10),
        ("0,512", "", "1", 512),
        ("0,x", "512", "1", 512),
        ("0,-1", "512", "1", 512),
        ("0,0", "512", "1", 0),
    ] {
        let mut header = vec![
            ("GNU.sparse.size", size.as_bytes()),
            ("GNU.sparse.numblocks", count.as_bytes()),
        ];
        let numbers = pair(map);
        let mut old = header.clone();
        for (at, number) in numbers.iter().enumerate() {
            let key = if at % 2 == 0 {
                "GNU.sparse.offset"
            } else {
                "GNU.sparse.numbytes"
            };
            old.push((key, number.as_bytes()));
        }
        let tape = Tape::default().pax(b'x', &old).file("a", &data[..stored]);
        all.add(
            "sparse",
            format!("0.0 {map} {size} {count} {stored}"),
            tape.end(),
        );
        header.push(("GNU.sparse.map", map.as_bytes()));
        let tape = Tape::default()
            .pax(b'x', &header)
            .file("a", &data[..stored]);
        all.add(
            "sparse",
            format!("0.1 {map} {size} {count} {stored}"),
            tape.end(),
        );
        header.push(("GNU.sparse.name", b"named"));
        let tape = Tape::default()
            .pax(b'x', &header)
            .file("a", &data[..stored]);
        all.add(
            "sparse",
            format!("0.1 named {map} {size} {count} {stored}"),
            tape.end(),
        );
    }
    for (major, minor) in [
        ("1", "0"),
        ("1", "1"),
        ("2", "0"),
        ("0", "1"),
        ("0", "0"),
        ("1", ""),
    ] {
        for (map, size, stored) in [
            ("2\n0\n512\n1024\n512\n", "2048", 1024),
            ("1\n0\n0\n", "4096", 0),
            ("0\n", "4096", 0),
            ("1\n0\n512\n", "512", 1024),
            ("1\n0\n512\n", "", 512),
            ("x\n", "512", 512),
            ("1\n512\n", "512", 512),
            ("2\n0\n5\n1024\n5\n", "2048", 10),
        ] {
            let records = [
                ("GNU.sparse.major", major.as_bytes()),
                ("GNU.sparse.minor", minor.as_bytes()),
                ("GNU.sparse.name", b"named"),
                ("GNU.sparse.realsize", size.as_bytes()),
            ];
            let mut payload = Tape::default().bytes(map.as_bytes()).pad().0;
            payload.extend_from_slice(&data[..stored]);
            let tape = Tape::default().pax(b'x', &records).file("a", &payload);
            all.add(
                "sparse",
                format!("{major}.{minor} {map:?} {size} {stored}"),
                tape.end(),
            );
        }
    }
}

fn whiteouts(all: &mut Corpus) {
    let names = [
        ".wh.a",
        ".wh.",
        ".wh..",
        ".wh...",
        ".wh....",
        ".wh..a",
        ".wh..wh..opq",
        ".wh..wh.plnk",
        ".wh..wh.",
        ".wh..wh.a",
        ".wh.d",
    ];
    for name in names {
        for parent in ["", "d/"] {
            let path = format!("{parent}{name}");
            let base = || Tape::default().dir("d").file("d/a", b"a").file("a", b"a");
            all.add(
                "whiteout",
                format!("{path} file"),
                base().file(&path, b"").end(),
            );
            all.add(
                "whiteout",
                format!("{path} with content"),
                base().file(&path, b"content").end(),
            );
            all.add(
                "whiteout",
                format!("{path} hard link"),
                base().hardlink(&path, "a").end(),
            );
            all.add(
                "whiteout",
                format!("{path} symlink"),
                base().symlink(&path, "a").end(),
            );
        }
    }
}

fn ends(all: &mut Corpus) {
    let tape = Tape::default().file("a", b"hello");
    let zeros = |len: usize| vec![0; len];
    for len in [0, 1, 100, 511, 512, 513, 1023, 1024, 1025, 1536, 8192] {
        all.add(
            "end",
            format!("{len} zeros"),
            tape.clone().bytes(&zeros(len)).0,
        );
    }
    for garbage in [&b"garbage"[..], &[b'g'; 512], &[b'g'; 1024]] {
        for len in [0, 512, 1024, 1536] {
            let tar = tape.clone().bytes(&zeros(len)).bytes(garbage).0;
            all.add(
                "end",
                format!("{len} zeros, {} of garbage", garbage.len()),
                tar,
            );
        }
    }
    for len in [512, 1024] {
        let tar = tape.clone().bytes(&zeros(len)).file("b", b"b").end();
        all.add("end", format!("{len} zeros, a member"), tar);
    }
    for cut in [1, 100, 506, 507, 511, 512, 600, 1023] {
        let whole = tape.clone().0;
        all.add(
            "end",
            format!("{cut} bytes cut off"),
            whole[..whole.len() - cut].to_vec(),
        );
    }
    all.add("end", "empty", Vec::new());
    all.add("end", "zeros alone", zeros(10_240));
}

fn replaced(all: &mut Corpus) {
    type Add = (&'static str, fn(Tape) -> Tape);
    let kinds: [Add; 6] = [
        ("file", |tape| tape.file("p", b"file")),
        ("other file", |tape| tape.file("./p", b"other")),
        ("directory", |tape| tape.dir("p/")),
        ("full directory", |tape| tape.dir("p").file("p/in", b"in")),
        ("symlink", |tape| tape.symlink("p", "q")),
        ("hard link", |tape| tape.hardlink("p", "q/f")),
    ];
    for (first, add_first) in kinds {
        for (second, add_second) in kinds {
            let tape = Tape::default().dir("q").file("q/f", b"f");
            let tape = add_second(add_first(tape));
            all.add(
                "replaced",
                format!("{first} by {second}"),
                tape.clone().end(),
            );
            all.add(
                "replaced",
                format!("{first} by {second}, a file below"),
                tape.file("p/x", b"x").end(),
            );
        }
    }
    for names in [["a/b/c", "a"], ["a", "a/b"], ["a/b", "a/b/c"]] {
        let tape = names
            .iter()
            .fold(Tape::default(), |tape, name| tape.file(name, b"1"));
        all.add("replaced", names.join(" "), tape.end());
    }
}

/// Two oddities in one tar, by a fixed sequence of numbers.
fn mixed(all: &mut Corpus) {
    let members: Vec<_> = all
        .0
        .iter()
        .filter(|odd| matches!(odd.cases[0].0, "number" | "magic" | "PAX value"))
        .map(|odd| {
            (
                odd.cases[0].clone(),
                odd.tar[..odd.tar.len() - 2048].to_vec(),
            )
        })
        .collect();
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        &members[(state >> 8) as usize % members.len()]
    };
    let mut mixed = Vec::new();
    for _ in 0..150 {
        let (first, second) = (next(), next());
        let tar = Tape(first.1.clone()).bytes(&second.1).end();
        let cases = vec![first.0.clone(), second.0.clone()];
        mixed.push(Odd { cases, tar });
    }
    all.0.append(&mut mixed);
}
