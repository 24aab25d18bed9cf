//! Sparse files.

use super::{Corpus, show};
use crate::readers::tape::{GNU, Header, Tape, USTAR};

pub(super) fn sparse(all: &mut Corpus) {
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
