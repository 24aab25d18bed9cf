//! Headers of members, with every part that one can have.

use lazyoci_gzip_index::{
    BuildError, CheckpointBuilder, CheckpointOptions, Corruption, IndexBuilder, IndexOptions,
    member_header_len,
};
use proptest::prelude::*;

use crate::support::{build, gzip, read_backwards, small, text};

/// The bits of `FLG`.
const CHECKSUM: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;

/// A header with those parts that `flags` say.
fn header(flags: u8, extra: &[u8], name: &[u8], comment: &[u8]) -> Vec<u8> {
    let mut header = vec![0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 2, 3];
    if flags & EXTRA != 0 {
        header.extend((extra.len() as u16).to_le_bytes());
        header.extend(extra);
    }
    for (flag, text) in [(NAME, name), (COMMENT, comment)] {
        if flags & flag != 0 {
            header.extend([text, b"\0"].concat());
        }
    }
    if flags & CHECKSUM != 0 {
        let [c0, c1, ..] = crc32fast::hash(&header).to_le_bytes();
        header.extend([c0, c1]);
    }
    header
}

/// A member with another header, whose own one has ten bytes.
fn member(header: &[u8], plain: &[u8]) -> Vec<u8> {
    [header, &gzip(plain, 6)[10..]].concat()
}

/// Where spans and checkpoints of `stored` begin, if spans are as short as blocks.
fn places(stored: &[u8]) -> (Vec<u64>, Vec<u64>) {
    let spans = build(stored, &small(1)).spans().to_vec();
    let options = CheckpointOptions::default().span_size(0);
    let (found, _) = CheckpointBuilder::new(stored, &options).finish().unwrap();
    let points = found.points.iter();
    (
        spans.iter().map(|span| span.stored_offset).collect(),
        points.map(|point| point.stored_offset).collect(),
    )
}

#[test]
fn any_parts_are_passed_in_any_member() {
    // The lowest bit says that this is text, and adds nothing. Parts may be there and empty.
    let parts = [[&b"extra"[..], b"name", b"a comment"], [&b""[..]; 3]];
    let headers = parts.iter().flat_map(|[extra, name, comment]| {
        (0..0b10_0000).map(move |flags| header(flags, extra, name, comment))
    });
    for header in headers {
        assert_eq!(member_header_len(&header), Some(header.len()), "{header:?}");
        for cut in 0..header.len() {
            assert_eq!(member_header_len(&header[..cut]), None, "{header:?} {cut}");
        }
        let first = member(&header, b"lazy");
        let at = header.len() as u64;
        assert_eq!(places(&first), (vec![at], vec![at]), "{header:?}");
        let stored = [&first[..], &member(&header, b"lazily")].concat();
        let second = (first.len() + header.len()) as u64;
        assert_eq!(places(&stored), (vec![at, second], vec![at, second]));
        assert!(read_backwards(&build(&stored, &small(1)), &stored) == b"lazylazily");
    }
}

#[test]
fn headers_that_are_wrong_are_refused_in_any_member() {
    let first = gzip(b"lazy", 6);
    let refused = |header: &[u8]| {
        let stored = [&first[..], &member(header, b"lazily")].concat();
        let error = CheckpointBuilder::new(&stored[..], &CheckpointOptions::default()).finish();
        let of_checkpoints = error.unwrap_err();
        let error = IndexBuilder::new(&stored[..], &IndexOptions::default()).finish();
        let of_index = error.unwrap_err();
        assert_eq!(of_checkpoints.to_string(), of_index.to_string());
        of_index
    };
    for flags in (0..0b10_0000).filter(|flags| flags & CHECKSUM != 0) {
        let right = header(flags, b"extra", b"name", b"a comment");
        for at in [4, right.len() - 2, right.len() - 1] {
            let mut wrong = right.clone();
            wrong[at] ^= 0x10;
            assert_eq!(member_header_len(&wrong), None, "{flags} {at}");
            let error = refused(&wrong);
            // Its last byte is not passed.
            let end = (first.len() + right.len() - 1) as u64;
            assert!(
                matches!(
                    error,
                    BuildError::Corrupt { stored, decoded: 4, source: Corruption::HeaderChecksum }
                        if stored == end
                ),
                "{flags} {at}: {error}"
            );
        }
    }
    for bit in [5, 6, 7] {
        let header = header(1 << bit, b"", b"", b"");
        assert_eq!(member_header_len(&header), None, "{bit}");
        let error = refused(&header);
        let at = first.len() as u64 + 3;
        assert!(
            matches!(
                error,
                BuildError::Corrupt { stored, decoded: 4, source: Corruption::Reserved }
                    if stored == at
            ),
            "{bit}: {error}"
        );
    }
}

/// The extra field is longer than a span, and the name than what is read at once.
#[test]
fn parts_that_are_longer_than_spans_are_in_none() {
    let (name, comment) = (vec![b'n'; 300_000], vec![b'c'; 70_000]);
    let extra = text(usize::from(u16::MAX));
    let plain = text(200_000);
    let (a, b) = plain.split_at(90_000);
    for flags in [EXTRA, NAME, EXTRA | NAME | COMMENT | CHECKSUM] {
        let header = header(flags, &extra, &name, &comment);
        let first = member(&header, a);
        let stored = [&first[..], &member(&header, b)].concat();
        let index = build(&stored, &small(10_000));
        let begins = index.spans().iter().filter(|span| span.begins_member());
        let begins = begins.map(|span| span.stored_offset).collect::<Vec<_>>();
        let second = first.len() + header.len();
        assert_eq!(begins, [header.len() as u64, second as u64]);
        assert!(index.spans().len() > 10, "{}", index.spans().len());
        assert!(read_backwards(&index, &stored) == plain);
        // A header is a part of the span around it only where members are decoded one after the other.
        let options = CheckpointOptions::default().span_size(10_000);
        let (found, _) = CheckpointBuilder::new(&stored[..], &options)
            .finish()
            .unwrap();
        assert_eq!(found.points[0].stored_offset, header.len() as u64);
        assert_eq!(crate::checkpoints::read_backwards(&found, &stored), plain);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_header_is_as_long_as_its_parts(
        flags in 0..0b10_0000_u8,
        extra in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..3),
            prop::collection::vec(any::<u8>(), 0..=65_535),
        ],
        name in prop::collection::vec(1..=u8::MAX, 0..300),
        comment in prop::collection::vec(1..=u8::MAX, 0..300),
        behind in prop::collection::vec(any::<u8>(), 0..50),
        cut in any::<prop::sample::Index>(),
    ) {
        let header = header(flags, &extra, &name, &comment);
        let stored = [&header[..], &behind].concat();
        prop_assert_eq!(member_header_len(&stored), Some(header.len()));
        prop_assert_eq!(member_header_len(&header[..cut.index(header.len())]), None);
    }
}
