//! Sparse files in their four encodings.

use image_model::Limits;
use lazyoci_tar_stream::sparse::SparseFault;
use lazyoci_tar_stream::{Refusal, TarError, TarReadOptions};

use crate::tape::*;

const REGIONS: [(u64, u64); 3] = [(512, 512), (4096, 1024), (8192, 5)];
const SIZE_WITH_HOLES: u64 = 8197;

fn data() -> Vec<u8> {
    (0..1541u32).map(|i| (i % 253) as u8).collect()
}

fn numbers(regions: &[(u64, u64)]) -> Vec<String> {
    let pairs = regions.iter().flat_map(|&(offset, len)| [offset, len]);
    pairs.map(|n| n.to_string()).collect()
}

/// A map in front of the payload.
fn map_1_0(regions: &[(u64, u64)]) -> Vec<u8> {
    let mut text = vec![regions.len().to_string()];
    text.extend(numbers(regions));
    let mut map = (text.join("\n") + "\n").into_bytes();
    map.resize(map.len().next_multiple_of(512), 0);
    map
}

fn pax_1_0(regions: &[(u64, u64)], data: &[u8], size: u64) -> Tape {
    let payload = [&map_1_0(regions)[..], data].concat();
    Tape::new()
        .pax(&[
            ("GNU.sparse.major", "1"),
            ("GNU.sparse.minor", "0"),
            ("GNU.sparse.name", "sparse"),
            ("GNU.sparse.realsize", &size.to_string()),
        ])
        .member(header(b"GNUSparseFile.0/sparse", b'0'), &payload)
}

fn pairs(regions: &[(u64, u64)]) -> Vec<u8> {
    let numbers = regions.iter().flat_map(|&(offset, len)| [offset, len]);
    numbers
        .flat_map(|n| format!("{n:011o}\0").into_bytes())
        .collect()
}

fn old(regions: &[(u64, u64)], data: &[u8], size: u64) -> Tape {
    let (first, rest) = regions.split_at(regions.len().min(4));
    let head = header(b"sparse", b'S')
        .put(MAGIC, GNU)
        .size(data.len() as u64)
        .put(GNU_SPARSE, &pairs(first))
        .put(GNU_EXTENDED, &[u8::from(!rest.is_empty())])
        .octal(GNU_REALSIZE, size);
    let mut tape = Tape::new().header(head);
    let blocks = rest.chunks(21);
    let last = blocks.len().wrapping_sub(1);
    for (index, block) in blocks.enumerate() {
        let mut bytes = pairs(block);
        bytes.resize(512, 0);
        bytes[504] = u8::from(index != last);
        tape = tape.bytes(&bytes);
    }
    tape.bytes(data).pad()
}

fn pax_0(keys: &[(&str, &str)], data: &[u8]) -> Tape {
    let size = SIZE_WITH_HOLES.to_string();
    let mut list = vec![("GNU.sparse.size", &*size), ("GNU.sparse.numblocks", "3")];
    list.extend(keys);
    Tape::new().pax(&list).member(header(b"sparse", b'0'), data)
}

#[test]
fn all_four_encodings_say_the_same() {
    let data = data();
    let list = numbers(&REGIONS);
    let keys = ["GNU.sparse.offset", "GNU.sparse.numbytes"];
    let in_turn: Vec<_> = (0..6).map(|i| (keys[i % 2], &*list[i])).collect();
    let joined = list.join(",");
    let tapes = [
        old(&REGIONS, &data, SIZE_WITH_HOLES),
        pax_0(&in_turn, &data),
        pax_0(
            &[("GNU.sparse.map", &joined), ("GNU.sparse.name", "sparse")],
            &data,
        ),
        pax_1_0(&REGIONS, &data, SIZE_WITH_HOLES),
    ];
    for tape in tapes {
        let tar = tape.file("next", b"").end();
        let found = entries(&tar, strict()).unwrap();
        let [sparse, next] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(sparse.path, b"sparse");
        assert_eq!((sparse.size, sparse.payload_len), (SIZE_WITH_HOLES, 1541));
        let mut at = sparse.payload_offset;
        for (span, (file_offset, len)) in sparse.spans.as_slice().iter().zip(REGIONS) {
            assert_eq!(
                (span.file_offset, span.source_offset, span.len),
                (file_offset, at, len)
            );
            at += len;
        }
        assert_eq!(sparse.spans.as_slice().len(), 3);
        let start = sparse.payload_offset as usize;
        assert_eq!(tar[start..start + 1541], data);
        assert_eq!(next.path, b"next");
    }
}

#[test]
fn maps_may_be_long() {
    let regions: Vec<_> = (0..100u64).map(|i| (i * 8192, 512)).collect();
    let data = vec![7; 100 * 512];
    for tape in [
        old(&regions, &data, 99 * 8192 + 512),
        pax_1_0(&regions, &data, 99 * 8192 + 512),
    ] {
        let found = entry(&tape.end());
        let expected = (99 * 8192 + 512, 100);
        assert_eq!((found.size, found.spans.as_slice().len()), expected);
    }
}

#[test]
fn files_may_be_all_hole() {
    let end = [(5000, 0)];
    for tape in [old(&end, b"", 5000), pax_1_0(&end, b"", 5000)] {
        let found = entry(&tape.end());
        assert_eq!((found.size, found.payload_len), (5000, 0));
        assert!(found.spans.as_slice().is_empty());
    }
}

fn fault(tar: &[u8], options: TarReadOptions) -> SparseFault {
    match entries(tar, options) {
        Err(TarError::Sparse { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn bad_maps_are_refused() {
    let data = [7; 1024];
    let regions = |list: &[(u64, u64)]| {
        [
            old(list, &data, 4096).end(),
            pax_1_0(list, &data, 4096).end(),
        ]
        .map(|tar| fault(&tar, lenient()))
    };
    let beyond = [SparseFault::Regions { size: 4096 }; 2];
    assert_eq!(regions(&[(512, 512), (0, 512)]), beyond);
    assert_eq!(regions(&[(0, 512), (100, 512)]), beyond);
    assert_eq!(regions(&[(4000, 1024)]), beyond);
    let short = SparseFault::DataLen {
        regions: 512,
        stored: 1024,
    };
    assert_eq!(regions(&[(0, 512)]), [short; 2]);
}

#[test]
fn bad_records_are_refused() {
    let cases = [
        (
            vec![("GNU.sparse.map", "0,512")],
            SparseFault::Count {
                regions: 3,
                found: 2,
            },
        ),
        (vec![("GNU.sparse.map", "0,1,2,3,4,x")], SparseFault::Number),
        (
            vec![("GNU.sparse.map", "0,1,2,3,4,-5")],
            SparseFault::Number,
        ),
    ];
    for (records, expected) in cases {
        assert_eq!(fault(&pax_0(&records, b"").end(), strict()), expected);
    }
    let out_of_turn = pax_0(&[("GNU.sparse.numbytes", "1")], b"").end();
    let error = entries(&out_of_turn, lenient()).unwrap_err();
    assert!(
        matches!(error, TarError::PaxValue { offset: 512, .. }),
        "{error}"
    );
}

#[test]
fn sparse_members_without_payload_or_magic_are_refused() {
    let directory = Tape::new()
        .pax(&[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0")])
        .header(header(b"d", b'5'))
        .end();
    assert_eq!(fault(&directory, strict()), SparseFault::Kind);
    let ustar = Tape::new().header(header(b"s", b'S')).end();
    assert_eq!(fault(&ustar, strict()), SparseFault::Magic);
}

#[test]
fn a_map_must_end_within_its_payload() {
    let records = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0")];
    for payload in [&b""[..], b"1\n0\n", &[b'\n'; 0]] {
        let tape = Tape::new()
            .pax(&records)
            .member(header(b"s", b'0'), payload);
        let stored = payload.len() as u64;
        assert_eq!(
            fault(&tape.end(), strict()),
            SparseFault::MapTooLong { stored }
        );
    }
    let endless = Tape::new()
        .pax(&records)
        .member(header(b"s", b'0'), &[b'1'; 4096]);
    assert_eq!(fault(&endless.end(), strict()), SparseFault::Number);
}

#[test]
fn regions_are_limited() {
    let limits = Limits::default().max_sparse_regions(50);
    let options = || TarReadOptions::default().limits(limits.clone());
    let regions: Vec<_> = (0..51u64).map(|i| (i * 512, 512)).collect();
    let data = vec![7; 51 * 512];
    let too_many = SparseFault::TooMany { limit: 50 };
    let size = 51 * 512;
    assert_eq!(
        fault(&old(&regions, &data, size).end(), options()),
        too_many
    );
    assert_eq!(
        fault(&pax_1_0(&regions, &data, size).end(), options()),
        too_many
    );
    let allowed = pax_1_0(&regions[1..], &data[512..], size).end();
    assert!(entries(&allowed, options()).is_ok());

    // Extension blocks without pairs cost memory as well.
    let head = header(b"s", b'S').put(MAGIC, GNU).put(GNU_EXTENDED, &[1]);
    let mut empty = [0; 512];
    empty[504] = 1;
    let endless = (0..100).fold(Tape::new().header(head), |tape, _| tape.bytes(&empty));
    assert_eq!(fault(&endless.end(), options()), too_many);
}

fn refusal(tar: &[u8]) -> Refusal {
    match entries(tar, strict()) {
        Err(TarError::Refused { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

/// GNU tar begins every region at a whole block. Go, Python, libarchive: one after the other.
#[test]
fn regions_that_are_no_whole_blocks() {
    let regions = [(0, 5), (1024, 5)];
    for tape in [
        old(&regions, b"AAAAABBBBB", 2000),
        pax_1_0(&regions, b"AAAAABBBBB", 2000),
    ] {
        let tar = tape.end();
        assert_eq!(refusal(&tar), Refusal::SparseRegion { len: 5 });
        let found = entries(&tar, lenient()).unwrap();
        let last = found[0].spans.as_slice()[1];
        assert_eq!(last.source_offset, found[0].payload_offset + 5);
    }
}

/// GNU tar cuts the file where the map ends. Go, Python, libarchive: the rest is a hole.
#[test]
fn maps_that_end_before_the_file() {
    let data = [7; 512];
    for (tape, end) in [
        (old(&[(0, 512)], &data, 2000), 512),
        (pax_1_0(&[(512, 512)], &data, 2000), 1024),
        (pax_1_0(&[], b"", 2000), 0),
    ] {
        let tar = tape.end();
        assert_eq!(refusal(&tar), Refusal::SparseEnd { end, size: 2000 });
        assert_eq!(entries(&tar, lenient()).unwrap()[0].size, 2000);
    }
}

/// GNU tar: an error. Python: a file of that size. Go: a plain file.
#[test]
fn unknown_sparse_versions() {
    for (major, minor) in [("2", "0"), ("1", "1"), ("0", "2")] {
        let list = [("GNU.sparse.major", major), ("GNU.sparse.minor", minor)];
        let tar = Tape::new().pax(&list).file("plain", b"data").end();
        let reason = Refusal::SparseVersion {
            major: major.as_bytes().into(),
            minor: minor.as_bytes().into(),
        };
        assert_eq!(refusal(&tar), reason);
        assert_eq!(entries(&tar, lenient()).unwrap()[0].size, 4);
    }
}

#[test]
fn sparse_records_that_contradict_each_other() {
    let two_sizes = Tape::new()
        .pax(&[
            ("GNU.sparse.major", "1"),
            ("GNU.sparse.minor", "0"),
            ("GNU.sparse.size", "600"),
            ("GNU.sparse.realsize", "700"),
        ])
        .member(header(b"s", b'0'), &map_1_0(&[]))
        .end();
    assert_eq!(refusal(&two_sizes), Refusal::SparseRecords);
    assert_eq!(entries(&two_sizes, lenient()).unwrap()[0].size, 600);

    let no_map = Tape::new()
        .pax(&[("GNU.sparse.name", "other")])
        .file("a", b"");
    assert_eq!(refusal(&no_map.clone().end()), Refusal::SparseRecords);
    assert_eq!(names(&no_map.end(), lenient()), ["a"]);

    let two_maps = pax_0(
        &[
            ("GNU.sparse.map", "0,0,0,0,0,0"),
            ("GNU.sparse.offset", "0"),
            ("GNU.sparse.numbytes", "0"),
        ],
        b"",
    );
    assert_eq!(refusal(&two_maps.end()), Refusal::SparseRecords);

    let two_formats = Tape::new()
        .pax(&[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0")])
        .bytes(&old(&[], b"", 0).into_bytes());
    assert_eq!(refusal(&two_formats.end()), Refusal::SparseRecords);
}

#[test]
fn a_gnu_name_must_be_the_sparse_one() {
    let named = |name: &[u8]| {
        let tape = Tape::new().long(b'L', name);
        tape.bytes(&pax_1_0(&[], b"", 0).into_bytes()).end()
    };
    assert_eq!(names(&named(b"sparse"), strict()), ["sparse"]);
    let other = named(b"other");
    assert!(matches!(refusal(&other), Refusal::Names { .. }));
    assert_eq!(names(&other, lenient()), ["sparse"]);
}
