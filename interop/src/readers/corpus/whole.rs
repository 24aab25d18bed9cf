//! What entries do to one another, and how a tar ends.

use super::Corpus;
use crate::readers::tape::Tape;

pub(super) fn whiteouts(all: &mut Corpus) {
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

pub(super) fn ends(all: &mut Corpus) {
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

pub(super) fn replaced(all: &mut Corpus) {
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
