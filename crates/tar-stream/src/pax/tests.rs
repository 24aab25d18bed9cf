use super::*;

fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let len = (rest..).find(|len| rest + len.to_string().len() == *len);
    let mut out = format!("{} ", len.unwrap()).into_bytes();
    out.extend_from_slice(&[key, b"=", value, b"\n"].concat());
    out
}

fn parse(payload: &[u8], offset: u64, strict: bool) -> Result<PaxFields<'_>, TarError> {
    PaxFields::parse(payload, offset, strict, &mut Vec::new())
}

fn payload(list: &[(&str, &str)]) -> Vec<u8> {
    let records = list.iter().map(|(k, v)| record(k.as_bytes(), v.as_bytes()));
    records.collect::<Vec<_>>().concat()
}

#[test]
fn values_are_cut_by_length() {
    let bytes = payload(&[
        ("SCHILY.xattr.a", "x\n12 path=evil\n\0"),
        ("empty", ""),
        ("k", "=="),
    ]);
    let list: Vec<_> = records(&bytes).map(|r| r.unwrap().value).collect();
    assert_eq!(list, [&b"x\n12 path=evil\n\0"[..], b"", b"=="]);
}

#[test]
fn malformed_records_are_located() {
    let good = record(b"path", b"a");
    let cases: [&[u8]; 14] = [
        b"x path=a\n",
        b" path=a\n",
        b"path=a\n",
        b"0 a=\n",
        b"4 =\n\n",
        b"5 a=\n8 b=cccc\n",
        b"-6 a=b\n",
        b"999999999999999999999 a=b\n",
        b"100 a=b\n",
        b"6 a=bc\n",
        b"6 abc\n",
        b"5 =a\n",
        b"8 a\0b=c\n",
        b"9 path=\0\n",
    ];
    for (index, case) in cases.iter().enumerate() {
        let bytes = [&good[..], case].concat();
        let at = good.len() + if index == 5 { 5 } else { 0 };
        let found: Vec<_> = records(&bytes).skip(1).collect();
        assert_eq!(
            found.last(),
            Some(&Err(MalformedRecord { at })),
            "case {index}"
        );
        let error = parse(&bytes, 1000, false).unwrap_err();
        let offset = 1000 + at as u64;
        assert!(matches!(error, TarError::PaxRecord { offset: o } if o == offset));
    }
    assert_eq!(records(b"").next(), None);
}

#[test]
fn fields_are_taken_and_empty_values_leave_the_header_in_force() {
    let bytes = payload(&[
        ("path", "a/b"),
        ("linkpath", ""),
        ("size", "8589934592"),
        ("uid", "-1"),
        ("gid", ""),
        ("mtime", "-1.5"),
        ("atime", ""),
        ("comment", "anything"),
    ]);
    let fields = parse(&bytes, 0, false).unwrap();
    assert_eq!(fields.path, Some(&b"a/b"[..]));
    assert_eq!(fields.link_path, None);
    assert_eq!(fields.size, Some(1 << 33));
    assert_eq!((fields.uid, fields.gid), (Some(-1), None));
    assert_eq!(fields.mtime.map(|t| t.seconds), Some(-2));
}

#[test]
fn values_of_wrong_kind_are_refused() {
    for (key, value) in [
        ("size", "1x"),
        ("size", "9223372036854775808"),
        ("uid", "0x1"),
        ("gid", " 1"),
        ("mtime", "now"),
        ("atime", "1,5"),
        ("ctime", "-"),
    ] {
        match parse(&payload(&[(key, value)]), 512, false) {
            Err(TarError::PaxValue {
                offset: 512,
                key: k,
                value: v,
            }) => {
                assert_eq!((&*k, &*v), (key.as_bytes(), value.as_bytes()));
            }
            other => panic!("{key}: {other:?}"),
        }
    }
}

#[test]
fn of_records_that_are_there_twice_the_last_one_counts() {
    for key in [
        "path",
        "linkpath",
        "size",
        "uid",
        "gid",
        "mtime",
        "GNU.sparse.map",
    ] {
        let bytes = payload(&[(key, "1"), (key, "2")]);
        let mut oddities = Vec::new();
        PaxFields::parse(&bytes, 512, true, &mut oddities).unwrap();
        let key = key.as_bytes().into();
        assert_eq!(oddities, [Oddity::RepeatedRecord { key }]);
    }
    let bytes = payload(&[("size", "1"), ("size", "2")]);
    assert_eq!(parse(&bytes, 0, true).unwrap().size, Some(2));
}

#[test]
fn records_without_a_value_are_refused() {
    for key in ["path", "size", "uid", "mtime", "atime", "GNU.sparse.name"] {
        match parse(&payload(&[(key, "")]), 512, true) {
            Err(TarError::Refused {
                offset: 512,
                reason: Refusal::EmptyRecord { key: k },
            }) => assert_eq!(&*k, key.as_bytes()),
            other => panic!("{key}: {other:?}"),
        }
    }
}

#[test]
fn global_records_that_change_members_are_refused() {
    check_global(
        &payload(&[("comment", "0123abcd"), ("uname", "root")]),
        512,
        true,
    )
    .unwrap();
    for key in ["path", "size", "uid", "GNU.sparse.major"] {
        let bytes = payload(&[("comment", ""), (key, "")]);
        match check_global(&bytes, 512, true) {
            Err(TarError::Refused {
                offset: 512,
                reason: Refusal::GlobalRecord { key: k },
            }) => {
                assert_eq!(&*k, key.as_bytes());
            }
            other => panic!("{key}: {other:?}"),
        }
        check_global(&bytes, 512, false).unwrap();
    }
    assert!(check_global(b"nonsense", 512, false).is_err());
}
