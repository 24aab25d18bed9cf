//! Prioritized files: the peer's own cases, as far as they are about order.

use image_model::order::{Named, PathsTooLong, walk, walk_by_table};
use image_model::{InodeId, Limits};
use lazyoci_estargz_toc::order::prioritize;

use crate::common::{TreeMaker, path};

/// Names, each of an inode of its own unless it is given as `LINK=FIRST`; wanted paths; the order
/// that comes of them, `|` for the landmark; the wanted that are missed.
#[track_caller]
fn check(names: &str, wanted: &str, expected: &str, missed: &[usize]) {
    let mut list: Vec<Named> = Vec::new();
    for (number, name) in (0..).zip(names.split_whitespace()) {
        let (name, first) = name.split_once('=').unwrap_or((name, ""));
        let of_first = list
            .iter()
            .find(|named| named.path == path(first) && !first.is_empty());
        let inode = of_first.map_or(InodeId::new(number), |named| named.inode);
        list.push(Named {
            path: path(name),
            inode,
        });
    }
    let wanted: Vec<_> = wanted.split_whitespace().map(path).collect();
    let found = prioritize(list, &wanted);
    let mut order: Vec<_> = found
        .names
        .iter()
        .map(|named| named.path.to_string())
        .collect();
    order.insert(found.landmark, "|".to_owned());
    let expected: Vec<_> = expected
        .split_whitespace()
        .map(|name| {
            if name == "|" {
                name.to_owned()
            } else {
                path(name).to_string()
            }
        })
        .collect();
    assert_eq!(order, expected);
    assert_eq!(found.missed, missed);
}

#[test]
fn nothing_wanted() {
    check(
        "foo.txt bar/ bar/baz.txt",
        "",
        "| foo.txt bar/ bar/baz.txt",
        &[],
    );
    check("", "a", "|", &[0]);
}

#[test]
fn files_in_the_order_of_the_list() {
    check(
        "foo.txt bar/ bar/baz.txt bar/bar.txt bar/baa.txt",
        "foo.txt bar/baz.txt",
        "foo.txt bar/ bar/baz.txt | bar/bar.txt bar/baa.txt",
        &[],
    );
    check(
        "foo.txt baz bar baa",
        "baa bar baz",
        "baa bar baz | foo.txt",
        &[],
    );
    check("a b", "./b ../b /b b/", "b | a", &[]);
}

#[test]
fn directories_come_before_what_is_in_them() {
    check(
        "foo.txt bar/ baz/ baz/bazbaz/ baz/bazbaz/a.txt baz/bazbaz/b.txt baz/baz1.txt baz/baz2.txt",
        "baz/bazbaz/a.txt baz/baz2.txt foo.txt",
        "baz/ baz/bazbaz/ baz/bazbaz/a.txt baz/baz2.txt foo.txt | bar/ baz/bazbaz/b.txt baz/baz1.txt",
        &[],
    );
    check("d/ d/x d/y", "d", "d/ | d/x d/y", &[]);
}

#[test]
fn the_root_comes_with_anything() {
    check("./ a b", "b", "./ b | a", &[]);
    check("a b ./", "/", "./ | a b", &[]);
    check("a", "/", "| a", &[]);
}

#[test]
fn a_link_pulls_the_first_name() {
    check(
        "baz.txt bar/ bar/bar.txt=baz.txt foo.txt",
        "bar/bar.txt",
        "bar/ baz.txt bar/bar.txt | foo.txt",
        &[],
    );
    check(
        "baz.txt bar.txt=baz.txt foo.txt",
        "baz.txt",
        "baz.txt | bar.txt foo.txt",
        &[],
    );
    check("d/ d/f x/ x/l=d/f", "x/l", "x/ d/ d/f x/l | ", &[]);
}

#[test]
fn what_is_not_there_is_missed() {
    check(
        "foo.txt bar/ bar/baz.txt",
        "x bar/x foo.txt bar/baz.txt/y",
        "foo.txt | bar/ bar/baz.txt",
        &[0, 1, 3],
    );
}

#[test]
fn directories_without_entries_are_no_obstacle() {
    check("a/ x a/b/c", "a/b/c", "a/ a/b/c | x", &[]);
    // That of a link's first name has none.
    check("n/f x d/ d/l=n/f", "d/l", "d/ n/f d/l | x", &[]);
    // One that is wanted itself has none either.
    check("a/b", "a", "| a/b", &[0]);
}

#[test]
fn whiteouts_come_before_what_could_replace_what_they_hide() {
    check(
        "d/ d/.wh..wh..opq d/.wh.a d/.wh.b d/a",
        "d/a",
        "d/ d/.wh..wh..opq d/.wh.a d/a | d/.wh.b",
        &[],
    );
    // Those of the directories on the way too, whether these have entries or not.
    check(
        ".wh.d .wh..wh..opq d/.wh.e x d/e/f",
        "d/e/f",
        ".wh..wh..opq .wh.d d/.wh.e d/e/f | x",
        &[],
    );
    // And those of a link's first name.
    check(
        "n/ n/.wh.f n/f d/ d/.wh.l d/l=n/f",
        "d/l",
        "d/ n/ n/.wh.f n/f d/.wh.l d/l | ",
        &[],
    );
    // A wanted whiteout comes behind the opaque marker.
    check(
        "x d/.wh.a d/.wh..wh..opq",
        "d/.wh.a d/.wh..wh..opq",
        "d/.wh..wh..opq d/.wh.a | x",
        &[],
    );
}

#[test]
fn a_walk_has_whiteouts_first() {
    let mut maker = TreeMaker::new();
    for name in ["+p", ".wh..a", ".wh.+p", ".wh..wh..opq", ".wh.z", "z"] {
        maker.file(name, b"");
    }
    let names: Vec<_> = walk(&maker.0, &Limits::default())
        .unwrap()
        .iter()
        .map(|named| named.path.to_string())
        .collect();
    let opaque_first = [
        "/",
        "/.wh..wh..opq",
        "/.wh.+p",
        "/.wh..a",
        "/.wh.z",
        "/+p",
        "/z",
    ];
    assert_eq!(names, opaque_first);
}

#[test]
fn a_walk_is_in_byte_order() {
    let mut maker = TreeMaker::new();
    maker.directory("a", 0o755, 0);
    maker.file("a/z", b"");
    maker.file("a-b", b"");
    let f = maker.file("B", b"");
    maker.name("c", f);
    let names: Vec<_> = walk(&maker.0, &Limits::default())
        .unwrap()
        .iter()
        .map(|named| named.path.to_string())
        .collect();
    assert_eq!(names, ["/", "/B", "/a", "/a/z", "/a-b", "/c"]);
}

#[test]
fn siblings_keep_the_order_of_the_table() {
    let mut maker = TreeMaker::new();
    let z = maker.file("z", b"");
    maker.directory("a", 0o755, 0);
    maker.file("a.b", b"");
    maker.file("a/d", b"");
    maker.file("a/c", b"");
    maker.name("a/y", z);
    let names: Vec<_> = walk_by_table(&maker.0, &Limits::default())
        .unwrap()
        .iter()
        .map(|named| named.path.to_string())
        .collect();
    assert_eq!(names, ["/", "/z", "/a", "/a/y", "/a/d", "/a/c", "/a.b"]);
}

#[test]
fn paths_are_limited_together() {
    let mut maker = TreeMaker::new();
    maker.directory("aa", 0o755, 0);
    maker.directory("aa/bb", 0o755, 0);
    maker.file("aa/bb/cc", b"");
    let limits = |max_metadata_len| Limits::default().max_metadata_len(max_metadata_len);
    let len = 2 + 5 + 8;
    let too_long = PathsTooLong {
        path: path("aa/bb/cc"),
        limit: len - 1,
    };
    for walk in [walk, walk_by_table] {
        assert_eq!(walk(&maker.0, &limits(len)).unwrap().len(), 4);
        assert_eq!(walk(&maker.0, &limits(len - 1)), Err(too_long.clone()));
    }
}
