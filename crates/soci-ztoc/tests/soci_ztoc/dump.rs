//! What a dump tells of sound zTOCs, and of others.

use image_model::Limits;
use image_model::dump::{Dumped, FieldValue};
use lazyoci_soci_ztoc::bytes::Bytes;
use lazyoci_soci_ztoc::{Checkpoint, GzipZinfo, TarZinfo, WINDOW_LEN, Zinfo, Ztoc};

use crate::goldens::PLAIN;
use crate::round_trip::sample;

fn lines(bytes: impl Into<Bytes>, limits: &Limits) -> Vec<String> {
    let mut dump = String::new();
    Ztoc::dump(&bytes.into(), limits, &mut dump).unwrap();
    dump.lines().map(str::to_owned).collect()
}

/// The lines without their offsets.
fn told(bytes: impl Into<Bytes>) -> Vec<String> {
    let lines = lines(bytes, &Limits::default());
    let rest = |line: &String| match line.split_once(' ') {
        Some((offset, rest)) if offset.starts_with("0x") => rest.to_owned(),
        _ => line.clone(),
    };
    lines.iter().map(rest).collect()
}

/// What the sample has, from front to back.
fn expected() -> Vec<String> {
    let mut expected = vec![
        r#"ztoc: version="0.9" build_tool_identifier="AWS SOCI CLI v0.1" compressed_archive_size=1000 uncompressed_archive_size=6000"#.to_owned(),
        "toc: metadata=7".to_owned(),
        r#"file 0: name="\xff name" type=reg uncompressed_offset=512 uncompressed_size=700 linkname="" mode=100644 uid=4294967295 gid=1 uname="\xfe" gname="group" mod_time="2020-09-13T12:26:40.75Z" devmajor=0 devminor=0 xattrs=2"#.to_owned(),
        r#"xattr 0: key="SCHILY.xattr.user.x" value="\x00\xff\n""#.to_owned(),
        r#"xattr 1: key="mtime" value="1600000000.75""#.to_owned(),
    ];
    let kinds = ["dir", "symlink", "hardlink", "char", "block", "fifo"];
    expected.extend((0..).zip(kinds).map(|(nth, kind)| {
        format!(
            r#"file {}: name="a\x0{nth}" type={kind} uncompressed_offset={} uncompressed_size=0 linkname="\xff name" mode=1777777777777777777777 uid=0 gid=0 uname="" gname="" mod_time="1970-01-01T00:00:00Z" devmajor=8 devminor={} xattrs=0"#,
            nth + 1,
            2048 + nth * 512,
            i64::MIN
        )
    }));
    expected.push("compression info: compression_algorithm=gzip max_span_id=1 span_digests=2 checkpoints=65582".to_owned());
    expected.extend([1, 2].map(|byte| {
        let digest = format!("{byte:02x}").repeat(32);
        format!("span digest {}: sha256={digest}", byte - 1)
    }));
    expected.extend([
        "gzip zinfo: checkpoints=2 span_size=3000".to_owned(),
        "checkpoint 0: in=18 out=0 bits=0 window_zeros=32768".to_owned(),
        "checkpoint 1: in=900 out=4000 bits=3 window_zeros=0".to_owned(),
    ]);
    expected
}

#[test]
fn every_structure_is_told() {
    assert_eq!(told(sample().encode().unwrap()), expected());
    let mut plain = sample();
    plain.zinfo = Zinfo::Tar(TarZinfo::new(500, 1_000).unwrap());
    plain.uncompressed_len = 1_000;
    plain.files.clear();
    let told = told(plain.encode().unwrap());
    assert_eq!(
        told[2],
        "compression info: compression_algorithm=uncompressed max_span_id=1 span_digests=2 checkpoints=48"
    );
    assert_eq!(told[5..], ["tar zinfo: version=2 span_size=500 size=1000"]);
}

/// What is stored stands where the dump says.
#[test]
fn offsets_are_those_in_the_bytes() {
    let points = [1_u64, 2].map(|nth| {
        let window = Bytes::from(vec![0x55; WINDOW_LEN]);
        Checkpoint::new(nth * 10, (nth - 1) * 100, 0).window(window)
    });
    let mut gzip = sample();
    gzip.zinfo = Zinfo::Gzip(GzipZinfo::new(3_000, &points));
    for bytes in [Bytes::from(gzip.encode().unwrap()), PLAIN.into()] {
        let mut seen = 0;
        let at = |offset: u64, len: usize| &bytes[offset as usize..][..len];
        let number = |offset| i64::from_le_bytes(at(offset, 8).try_into().unwrap());
        let told = Ztoc::structures(&bytes, &Limits::default(), &mut |dumped| {
            let Dumped::Structure(told) = dumped else {
                return Err(dumped.to_string());
            };
            let offset = told.offset;
            match (told.name, told.fields[0].1) {
                ("span digest", FieldValue::Bytes(digest)) => {
                    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                    assert_eq!(at(offset, 4), 71_u32.to_le_bytes());
                    assert_eq!(at(offset + 4, 71), format!("sha256:{hex}").as_bytes());
                }
                ("gzip zinfo", _) => assert_eq!(number(offset + 4), 3_000),
                ("checkpoint", FieldValue::Number(stored)) => {
                    assert_eq!(number(offset), stored as i64);
                    assert_eq!(at(offset + 17, 2), [0x55; 2]);
                }
                // The others are tables, which begin with the distance of their lists of fields.
                (name, _) => {
                    let back = i32::from_le_bytes(at(offset, 4).try_into().unwrap());
                    let fields = at(offset.checked_add_signed((-back).into()).unwrap(), 2);
                    let fields = (u16::from_le_bytes(fields.try_into().unwrap()) - 4) / 2;
                    let most = match name {
                        "ztoc" => 6,
                        "toc" => 1,
                        "file" => 14,
                        "xattr" => 2,
                        "compression info" => 4,
                        "tar zinfo" => 3,
                        other => panic!("{other}"),
                    };
                    assert!((1..=most).contains(&fields), "{name}: {fields}");
                }
            }
            seen += 1;
            Ok(())
        });
        assert_eq!(told, Ok(()));
        assert!(seen > 15, "{seen}");
    }
}

#[test]
fn what_cannot_be_read_says_why_once() {
    let bytes = sample().encode().unwrap();
    let place = |what: &[u8]| bytes.windows(what.len()).position(|b| b == what).unwrap();
    let with = |at: usize, new: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + new.len()].copy_from_slice(new);
        told(bytes)
    };
    // A line stands for what it says, and the others are there.
    let instead = |line: usize, count: usize, text: &str| {
        let mut lines = expected();
        lines.splice(line..line + count, [text.to_owned()]);
        lines
    };
    assert_eq!(
        with(place(b"fifo\0"), b"door"),
        instead(10, 1, "! file 6 of the zTOC: its type is not known")
    );
    assert_eq!(
        with(place(b"sha256:01"), b"sha512"),
        instead(12, 1, "! the digest of span 0 is not a SHA-256")
    );
    let header = [&2_i32.to_le_bytes()[..], &3_000_i64.to_le_bytes()].concat();
    assert_eq!(
        with(place(&header), &[9]),
        instead(14, 3, "! 65582 bytes of checkpoints, of which there are 9")
    );
    // All can be read, but not used.
    let mut lines = expected();
    lines[0] = lines[0].replace("0.9", "1.0");
    lines.push("! version \"1.0\" of the zTOC is not supported".to_owned());
    assert_eq!(with(place(b"0.9\0"), b"1.0"), lines);
    let mut lines = expected();
    lines[16] = lines[16].replace("bits=3", "bits=8");
    lines.push("! checkpoint 1 of the zTOC: it begins 8 bits before a byte".to_owned());
    assert_eq!(with(place(&[7; WINDOW_LEN]) - 1, &[8]), lines);
}

#[test]
fn garbage_and_cuts_are_told() {
    let line = "! Ztoc at byte 0: a part of it does not lie in the zTOC";
    assert_eq!(told(Bytes::new()), [line]);
    assert_eq!(told(b"abc".to_vec()), [line]);
    for len in 0..PLAIN.len() {
        let lines = told(PLAIN[..len].to_vec());
        assert!(lines.iter().any(|line| line.starts_with('!')), "{len}");
    }
}

/// Something is wrong by the dump if, and only if, it is refused.
#[test]
fn flips_are_told_if_they_are_refused() {
    let mut refused = 0;
    for at in 0..PLAIN.len() {
        let mut bytes = PLAIN.to_vec();
        bytes[at] ^= 1 << (at % 8);
        let lines = told(bytes.clone());
        let is_told = lines.iter().any(|line| line.starts_with('!'));
        let decoded = Ztoc::decode(&bytes.into(), &Limits::default());
        assert_eq!(is_told, decoded.is_err(), "{at}: {decoded:?}");
        refused += usize::from(is_told);
    }
    assert!((500..5_000).contains(&refused), "{refused}");
}

#[test]
fn it_ends_where_limits_are_exceeded() {
    let limits = Limits::default().max_metadata_len(1_000);
    let bytes = sample().encode().unwrap();
    let lines = lines(bytes, &limits);
    let errors: Vec<_> = (0..)
        .zip(&lines)
        .filter(|(_, l)| l.starts_with('!'))
        .collect();
    let limit = "! the zTOC needs more bytes of metadata than the limit of 1000";
    assert!(errors.iter().all(|(_, line)| *line == limit), "{lines:?}");
    assert!((3..8).contains(&errors[0].0), "{lines:?}");
    // The checkpoints take no memory of their own.
    assert!(
        lines[lines.len() - 1].contains(" checkpoint 1: "),
        "{lines:?}"
    );
}

#[test]
fn whoever_hears_of_it_ends_it() {
    let bytes = Bytes::from_static(PLAIN);
    for most in [0, 1, 7, 20] {
        let mut heard = 0;
        let ended = Ztoc::structures(&bytes, &Limits::default(), &mut |_| {
            if heard == most {
                return Err("enough");
            }
            heard += 1;
            Ok(())
        });
        assert_eq!((ended, heard), (Err("enough"), most));
    }
}
