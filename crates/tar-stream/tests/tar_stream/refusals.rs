//! What strict reading refuses, each with its own reason and offset, and what lenient reading,
//! which follows Go, makes of the same tape.

use image_model::advisory::Oddity;
use lazyoci_tar_stream::block::Field;
use lazyoci_tar_stream::{EntryKind, Refusal, TarError, TarReader};

use crate::tape::*;

/// Checks that strict reading refuses, and answers the names that lenient reading finds.
fn refused(tape: Tape, offset: u64, reason: &Refusal) -> Vec<String> {
    let tar = tape.end();
    match entries(&tar, strict()) {
        Err(TarError::Refused {
            offset: at,
            reason: found,
        }) => assert_eq!((at, &found), (offset, reason)),
        other => panic!("{reason:?}: {other:?}"),
    }
    names(&tar, lenient())
}

fn bytes(text: &str) -> Box<[u8]> {
    text.as_bytes().into()
}

/// GNU tar: the PAX name. Go: the GNU name. Python: whichever comes first.
#[test]
fn pax_and_gnu_names_that_differ() {
    let reason = Refusal::Names {
        pax: bytes("pax"),
        gnu: bytes("gnu"),
    };
    let member = |tape: Tape| tape.header(header(b"block", b'0'));
    let tape = Tape::new().pax(&[("path", "pax")]).long(b'L', b"gnu");
    assert_eq!(refused(member(tape), 2048, &reason), ["gnu"]);
    let tape = Tape::new().long(b'L', b"gnu").pax(&[("path", "pax")]);
    assert_eq!(refused(member(tape), 2048, &reason), ["gnu"]);
}

#[test]
fn pax_and_gnu_link_targets_that_differ() {
    let reason = Refusal::LinkTargets {
        pax: bytes("pax"),
        gnu: bytes("gnu"),
    };
    let tape = Tape::new()
        .pax(&[("linkpath", "pax")])
        .long(b'K', b"gnu")
        .header(header(b"a", b'2'));
    refused(tape.clone(), 2048, &reason);
    assert_eq!(
        entries(&tape.end(), lenient()).unwrap()[0].link_target,
        b"gnu"
    );
}

/// GNU tar and Python: an empty name. Go: the header block's.
#[test]
fn an_empty_gnu_name() {
    for typeflag in [b'L', b'K'] {
        let reason = Refusal::EmptyLongName { typeflag };
        let tape = Tape::new()
            .file("first", b"")
            .long(typeflag, b"")
            .header(header(b"block", b'0'));
        assert_eq!(refused(tape, 512, &reason), ["first", "block"]);
    }
}

/// bsdtar: skips what the PAX size says. Go, GNU tar: nothing.
#[test]
fn a_pax_size_for_a_kind_without_payload() {
    for typeflag in b'1'..=b'6' {
        for (pax, header_size) in [(512, 0), (0, 512), (512, 7)] {
            let reason = Refusal::PaxSizeWithoutPayload {
                typeflag,
                pax,
                header: header_size,
            };
            let tape = Tape::new()
                .pax(&[("size", &pax.to_string())])
                .header(header(b"a", typeflag).size(header_size as u64))
                .file("smuggled", b"");
            assert_eq!(refused(tape, 1024, &reason), ["a", "smuggled"]);
        }
    }
}

#[test]
fn a_pax_size_of_nothing_is_fine() {
    let tape = Tape::new()
        .pax(&[("size", "0")])
        .header(header(b"a", b'2').put(LINK, b"b"));
    assert_eq!(names(&tape.end(), strict()), ["a"]);
}

/// The advisories of the only member that has some.
fn oddities(tape: &Tape) -> Vec<Oddity> {
    let tar = tape.clone().end();
    let found = entries(&tar, strict()).unwrap();
    let all = found.into_iter().map(|entry| entry.oddities);
    all.reduce(|all, more| [all, more].concat()).unwrap()
}

/// Old writers put sizes there; Go, GNU tar and bsdtar agree that no payload follows.
#[test]
fn sizes_of_kinds_without_payload_mean_nothing() {
    let cases = [
        (b'1', "a"),
        (b'2', "a"),
        (b'3', "a"),
        (b'4', "a"),
        (b'5', "a"),
        (b'6', "a"),
        (0, "a/"),
    ];
    for (typeflag, name) in cases {
        let member = header(name.as_bytes(), typeflag).size(512);
        let tape = Tape::new().header(member.clone()).file("b", b"");
        assert_eq!(oddities(&tape), [Oddity::Size { size: 512 }]);
        let found = entries(&tape.end(), strict()).unwrap();
        assert_eq!((found[0].size, found[0].payload_len), (0, 0));
        assert_eq!(found[1].path, b"b");
        // So do writers that know PAX, twice.
        let tape = Tape::new().pax(&[("size", "512")]).header(member);
        assert_eq!(oddities(&tape), [Oddity::Size { size: 512 }]);
        assert_eq!(names(&tape.end(), strict()), [name]);
    }
}

/// Go, GNU tar, bsdtar, Python: the last one.
#[test]
fn records_that_are_there_twice() {
    let cases = [
        ("path", "first", "second", "second"),
        ("path", "same", "same", "same"),
        ("linkpath", "1", "2", "a"),
        ("size", "0", "0", "a"),
        ("uid", "1", "2", "a"),
        ("SCHILY.xattr.user.a", "1", "1", "a"),
    ];
    for (key, first, second, name) in cases {
        let tape = Tape::new()
            .pax(&[(key, first), (key, second)])
            .header(header(b"a", b'0'));
        let key = bytes(key);
        assert_eq!(oddities(&tape), [Oddity::RepeatedRecord { key }]);
        assert_eq!(names(&tape.end(), strict()), [name]);
    }
}

/// bsdtar: the first one. Go, GNU tar: the last one.
#[test]
fn an_attribute_twice_with_different_values() {
    let key = "SCHILY.xattr.user.a";
    let reason = Refusal::DuplicateRecord { key: bytes(key) };
    let tape = Tape::new()
        .pax(&[(key, "1"), (key, "2")])
        .header(header(b"a", b'0'));
    assert_eq!(refused(tape, 512, &reason), ["a"]);
}

/// bsdtar gives the file a capability; no runtime does.
#[test]
fn an_attribute_by_a_libarchive_record_alone() {
    let name = "security.capability";
    let tape = Tape::new()
        .pax(&[("LIBARCHIVE.xattr.security.capability", "AQAAAg")])
        .header(header(b"a", b'0'));
    let reason = Refusal::LibarchiveXattr { name: bytes(name) };
    refused(tape.clone(), 512, &reason);
    assert!(
        entries(&tape.end(), lenient()).unwrap()[0]
            .xattrs
            .is_empty()
    );
}

/// Go: the header block's. GNU tar: an error, or `.`. Python: an empty name.
#[test]
fn records_without_a_value() {
    for key in [
        "path",
        "size",
        "uid",
        "gid",
        "mtime",
        "atime",
        "GNU.sparse.name",
    ] {
        let tape = Tape::new()
            .pax(&[(key, "")])
            .header(header(b"a", b'0').octal(UID, 7));
        let reason = Refusal::EmptyRecord { key: bytes(key) };
        assert_eq!(refused(tape.clone(), 512, &reason), ["a"]);
        assert_eq!(entries(&tape.end(), lenient()).unwrap()[0].uid, 7);
    }
}

/// Go: 512 bytes. GNU tar, bsdtar, Python: none, and the member inside, or an error.
#[test]
fn numbers_that_are_not_spelled_plainly() {
    let spellings: [&[u8]; 4] = [
        b"1000\x001",
        b"\0\x001000 ",
        b"\0\0\0\0\0\x001000",
        b" \x001000\0",
    ];
    for spelling in spellings {
        let inner = Tape::new().file("inside", b"").into_bytes();
        let tape = Tape::new()
            .header(header(b"a", b'0').put(SIZE, spelling))
            .bytes(&inner);
        let reason = Refusal::NumberSpelling { field: Field::Size };
        assert_eq!(refused(tape, 0, &reason), ["a"]);
    }
    for (field, name) in [
        (MODE, Field::Mode),
        (UID, Field::Uid),
        (MTIME, Field::Mtime),
        (DEVMINOR, Field::DevMinor),
    ] {
        let tape = Tape::new().header(header(b"a", b'3').put(field.clone(), b"\x0012"));
        let reason = Refusal::NumberSpelling { field: name };
        assert_eq!(refused(tape, 0, &reason), ["a"]);
        let blanks = vec![b' '; field.len()];
        let blank = Tape::new().header(header(b"a", b'3').put(field, &blanks));
        assert_eq!(refused(blank, 0, &reason), ["a"]);
    }
    // Nobody looks at the device numbers of a file.
    let tar = Tape::new()
        .header(header(b"a", b'0').put(DEVMAJOR, b"        "))
        .end();
    assert_eq!(names(&tar, strict()), ["a"]);
}

/// Go: the header block's. GNU tar: an error. Where there is no link, nobody looks.
#[test]
fn a_link_target_without_a_value() {
    let tape = |typeflag| {
        Tape::new()
            .pax(&[("linkpath", "")])
            .header(header(b"a", typeflag).put(LINK, b"target"))
    };
    for typeflag in [b'1', b'2'] {
        let reason = Refusal::EmptyRecord {
            key: bytes("linkpath"),
        };
        assert_eq!(refused(tape(typeflag), 1024, &reason), ["a"]);
    }
    assert_eq!(names(&tape(b'0').end(), strict()), ["a"]);
}

/// Go: 5. GNU tar: an error. bsdtar: 0.
#[test]
fn numbers_with_a_plus_sign() {
    for key in ["size", "uid", "gid", "mtime", "atime", "ctime"] {
        let tape = Tape::new()
            .pax(&[(key, "+5")])
            .header(header(b"a", b'0'))
            .bytes(b"hello")
            .pad();
        let reason = Refusal::PlusSign { key: bytes(key) };
        match entries(&tape.clone().end(), strict()) {
            Err(TarError::Refused {
                offset: 512,
                reason: found,
            }) => assert_eq!(found, reason),
            other => panic!("{other:?}"),
        }
    }
    let tape = Tape::new().pax(&[("uid", "+5")]).header(header(b"a", b'0'));
    assert_eq!(entries(&tape.end(), lenient()).unwrap()[0].uid, 5);
}

/// Python: `pre/a`. Go, GNU tar, bsdtar: `a`.
#[test]
fn a_prefix_without_magic() {
    let head = header(b"a", b'0').put(MAGIC, V7).put(PREFIX, b"pre");
    let tape = Tape::new().header(head);
    assert_eq!(refused(tape, 0, &Refusal::UnmarkedPrefix), ["a"]);
}

/// Go, GNU tar, bsdtar: the last one alone.
#[test]
fn several_headers_of_one_type() {
    let cases = [
        (
            b'x',
            Tape::new().pax(&[("path", "1")]).pax(&[("path", "2")]),
            "2",
        ),
        (
            b'x',
            Tape::new().pax(&[("path", "1")]).pax(&[("uid", "2")]),
            "a",
        ),
        (
            b'x',
            Tape::new()
                .pax(&[("path", "1")])
                .long(b'K', b"k")
                .pax(&[("path", "2")]),
            "2",
        ),
        (b'L', Tape::new().long(b'L', b"1").long(b'L', b"2"), "2"),
        (b'K', Tape::new().long(b'K', b"1").long(b'K', b"2"), "a"),
        (b'L', Tape::new().long(b'L', b"1").long(b'L', b"1"), "1"),
    ];
    for (typeflag, tape, name) in cases {
        let tape = tape.header(header(b"a", b'0'));
        assert_eq!(oddities(&tape), [Oddity::RepeatedExtension { typeflag }]);
        assert_eq!(names(&tape.end(), strict()), [name]);
    }
}

/// GNU tar, Go: ignored. bsdtar, Python: an error.
#[test]
fn extension_headers_without_a_member() {
    let cases = [
        (b'x', Tape::new().file("a", b"").pax(&[("path", "b")])),
        (b'L', Tape::new().file("a", b"").long(b'L', b"b").pax(&[])),
        (b'K', Tape::new().file("a", b"").long(b'K', b"b")),
    ];
    for (typeflag, tape) in cases {
        let reason = Refusal::DanglingExtension { typeflag };
        assert_eq!(refused(tape.clone(), 512, &reason), ["a"]);
        let error = entries(&tape.into_bytes(), strict()).unwrap_err();
        assert!(matches!(error, TarError::Refused { offset: 512, .. }));
    }
}

/// Go: the end. GNU tar, bsdtar, Python: an error.
#[test]
fn a_tar_that_ends_inside_padding() {
    let tape = Tape::new().file("a", b"").file("b", &[7; 100]).into_bytes();
    for len in 1536 - 412..1536 {
        let cut = &tape[..len];
        let found = entries(cut, strict()).unwrap_err();
        let TarError::Refused { offset, reason } = &found else {
            panic!("{found:?}");
        };
        assert_eq!((*offset, reason), (len as u64, &Refusal::CutPadding));
        assert_eq!(names(cut, lenient()), ["a", "b"]);
    }
    assert_eq!(names(&tape, strict()), ["a", "b"]);
}

/// What lenient reading accepts at the end is noted like any other oddity.
#[test]
fn odd_ends_are_noted() {
    let file = Tape::new().file("a", &[7; 100]);
    let cut = file.clone().into_bytes()[..700].to_vec();
    let dangling = file.clone().long(b'K', b"b").into_bytes();
    let typeflag = b'K';
    let cases = [
        (cut, vec![Oddity::CutPadding]),
        (dangling, vec![Oddity::DanglingExtension { typeflag }]),
        (file.end(), vec![]),
    ];
    for (tar, expected) in cases {
        let mut reader = TarReader::new(&*tar, lenient());
        while reader.next_entry().unwrap().is_some() {}
        assert_eq!(reader.oddities(), expected);
    }
}

/// GNU tar, Python: applied to all members. Go: not.
#[test]
fn global_records_that_change_members() {
    for key in ["path", "size", "linkpath", "uid", "mtime"] {
        let reason = Refusal::GlobalRecord { key: bytes(key) };
        let tape = Tape::new()
            .records(b'g', &[("comment", "c"), (key, "7")])
            .header(header(b"a", b'0'))
            .file("b", b"");
        assert_eq!(refused(tape.clone(), 512, &reason), ["a", "b"]);
        let found = entries(&tape.end(), lenient()).unwrap();
        assert_eq!((found[0].uid, found[0].size), (0, 0));
    }
}

/// GNU tar, bsdtar: for the member. Go: lost.
#[test]
fn extension_headers_in_front_of_a_global_one() {
    for (typeflag, tape) in [
        (b'x', Tape::new().pax(&[("path", "pax")])),
        (b'L', Tape::new().long(b'L', b"gnu")),
        (b'K', Tape::new().long(b'K', b"target")),
    ] {
        let reason = Refusal::ExtensionBeforeGlobal { typeflag };
        let offset = tape.len();
        let tape = tape
            .records(b'g', &[("comment", "c")])
            .header(header(b"block", b'0'));
        assert_eq!(refused(tape, offset, &reason), ["block"]);
    }
}

/// GNU tar, Python: like `x`. Go: a member.
#[test]
fn solaris_extended_headers() {
    let tape = Tape::new()
        .records(b'X', &[("path", "sun")])
        .header(header(b"a", b'0'));
    let found = refused(tape.clone(), 0, &Refusal::SunExtension);
    assert_eq!(found, ["PaxHeaders/x", "a"]);
    let kind = entries(&tape.end(), lenient()).unwrap()[0].kind;
    assert_eq!(kind, EntryKind::Other(b'X'));
}

/// GNU tar: a directory. Go, Python: a file.
#[test]
fn regular_files_whose_name_ends_in_a_slash() {
    for typeflag in [b'0', b'7'] {
        let reason = Refusal::TrailingSlash { name: bytes("d/") };
        let tape = Tape::new().header(header(b"d/", typeflag));
        assert_eq!(refused(tape.clone(), 0, &reason), ["d/"]);
        let kind = entries(&tape.end(), lenient()).unwrap()[0].kind;
        assert_eq!(kind, EntryKind::File);
    }
    let by_pax = Tape::new()
        .pax(&[("path", "d/")])
        .header(header(b"d", b'0'));
    let reason = Refusal::TrailingSlash { name: bytes("d/") };
    refused(by_pax, 1024, &reason);
}

/// As Go before 1.8 wrote them, on Docker Hub. Go: with the prefix. GNU tar, bsdtar: `a`.
#[test]
fn gnu_headers_with_a_ustar_prefix() {
    let head = header(b"a", b'0')
        .put(MAGIC, GNU)
        .put(PREFIX, b"some/prefix");
    let tape = Tape::new().header(head.clone());
    assert_eq!(oddities(&tape), [Oddity::NamePrefix]);
    assert_eq!(names(&tape.end(), strict()), ["some/prefix/a"]);
    // Where another name counts, nobody looks at the prefix.
    let named = Tape::new().long(b'L', b"name").header(head);
    assert_eq!(oddities(&named), []);
    assert_eq!(names(&named.end(), strict()), ["name"]);
    let not_ascii = header(b"a", b'0').put(MAGIC, GNU).put(PREFIX, b"pr\xe9fix");
    assert_eq!(names(&Tape::new().header(not_ascii).end(), strict()), ["a"]);
}

#[test]
fn star_headers_with_a_prefix_of_full_length() {
    let head = header(b"a", b'0')
        .put(PREFIX, &[b'p'; 131])
        .put(STAR_TRAILER, b"tar\0");
    let tape = Tape::new().header(head);
    let lenient = refused(tape, 0, &Refusal::StarPrefix);
    assert_eq!(lenient, [format!("{}/a", "p".repeat(131))]);
}

#[test]
fn two_values_for_one_attribute() {
    let reason = Refusal::Xattrs {
        name: bytes("user.a"),
    };
    let tape = Tape::new()
        .pax(&[
            ("SCHILY.xattr.user.a", "1"),
            ("LIBARCHIVE.xattr.user.a", "Mg"),
        ])
        .header(header(b"a", b'0'));
    refused(tape.clone(), 512, &reason);
    let found = entries(&tape.end(), lenient()).unwrap();
    assert_eq!(found[0].xattrs.value(b"user.a"), Some(&b"1"[..]));
}

/// GNU tar: `user.a=b`. Go: the name as it is.
#[test]
fn attribute_names_with_an_escape() {
    let reason = Refusal::EscapedXattr {
        name: bytes("user.a%3Db"),
    };
    let tape = Tape::new()
        .pax(&[("SCHILY.xattr.user.a%3Db", "1")])
        .header(header(b"a", b'0'));
    refused(tape.clone(), 512, &reason);
    let found = entries(&tape.end(), lenient()).unwrap();
    assert_eq!(found[0].xattrs.value(b"user.a%3Db"), Some(&b"1"[..]));
}
