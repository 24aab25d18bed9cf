//! Names, and what links lead to.

use super::{Corpus, show};
use crate::readers::tape::{Header, Tape};

pub(super) fn names(all: &mut Corpus) {
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

pub(super) fn links(all: &mut Corpus) {
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
