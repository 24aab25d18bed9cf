//! What is written is read as it was.

use image_model::{Digest, DigestAlgorithm, Limits, Timestamp};
use lazyoci_soci_ztoc::bytes::Bytes;
use lazyoci_soci_ztoc::{
    Checkpoint, FileMetadata, FileType, GzipZinfo, PaxRecord, WINDOW_LEN, Zinfo, Ztoc,
};
use proptest::prelude::*;

fn digest(byte: u8) -> Digest {
    Digest::new(DigestAlgorithm::Sha256, [byte; 32])
}

/// Two spans, and files of every kind.
pub(crate) fn sample() -> Ztoc {
    let points = [
        Checkpoint::new(18, 0, 0),
        Checkpoint::new(900, 4_000, 3).window(vec![7; WINDOW_LEN].into()),
    ];
    let zinfo = Zinfo::Gzip(GzipZinfo::new(3_000, &points));
    let record = |key: &'static [u8], value: &'static [u8]| PaxRecord {
        key: Bytes::from_static(key),
        value: Bytes::from_static(value),
    };
    let kinds = [
        FileType::Directory,
        FileType::Symlink,
        FileType::HardLink,
        FileType::CharDevice,
        FileType::BlockDevice,
        FileType::Fifo,
    ];
    let mut files = vec![
        FileMetadata::new(&b"\xff name"[..], FileType::Regular)
            .offset(512)
            .size(700)
            .mode(0o100_644)
            .uid(u32::MAX)
            .gid(1)
            .uname(&b"\xfe"[..])
            .gname(&b"group"[..])
            .modified(Timestamp {
                seconds: 1_600_000_000,
                nanoseconds: 750_000_000,
            })
            .records(vec![
                record(b"SCHILY.xattr.user.x", b"\0\xff\n"),
                record(b"mtime", b"1600000000.75"),
            ]),
    ];
    for (nth, kind) in (0..).zip(kinds) {
        let file = FileMetadata::new(vec![b'a', nth], kind)
            .offset(2_048 + u64::from(nth) * 512)
            .link_target(&b"\xff name"[..])
            .mode(-1)
            .devmajor(8)
            .devminor(i64::MIN);
        files.push(file.modified(Timestamp::EPOCH));
    }
    Ztoc::new(zinfo, vec![digest(1), digest(2)], 1_000, 6_000).files(files)
}

#[test]
fn every_field_comes_back() {
    let ztoc = sample();
    let bytes = Bytes::from(ztoc.encode().unwrap());
    let read = Ztoc::decode(&bytes, &Limits::default()).unwrap();
    assert_eq!(read, ztoc);
    let xattrs = read.files[0].xattrs().collect::<Vec<_>>();
    assert_eq!(xattrs, [(&b"user.x"[..], &b"\0\xff\n"[..])]);
    assert_eq!(&read.files[0].mod_time[..], b"2020-09-13T12:26:40.75Z");
    let spans = [0, 1].map(|nth| read.span(nth).unwrap());
    assert_eq!(
        (spans[0].stored.clone(), spans[0].decoded.clone()),
        (18..900, 0..4_000)
    );
    assert_eq!(
        (spans[1].stored.clone(), spans[1].decoded.clone()),
        (899..1_000, 4_000..6_000)
    );
}

#[test]
fn files_are_read_in_order_of_their_payloads() {
    let mut ztoc = sample();
    ztoc.files.reverse();
    let bytes = Bytes::from(ztoc.encode().unwrap());
    let read = Ztoc::decode(&bytes, &Limits::default()).unwrap();
    assert_eq!(read, sample());
}

/// The first version leaves out the first checkpoint, and stays the first version.
#[test]
fn the_first_version_stays_itself() {
    let mut ztoc = sample();
    ztoc.zinfo = Zinfo::Gzip(GzipZinfo::new(
        3_000,
        &[Checkpoint::new(10, 0, 0), Checkpoint::new(900, 4_000, 3)],
    ));
    let second = ztoc.encode().unwrap();
    // The vector of checkpoints: its length, then their number and the length of spans.
    let header = [&2_i32.to_le_bytes()[..], &3_000_i64.to_le_bytes()].concat();
    let at = second
        .windows(12)
        .position(|bytes| bytes == header)
        .unwrap();
    let mut first = second.clone();
    // The second record takes the place of the first, and the length says that there is one.
    first.copy_within(at + 12 + 17 + WINDOW_LEN.., at + 12);
    let len = u32::try_from(12 + 17 + WINDOW_LEN).unwrap();
    first[at - 4..at].copy_from_slice(&len.to_le_bytes());
    let read = Ztoc::decode(&first.into(), &Limits::default()).unwrap();
    let Zinfo::Gzip(zinfo) = &read.zinfo else {
        panic!("a gzip layer");
    };
    assert!(zinfo.is_first_version());
    assert_eq!(zinfo.count(), 2);
    let points = zinfo.checkpoints().collect::<Vec<_>>();
    assert_eq!(
        points,
        [Checkpoint::new(10, 0, 0), Checkpoint::new(900, 4_000, 3)]
    );
    let written = Bytes::from(read.encode().unwrap());
    assert_eq!(written.len(), second.len() - 17 - WINDOW_LEN + 1);
    assert_eq!(Ztoc::decode(&written, &Limits::default()), Ok(read));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_files(
        files in prop::collection::vec(
            (
                (prop::collection::vec(any::<u8>(), 0..9), any::<i64>(), 0..2_000_u64),
                (any::<u32>(), prop::sample::select(vec![0, 7]), any::<bool>()),
            ),
            0..9,
        ),
    ) {
        let mut at = 0;
        let files = files.into_iter().map(|((name, mode, size), (uid, gid, dated))| {
            at += 512;
            let file = FileMetadata::new(name.clone(), FileType::Regular)
                .offset(at)
                .size(size)
                .mode(mode)
                .uid(uid)
                .gid(gid);
            at = (at + size).next_multiple_of(512);
            let file = if dated { file.modified(Timestamp::EPOCH) } else { file };
            let key = Bytes::from(name);
            file.records(vec![PaxRecord { value: key.clone(), key }; usize::from(dated)])
        });
        let mut ztoc = sample();
        ztoc.uncompressed_len = 1 << 20;
        let ztoc = ztoc.files(files.collect());
        let bytes = Bytes::from(ztoc.encode().unwrap());
        let read = Ztoc::decode(&bytes, &Limits::default()).unwrap();
        prop_assert_eq!(&read, &ztoc);
        prop_assert_eq!(read.encode().unwrap(), bytes);
    }
}
