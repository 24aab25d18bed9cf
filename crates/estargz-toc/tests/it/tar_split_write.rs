//! Lines of tar-split, byte for byte.

use image_model::path::PathError;
use image_model::{Blame as _, Fault};
use lazyoci_estargz_toc::tar_split::Crc64;
use lazyoci_estargz_toc::tar_split::{TarSplitWriteError, TarSplitWriter};

fn lines(write: impl FnOnce(&mut TarSplitWriter<Vec<u8>>)) -> String {
    let mut split = TarSplitWriter::new(Vec::new());
    write(&mut split);
    String::from_utf8(split.into_inner()).unwrap()
}

fn empty(split: &mut TarSplitWriter<Vec<u8>>, name: &[u8]) -> Result<(), TarSplitWriteError> {
    split.file(name, 0, &Crc64::default())
}

#[test]
fn segments_and_files_count() {
    let mut crc = Crc64::default();
    crc.update(b"hello");
    let mut tar_len = 0;
    let written = lines(|split| {
        split.segment(&[]).unwrap();
        split.segment(&[0xff; 2]).unwrap();
        empty(split, b"d/").unwrap();
        split.segment(&[0xff; 3]).unwrap();
        split.file(b"d/a", 5, &crc).unwrap();
        tar_len = split.tar_len();
    });
    assert_eq!(
        written,
        concat!(
            "{\"type\":2,\"payload\":\"//8=\",\"position\":0}\n",
            "{\"type\":1,\"name\":\"d/\",\"payload\":null,\"position\":1}\n",
            "{\"type\":2,\"payload\":\"////\",\"position\":2}\n",
            "{\"type\":1,\"name\":\"d/a\",\"size\":5,\"payload\":\"PD7u4tgQAAA=\",\"position\":3}\n",
        )
    );
    assert_eq!(tar_len, 10);
}

#[test]
fn names_are_escaped_as_go_does() {
    for (name, text) in [
        (&b"<a>&\"\\"[..], r#""name":"\u003ca\u003e\u0026\"\\""#),
        (
            b"\x01\x08\x0c\x1f\x7f",
            "\"name\":\"\\u0001\\u0008\\u000c\\u001f\x7f\"",
        ),
        (b"\n\r\t", r#""name":"\n\r\t""#),
        ("\u{2028}\u{2029}é".as_bytes(), r#""name":"\u2028\u2029é""#),
        (b"\xff", r#""name_raw":"/w==""#),
    ] {
        let written = lines(|split| empty(split, name).unwrap());
        let expected = format!("{{\"type\":1,{text},\"payload\":null,\"position\":0}}\n");
        assert_eq!(written, expected);
    }
}

#[test]
fn a_name_comes_once() {
    for (first, second) in [
        (&b"a/"[..], &b"a/"[..]),
        (b"a/", b"./a"),
        (b"a", b"/a"),
        (b"a/../b", b"b"),
        (b"./", b"."),
    ] {
        let mut split = TarSplitWriter::new(Vec::new());
        empty(&mut split, first).unwrap();
        let error = empty(&mut split, second).unwrap_err();
        let TarSplitWriteError::Duplicate { name } = &error else {
            panic!("{error:?}");
        };
        assert_eq!((&**name, error.fault()), (second, Fault::Unsupported));
    }
}

#[test]
fn a_name_can_be_one() {
    let mut split = TarSplitWriter::new(Vec::new());
    let error = empty(&mut split, &[b'a'; 256]).unwrap_err();
    assert!(
        matches!(
            &error,
            TarSplitWriteError::Name {
                source: PathError { .. },
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(error.fault(), Fault::Corrupt);
}

#[test]
fn a_failing_writer_fails() {
    let mut split = TarSplitWriter::new(&mut [][..]);
    let error = split.segment(b"abc").unwrap_err();
    assert_eq!(error.fault(), Fault::Io);
}
