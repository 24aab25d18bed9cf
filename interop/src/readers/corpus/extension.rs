//! PAX and GNU headers: values, forms, orders.

use super::{Corpus, show};
use crate::readers::tape::{Header, Tape, record};

pub(super) fn values(all: &mut Corpus) {
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

pub(super) fn forms(all: &mut Corpus) {
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

pub(super) fn orders(all: &mut Corpus) {
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
