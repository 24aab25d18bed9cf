//! What the headers of each format mean.

use image_model::Timestamp;
use lazyoci_tar_stream::{EntryKind, TarError, TarReadOptions, TarReader};

use crate::tape::*;

fn time(seconds: i64, nanoseconds: u32) -> Timestamp {
    Timestamp {
        seconds,
        nanoseconds,
    }
}

#[test]
fn every_typeflag_has_its_kind() {
    let cases = [
        (b'0', "f", EntryKind::File),
        (0, "f", EntryKind::File),
        (0, "d/", EntryKind::Directory),
        (b'1', "h", EntryKind::HardLink),
        (b'2', "l", EntryKind::Symlink),
        (b'3', "c", EntryKind::CharDevice),
        (b'4', "b", EntryKind::BlockDevice),
        (b'5', "d", EntryKind::Directory),
        (b'5', "d/", EntryKind::Directory),
        (b'6', "p", EntryKind::Fifo),
        (b'7', "f", EntryKind::File),
        (b'A', "acl", EntryKind::Other(b'A')),
        (b'V', "label", EntryKind::Other(b'V')),
        (b'Q', "q", EntryKind::Other(b'Q')),
        (0xff, "q", EntryKind::Other(0xff)),
    ];
    for magic in [USTAR, GNU, V7] {
        for (typeflag, name, kind) in cases {
            let head = header(name.as_bytes(), typeflag).put(MAGIC, magic);
            let payload: &[u8] = if kind.has_payload() { b"12345" } else { b"" };
            let found = entry(&Tape::new().member(head, payload).end());
            assert_eq!((found.kind, &*found.path), (kind, name.as_bytes()));
            assert_eq!(found.payload_len, payload.len() as u64);
            assert_eq!(found.size, payload.len() as u64);
        }
    }
}

#[test]
fn a_ustar_header_says_everything() {
    let head = header(b"dev/null", b'3')
        .octal(MODE, 0o106_666)
        .octal(UID, 0o7_777_777)
        .octal(GID, 1000)
        .octal(MTIME, 0o77_777_777_777)
        .put(UNAME, b"root")
        .put(GNAME, &[b'g'; 32])
        .octal(DEVMAJOR, 1)
        .octal(DEVMINOR, 3)
        .put(PREFIX, b"some/where");
    let found = entry(&Tape::new().header(head).end());
    assert_eq!(found.path, b"some/where/dev/null");
    assert_eq!(found.mode, 0o6666);
    assert_eq!((found.uid, found.gid), (0o7_777_777, 1000));
    assert_eq!(found.mtime, time(0o77_777_777_777, 0));
    assert_eq!(
        (&*found.uname, &*found.gname),
        (&b"root"[..], &[b'g'; 32][..])
    );
    assert_eq!((found.devmajor, found.devminor), (1, 3));
}

#[test]
fn v7_headers_end_behind_the_link_name() {
    let head = header(b"a", b'3')
        .put(MAGIC, V7)
        .put(UNAME, b"garbage")
        .put(DEVMAJOR, b"garbage");
    let found = entry(&Tape::new().header(head).end());
    assert_eq!(found.path, b"a");
    assert_eq!((found.devmajor, &*found.uname), (0, &b""[..]));
}

#[test]
fn gnu_headers_have_times_where_ustar_has_a_prefix() {
    let head = header(b"a", b'0')
        .put(MAGIC, GNU)
        .octal(GNU_ATIME, 1_700_000_000);
    assert_eq!(entry(&Tape::new().header(head).end()).path, b"a");
}

#[test]
fn star_headers_have_a_shorter_prefix() {
    let head = header(b"a", b'0')
        .put(PREFIX, b"star/prefix")
        .octal(476..488, 1_700_000_000)
        .octal(488..500, 1_700_000_000)
        .put(STAR_TRAILER, b"tar\0");
    assert_eq!(
        entry(&Tape::new().header(head.clone()).end()).path,
        b"star/prefix/a"
    );

    let bad_time = Tape::new().header(head.put(476..488, b"garbage")).end();
    let error = entries(&bad_time, lenient()).unwrap_err();
    assert!(
        matches!(error, TarError::Number { offset: 0, .. }),
        "{error}"
    );
}

#[test]
fn base_256_numbers_have_a_sign() {
    let head = header(b"a", b'0')
        .binary(UID, 0xffff_fffe)
        .binary(GID, -1)
        .binary(MTIME, -86_400)
        .binary(SIZE, 3);
    let tar = Tape::new().header(head).bytes(b"abc").pad().end();
    let found = entry(&tar);
    assert_eq!((found.uid, found.gid), (0xffff_fffe, -1));
    assert_eq!(found.mtime, time(-86_400, 0));
    assert_eq!(found.size, 3);
}

#[test]
fn names_fill_their_fields() {
    let (name, link, prefix) = ([b'n'; 100], [b'l'; 100], [b'p'; 155]);
    let head = header(&name, b'2').put(LINK, &link).put(PREFIX, &prefix);
    let found = entry(&Tape::new().header(head).end());
    assert_eq!(found.path, [&prefix[..], b"/", &name].concat());
    assert_eq!(found.link_target, link);
}

#[test]
fn checksums_are_unsigned_or_signed() {
    let head = header(b"caf\xe9", b'0');
    for block in [head.clone().block(), head.clone().signed_block()] {
        assert_eq!(entry(&Tape::new().bytes(&block).end()).path, b"caf\xe9");
    }
    let mut block = head.block();
    block[MODE.start] ^= 1;
    let tar = Tape::new().file("ok", b"1").bytes(&block).end();
    let error = entries(&tar, lenient()).unwrap_err();
    assert!(
        matches!(error, TarError::Checksum { offset: 1024, .. }),
        "{error}"
    );
}

#[test]
fn pax_records_win_over_the_header() {
    let tar = Tape::new()
        .pax(&[
            ("path", "long/caf\u{e9}\nname"),
            ("linkpath", "target"),
            ("uid", "4294967294"),
            ("gid", "3000000"),
            ("uname", "\u{fc}ser"),
            ("gname", "group"),
            ("mtime", "-1.5"),
            ("SCHILY.xattr.user.b", "1\n2\0"),
            ("SCHILY.xattr.user.a", ""),
            ("LIBARCHIVE.xattr.user.b", "MQoyAA"),
            ("comment", "whatever"),
        ])
        .header(header(b"short", b'2').put(LINK, b"other").octal(UID, 7))
        .end();
    let found = entry(&tar);
    assert_eq!(found.path, "long/caf\u{e9}\nname".as_bytes());
    assert_eq!(found.link_target, b"target");
    assert_eq!((found.uid, found.gid), (4_294_967_294, 3_000_000));
    assert_eq!(
        (&*found.uname, &*found.gname),
        ("\u{fc}ser".as_bytes(), &b"group"[..])
    );
    assert_eq!(found.mtime, time(-2, 500_000_000));
    let xattrs: Vec<_> = found.xattrs.iter().map(|x| (&*x.name, &*x.value)).collect();
    assert_eq!(xattrs, [(&b"user.a"[..], &b""[..]), (b"user.b", b"1\n2\0")]);
}

#[test]
fn a_pax_size_beyond_8_gib_positions_the_next_member() {
    let size = (9u64 << 30) + 1;
    let tar = Tape::new()
        .pax(&[("size", &size.to_string())])
        .header(header(b"big", b'0'))
        .into_bytes();
    let found = TarReader::new(&tar[..], strict())
        .next_entry()
        .unwrap()
        .unwrap();
    assert_eq!((found.size, found.payload_len), (size, size));
    assert_eq!(found.payload_offset, 1536);
}

#[test]
fn gnu_long_names_count_for_the_next_member_alone() {
    let (name, link) = ([b'n'; 300], [b'l'; 1000]);
    let tar = Tape::new()
        .long(b'K', &link)
        .long(b'L', &name)
        .header(
            header(&name[..100], b'2')
                .put(MAGIC, GNU)
                .put(LINK, &link[..100]),
        )
        .file("next", b"")
        .end();
    let found = entries(&tar, strict()).unwrap();
    assert_eq!(found[0].path, name);
    assert_eq!(found[0].link_target, link);
    assert_eq!(found[1].path, b"next");
    assert_eq!(found[1].offset, 512 * 6);
}

#[test]
fn gnu_long_names_end_at_nul_and_need_no_magic() {
    let tar = Tape::new()
        .member(header(b"././@LongLink", b'L').put(MAGIC, V7), b"name\0rest")
        .member(header(b"././@LongLink", b'K'), b"no NUL at all")
        .header(header(b"a", b'2'))
        .end();
    let found = entry(&tar);
    assert_eq!(found.path, b"name");
    assert_eq!(found.link_target, b"no NUL at all");
}

#[test]
fn pax_and_gnu_names_that_agree_are_fine() {
    let tar = Tape::new()
        .pax(&[("path", "same"), ("linkpath", "target"), ("size", "3")])
        .long(b'L', b"same")
        .long(b'K', b"target")
        .header(header(b"a", b'0'))
        .bytes(b"abc")
        .pad()
        .file("next", b"")
        .end();
    let found = entries(&tar, strict()).unwrap();
    assert_eq!((&*found[0].path, found[0].size), (&b"same"[..], 3));
    assert_eq!(found[1].path, b"next");
}

#[test]
fn global_headers_without_influence_pass() {
    let tar = Tape::new()
        .records(b'g', &[("comment", "0123456789abcdef")])
        .file("a", b"1")
        .records(b'g', &[("comment", "at the end")])
        .end();
    let found = entries(&tar, strict()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].offset, found[0].header_offset), (0, 1024));
}

#[test]
fn entries_know_where_they_are() {
    let tar = Tape::new()
        .file("a", b"hello")
        .pax(&[("mtime", "1.5")])
        .file("b", b"")
        .end();
    let found = entries(&tar, strict()).unwrap();
    let places: Vec<_> = found
        .iter()
        .map(|e| (e.offset, e.header_offset, e.payload_offset, e.payload_len))
        .collect();
    assert_eq!(places, [(0, 0, 512, 5), (1024, 2048, 2560, 0)]);
    let span = found[0].spans.as_slice()[0];
    assert_eq!(
        (span.file_offset, span.source_offset, span.len),
        (0, 512, 5)
    );
    assert!(found[1].spans.as_slice().is_empty());
    // The padding behind "hello" comes first in what precedes the next payload.
    assert_eq!(found[1].raw(), &tar[517..2560]);
    assert_eq!(found[1].header(), &tar[1024..2560]);
}

#[test]
fn payloads_are_read_or_skipped() {
    let big: Vec<u8> = (0..1_000_003u32).map(|i| (i % 251) as u8).collect();
    let tar = Tape::new()
        .file("a", &big)
        .file("b", b"small")
        .file("c", &big)
        .file("d", b"last")
        .end();
    let seekable = TarReader::seekable(std::io::Cursor::new(&tar), strict()).unwrap();
    check_payloads(TarReader::new(&tar[..], strict()), &big);
    check_payloads(seekable, &big);
}

fn check_payloads(mut reader: TarReader<impl std::io::Read>, big: &[u8]) {
    let mut small = [0; 5];
    assert_eq!(reader.read_payload(&mut small).unwrap(), 0);
    let mut payload = vec![0; big.len()];
    reader.next_entry().unwrap();
    reader.read_payload_exact(&mut payload[..7]).unwrap();
    reader.read_payload_exact(&mut payload[7..]).unwrap();
    assert_eq!(payload, big);
    assert_eq!(
        (reader.payload_left(), reader.position()),
        (0, 512 + big.len() as u64)
    );

    reader.next_entry().unwrap();
    reader.read_payload_exact(&mut small).unwrap();
    assert_eq!(&small, b"small");
    let error = reader.read_payload_exact(&mut small).unwrap_err();
    assert!(matches!(error, TarError::PayloadEnd { left: 0, asked: 5 }));

    reader.next_entry().unwrap();
    reader.read_payload_exact(&mut payload[..1]).unwrap();
    assert!(!reader.has_payload());
    let end = reader.position() + reader.payload_left();
    for _ in 0..2 {
        reader.skip_payload().unwrap();
        assert_eq!((reader.payload_left(), reader.position()), (0, end));
        assert!(reader.has_payload());
    }
    assert_eq!(reader.next_entry().unwrap().unwrap().path, b"d");
    assert!(reader.trailer().is_none());
    assert_eq!(reader.next_entry().unwrap(), None);
    reader.skip_payload().unwrap();
    assert_eq!(reader.trailer().unwrap().zero_blocks(), 2);
    reader.finish().unwrap();
}

/// Nobody who skips a payload has to find out later that the tar ends in it.
#[test]
fn a_payload_that_is_skipped_is_there() {
    let tar = Tape::new().file("a", &[7; 1_000_000]).into_bytes();
    let cut = &tar[..900_000];
    let seekable = TarReader::seekable(std::io::Cursor::new(cut), strict()).unwrap();
    check_cut(TarReader::new(cut, strict()));
    check_cut(seekable);
}

fn check_cut(mut reader: TarReader<impl std::io::Read>) {
    reader.next_entry().unwrap();
    let error = reader.skip_payload().unwrap_err();
    let cut = matches!(
        error,
        TarError::Cut {
            offset: 900_000,
            ..
        }
    );
    assert!(cut, "{error}");
    assert!(matches!(reader.skip_payload(), Err(TarError::Failed)));
}

#[test]
fn archives_end_in_several_ways() {
    let member = Tape::new().file("a", b"1").into_bytes();
    for (tail, zero_blocks) in [(0, 0), (512, 1), (1024, 2), (10_240, 2)] {
        let tar = [&member[..], &vec![0; tail]].concat();
        let mut reader = TarReader::new(&tar[..], strict());
        while reader.next_entry().unwrap().is_some() {}
        let trailer = reader.trailer().unwrap();
        assert_eq!(
            (trailer.zero_blocks(), trailer.offset()),
            (zero_blocks, 513)
        );
    }
    assert_eq!(names(b"", strict()), [""; 0]);
    assert_eq!(names(&[0; 1024], strict()), [""; 0]);

    let garbage = Tape::new()
        .file("a", b"1")
        .bytes(&[0; 1024])
        .bytes(&[7; 999])
        .into_bytes();
    assert_eq!(names(&garbage, strict()), ["a"]);

    let lone = Tape::new()
        .file("a", b"")
        .bytes(&[0; 512])
        .file("b", b"")
        .end();
    for options in [strict(), lenient()] {
        let error = entries(&lone, options).unwrap_err();
        assert!(
            matches!(error, TarError::LoneZeroBlock { offset: 512 }),
            "{error}"
        );
    }
}

#[test]
fn after_an_error_there_is_nothing() {
    let mut reader = TarReader::new(&[1; 512][..], TarReadOptions::default());
    assert!(matches!(
        reader.next_entry(),
        Err(TarError::Checksum { offset: 0, .. })
    ));
    assert!(matches!(reader.next_entry(), Err(TarError::Failed)));
    assert!(matches!(
        reader.read_payload(&mut [0]),
        Err(TarError::Failed)
    ));
    assert!(matches!(reader.finish(), Err(TarError::Failed)));
}
