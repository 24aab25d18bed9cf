//! Entries back to the bytes they came from.

use std::io::{self, Write};

use lazyoci_tar_stream::{TarError, TarReadOptions, TarReader, TarWriter, WriteError};
use proptest::prelude::*;

use crate::hostile::sampler;
use crate::tape::*;

/// The same tar, from its entries.
pub(crate) fn rebuild(tar: &[u8], options: TarReadOptions) -> Result<Vec<u8>, TarError> {
    let mut reader = TarReader::new(tar, options);
    let mut writer = TarWriter::new(Vec::new());
    while let Some(entry) = reader.next_entry()? {
        writer.append_raw(entry.raw(), entry.payload_len).unwrap();
        io::copy(&mut reader, &mut writer).map_err(|error| {
            error
                .downcast::<TarError>()
                .expect("the writer cannot fail")
        })?;
    }
    let mut trailer = reader.trailer().expect("there is no further entry");
    Ok(writer
        .finish_raw(&mut trailer)
        .expect("the source is memory"))
}

#[test]
fn what_is_odd_comes_back_too() {
    let dirty_padding = Tape::new().file("a", b"1").bytes(&[0; 512]).into_bytes();
    let mut dirty_padding = [dirty_padding, Tape::new().file("b", b"22").end()].concat();
    dirty_padding.drain(1024..1536);
    dirty_padding[600..700].fill(7);
    let tapes = [
        vec![],
        vec![0; 1024],
        vec![0; 10_240],
        sampler(),
        dirty_padding,
        Tape::new().file("a", b"1").into_bytes(),
        Tape::new().file("a", b"1").bytes(&[0; 512]).into_bytes(),
        Tape::new()
            .file("a", b"1")
            .bytes(&[0; 1024])
            .bytes(&[9; 777])
            .into_bytes(),
        Tape::new().records(b'g', &[("comment", "alone")]).end(),
        Tape::new()
            .header(header(b"a", b'5').size(512))
            .file("b", b"")
            .end(),
        Tape::new().member(header(b"vendor", b'Q'), &[5; 600]).end(),
        Tape::new()
            .pax(&[("path", "1")])
            .pax(&[])
            .file("a", b"")
            .end(),
    ];
    for tar in tapes {
        assert!(rebuild(&tar, strict()).unwrap() == tar);
        assert!(rebuild(&tar, lenient()).unwrap() == tar);
    }
}

#[test]
fn what_only_lenient_reading_takes_comes_back_too() {
    let tapes = [
        Tape::new()
            .file("a", b"1")
            .pax(&[("path", "dangling")])
            .end(),
        Tape::new().file("a", b"1").into_bytes()[..600].to_vec(),
        Tape::new()
            .records(b'X', &[("path", "sun")])
            .file("a", b"")
            .end(),
    ];
    for tar in tapes {
        assert!(rebuild(&tar, strict()).is_err());
        assert!(rebuild(&tar, lenient()).unwrap() == tar);
    }
}

#[test]
fn entries_out_of_place_are_refused() {
    let tar = Tape::new().file("a", b"1").file("b", b"22").end();
    let found = entries(&tar, strict()).unwrap();
    let mut writer = TarWriter::new(Vec::new());
    let error = writer.append_raw(found[1].raw(), 2).unwrap_err();
    assert!(matches!(error, WriteError::OutOfPlace { offset: 1023 }));

    writer.append_raw(found[0].raw(), 1).unwrap();
    let error = writer.append_raw(found[1].raw(), 2).unwrap_err();
    assert!(matches!(
        error,
        WriteError::PayloadMissing {
            offset: 512,
            left: 1
        }
    ));
    let error = writer.write_all(b"12").unwrap_err();
    let error = error.downcast::<WriteError>().unwrap();
    assert!(matches!(error, WriteError::PayloadTooLong { offset: 512 }));
    writer.write_all(b"1").unwrap();
    writer.append_raw(found[1].raw(), 2).unwrap();
    assert!(matches!(
        writer.finish_raw(&mut io::empty()),
        Err(WriteError::PayloadMissing {
            offset: 1536,
            left: 2
        })
    ));
}

#[test]
fn raw_bytes_can_be_taken() {
    let tar = Tape::new().file("a", b"1").end();
    let mut found = entry(&tar);
    assert_eq!(found.take_raw(), tar[..512]);
    assert_eq!((found.raw(), found.header()), (&b""[..], &b""[..]));
}

fn member() -> impl Strategy<Value = Tape> {
    let typeflag = prop::sample::select(b"\x000123456779QVxLKg".to_vec());
    let name = "[a-c]{1,3}(/[a-c]{1,3}){0,2}";
    let magic = prop::sample::select(vec![USTAR, GNU, V7]);
    let payload = prop::collection::vec(any::<u8>(), 0..1200);
    let records = prop::collection::vec(
        ("(path|size|uid|mtime|SCHILY.xattr.a|x)", "[0-9a]{0,3}"),
        0..3,
    );
    (typeflag, name, magic, payload, records).prop_map(
        |(typeflag, name, magic, payload, records)| {
            let list: Vec<_> = records.iter().map(|(k, v)| (&**k, &**v)).collect();
            match typeflag {
                b'x' | b'g' => Tape::new().records(typeflag, &list),
                b'L' | b'K' => Tape::new().long(typeflag, name.as_bytes()),
                b'1'..=b'6' => {
                    Tape::new().header(header(name.as_bytes(), typeflag).put(MAGIC, magic))
                }
                _ => Tape::new().member(
                    header(name.as_bytes(), typeflag).put(MAGIC, magic),
                    &payload,
                ),
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever can be read to its end comes back byte for byte.
    #[test]
    fn every_tar_that_is_read_comes_back(
        members in prop::collection::vec(member(), 0..8),
        tail in prop::collection::vec(any::<u8>(), 0..600),
        blocks in 0usize..4,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        lenient in any::<bool>(),
    ) {
        let bytes = members.into_iter().flat_map(Tape::into_bytes).collect::<Vec<_>>();
        let mut tar = [bytes, vec![0; blocks * 512]].concat();
        if blocks >= 2 {
            tar.extend(tail);
        }
        for (index, value) in flips {
            if !tar.is_empty() {
                let at = index.index(tar.len());
                tar[at] = value;
            }
        }
        let options = TarReadOptions::default().lenient(lenient);
        if let Ok(rebuilt) = rebuild(&tar, options) {
            prop_assert!(rebuilt == tar);
        }
    }
}
