//! Finding the trailer.

use bytes::Bytes;
use image_model::{Blame, BlobIndex, Digest, DigestAlgorithm, Fault};
use lazyoci_rafs_format::blob::{
    BlobError, LocateTrailer, Need, Object, Section, Step, StepMachine, TarHeader, TarHeaderFault,
    Toc, Trailer,
};
use lazyoci_rafs_format::v6::BlobEntry;
use verify::CheckError;

use crate::support::{drive, golden, golden_blob, locate, patched, sha256};

const GOLDEN: &str = "a4-v6-none-sha256-toc";
/// Of that golden.
const LEN: usize = 16757;
const TOC: usize = 0x3d75;

#[test]
fn the_toc_of_nydus() {
    for (name, sections) in [
        (GOLDEN, 4),
        ("a4-v6-zstd-sha256-toc", 4),
        ("a4-v6-none-sha256-inline-toc", 5),
        ("a4-v6-zstd-sha256-inline-toc", 5),
    ] {
        let blob = golden(&format!("{name}.blob"));
        let (trailer, asked) = drive(LocateTrailer::new(blob.len() as u64), &blob).unwrap();
        let Trailer::Toc(toc) = trailer else {
            panic!("{name} has a TOC");
        };
        assert_eq!((toc.entries().len(), asked.len()), (sections, 1), "{name}");
    }
}

#[test]
fn what_the_blob_table_says_is_true() {
    for name in [GOLDEN, "a4-v6-zstd-sha256-toc"] {
        let (blob, entry) = golden_blob(name);
        let len = blob.len() as u64;
        let known = LocateTrailer::of(&entry, len).unwrap();
        let (trailer, asked) = drive(known.clone(), &blob).unwrap();
        assert_eq!(asked, [Need::opened(len - 1024..len)]);
        // In a blob of the image, the same is asked of that.
        let (same, asked) = drive(known.in_blob(BlobIndex(3)), &blob).unwrap();
        assert_eq!(same, trailer);
        let object = Object::Blob(BlobIndex(3));
        let range = len - 1024..len;
        assert_eq!(asked, [Need { object, range }]);
        assert_eq!(trailer, locate(&blob).unwrap());
        let Trailer::Toc(toc) = trailer else {
            panic!("{name} has a TOC");
        };
        assert_eq!(toc.digest().as_bytes(), &entry.toc_digest);
        assert_eq!(toc.stored_len(), 1024);
    }
}

#[test]
fn an_unknown_toc_is_searched() {
    let (blob, entry) = golden_blob("a4-v6-none-sha256");
    assert_eq!(entry.toc_size, 0);
    let locate = LocateTrailer::of(&entry, blob.len() as u64).unwrap();
    let len = blob.len() as u64;
    let asked = vec![Need::opened(len - 4096..len)];
    assert_eq!(drive(locate, &blob), Ok((Trailer::None, asked)));
}

#[test]
fn an_inlined_bootstrap_without_toc() {
    let blob = golden("a4-v6-none-sha256-inline.blob");
    assert_eq!(locate(&blob), Ok(Trailer::Bootstrap(15157..35637)));
}

#[test]
fn other_ends() {
    for len in [0, 511, 512, 4096, 5000] {
        assert_eq!(locate(&vec![0; len].into()), Ok(Trailer::None));
    }
    let other = TarHeader::new(Section::ChunkInfo, 0).to_bytes();
    assert_eq!(locate(&Bytes::copy_from_slice(&other)), Ok(Trailer::None));
}

#[test]
fn a_toc_alone_is_a_blob() {
    let blob: Bytes = TarHeader::new(Section::Toc, 0).to_bytes().to_vec().into();
    let Trailer::Toc(toc) = locate(&blob).unwrap() else {
        panic!("it has a TOC");
    };
    assert_eq!((toc.entries(), toc.digest()), (&[][..], sha256(&blob)));
}

/// nydus takes such a blob for one of 4096 bytes more.
#[test]
fn blobs_shorter_than_what_is_read_at_first() {
    let entry = &golden(&format!("{GOLDEN}.blob"))[TOC..TOC + 128];
    // Its data: ten bytes at the start.
    let entry = patched(entry, 64, &10u64.to_le_bytes());
    let header = TarHeader::new(Section::Toc, 128).to_bytes();
    let blob: Bytes = [&[7; 10], &entry[..], &header].concat().into();
    let len = blob.len() as u64;
    let (trailer, asked) = drive(LocateTrailer::new(len), &blob).unwrap();
    assert_eq!(asked, [Need::opened(0..10 + 128 + 512)]);
    let Trailer::Toc(toc) = trailer else {
        panic!("it has a TOC");
    };
    assert_eq!(toc.entry(Section::Data).unwrap().range(), 0..10);
    let header = TarHeader::new(Section::Bootstrap, 30).to_bytes();
    let blob: Bytes = [&[7; 10], &[8; 30][..], &header].concat().into();
    assert_eq!(locate(&blob), Ok(Trailer::Bootstrap(10..40)));
}

/// More entries than 28 do not fit the bytes read at first.
#[test]
fn a_long_toc_takes_two_steps() {
    let entry = &golden(&format!("{GOLDEN}.blob"))[TOC..TOC + 128];
    for (count, steps) in [(28, 1), (29, 2), (508, 2)] {
        let header = TarHeader::new(Section::Toc, count as u64 * 128).to_bytes();
        let blob: Bytes = [&[0; 10005], &entry.repeat(count)[..], &header]
            .concat()
            .into();
        let (trailer, asked) = drive(LocateTrailer::new(blob.len() as u64), &blob).unwrap();
        let Trailer::Toc(toc) = trailer else {
            panic!("it has a TOC");
        };
        assert_eq!((toc.entries().len(), asked.len()), (count, steps));
    }
}

#[test]
fn a_toc_beyond_64_kib_is_refused() {
    let blob: Bytes = TarHeader::new(Section::Toc, 65536)
        .to_bytes()
        .to_vec()
        .into();
    let error = BlobError::Limit {
        piece: "bytes of a TOC",
        declared: 65536 + 512,
        limit: Toc::MAX_LEN,
    };
    assert_eq!(error.fault(), Fault::Limit);
    assert_eq!(locate(&blob), Err(error));
}

#[test]
fn sections_must_fit() {
    let blob: Bytes = TarHeader::new(Section::Toc, 128).to_bytes().to_vec().into();
    let out_of_bounds = |piece, offset, len, blob_len| BlobError::OutOfBounds {
        piece,
        offset,
        len,
        blob_len,
    };
    assert_eq!(locate(&blob), Err(out_of_bounds("TOC", 0, 640, 512)));
    let blob: Bytes = [
        &[0; 9],
        &TarHeader::new(Section::Bootstrap, 10).to_bytes()[..],
    ]
    .concat()
    .into();
    assert_eq!(locate(&blob), Err(out_of_bounds("bootstrap", 0, 10, 9)));
    // The entry `blob.meta.header`, one byte longer than up to the TOC; then without end.
    let blob = golden(&format!("{GOLDEN}.blob"));
    let entry = TOC + 2 * 128;
    let len = TOC as u64 - 10549 + 1;
    let damaged = patched(&blob, entry + 64, &len.to_le_bytes());
    assert_eq!(
        locate(&damaged),
        Err(out_of_bounds("section", 10549, len, TOC as u64))
    );
    let damaged = patched(&blob, entry + 64, &u64::MAX.to_le_bytes());
    assert_eq!(
        locate(&damaged),
        Err(out_of_bounds("section", 10549, u64::MAX, TOC as u64))
    );
}

#[test]
fn entries_must_be_whole() {
    let header = TarHeader::new(Section::Toc, 100).to_bytes();
    let blob: Bytes = [&[0; 1000], &header[..]].concat().into();
    assert_eq!(locate(&blob), Err(BlobError::TocLen { len: 100 }));
}

#[test]
fn entries_must_name_one_compressor() {
    let blob = golden(&format!("{GOLDEN}.blob"));
    for flags in [0, 3, 8, 0x101] {
        let damaged = patched(&blob, TOC + 128, &u32::to_le_bytes(flags));
        assert_eq!(
            locate(&damaged),
            Err(BlobError::TocFlags { index: 1, flags })
        );
    }
}

#[test]
fn a_damaged_tar_header_is_told_from_none() {
    let blob = golden(&format!("{GOLDEN}.blob"));
    let header = LEN - 512;
    let error = BlobError::TarHeader {
        offset: header as u64,
        fault: TarHeaderFault::Checksum,
    };
    assert_eq!(locate(&patched(&blob, header, b"R")), Err(error));
    assert_eq!(
        locate(&patched(&blob, header + 257, b"U")),
        Ok(Trailer::None)
    );
}

/// What becomes of the golden blob with an edited entry.
fn known(blob: &Bytes, edit: impl FnOnce(&mut BlobEntry)) -> Result<Trailer, BlobError> {
    let (_, mut entry) = golden_blob(GOLDEN);
    edit(&mut entry);
    drive(LocateTrailer::of(&entry, blob.len() as u64)?, blob).map(|(trailer, _)| trailer)
}

#[test]
fn a_known_toc_must_be_there() {
    let blob = golden(&format!("{GOLDEN}.blob"));
    let error = BlobError::TarHeader {
        offset: (LEN - 512) as u64,
        fault: TarHeaderFault::Magic,
    };
    assert_eq!(
        known(&patched(&blob, LEN - 512 + 257, b"U"), |_| ()),
        Err(error)
    );
    let inline = golden("a4-v6-none-sha256-inline.blob");
    assert_eq!(known(&inline, |_| ()), Err(BlobError::NoToc));
}

#[test]
fn a_known_toc_must_have_its_length() {
    let blob = golden(&format!("{GOLDEN}.blob"));
    let field = "length of the TOC";
    let error = BlobError::Contradiction {
        field,
        expected: 1152,
        found: 1024,
    };
    assert_eq!(known(&blob, |entry| entry.toc_size = 1152), Err(error));
    let error = BlobError::OutOfBounds {
        piece: "TOC",
        offset: 0,
        len: 20480,
        blob_len: LEN as u64,
    };
    assert_eq!(known(&blob, |entry| entry.toc_size = 20480), Err(error));
    let error = BlobError::OutOfBounds {
        piece: "TOC",
        offset: LEN as u64 - 511,
        len: 511,
        blob_len: LEN as u64,
    };
    assert_eq!(known(&blob, |entry| entry.toc_size = 511), Err(error));
    let error = BlobError::Limit {
        piece: "bytes of a TOC",
        declared: 65537,
        limit: 65536,
    };
    assert_eq!(known(&blob, |entry| entry.toc_size = 65537), Err(error));
}

#[test]
fn a_known_toc_must_have_its_digest() {
    let (blob, entry) = golden_blob(GOLDEN);
    // A reserved byte, which the digest covers like any other.
    let damaged = patched(&blob, TOC + 100, &[1]);
    let error = BlobError::Digest {
        section: "rafs.blob.toc".into(),
        source: CheckError::Digest {
            expected: Digest::new(DigestAlgorithm::Sha256, entry.toc_digest),
            found: sha256(&damaged[TOC..]),
        },
    };
    assert_eq!(known(&damaged, |_| ()), Err(error));
    assert!(known(&damaged, |entry| entry.toc_digest = [0; 32]).is_ok());
}

#[test]
fn the_wrong_bytes_are_the_callers_fault() {
    let mut locate = LocateTrailer::new(10_000);
    let error = BlobError::Given {
        piece: "end of the blob",
        expected: 4096,
        found: 4095,
    };
    let start = Step::Need(Need::opened(5904..10_000));
    assert_eq!(locate.start(), Ok(start.clone()));
    assert_eq!(locate.supply(vec![0; 4095].into()), Err(error));
    assert_eq!(
        locate.supply(vec![0; 4096].into()),
        Ok(Step::Done(Trailer::None))
    );
    // It may be started again.
    assert_eq!(locate.start(), Ok(start));
}

#[test]
fn flipped_bytes_are_answered() {
    for name in [
        "a4-v6-none-sha256-inline-toc.blob",
        "a4-v6-none-sha256-inline.blob",
    ] {
        let blob = golden(name);
        for at in blob.len() - 1200..blob.len() {
            for flip in [1, 0x80, 0xff] {
                let _ = locate(&patched(&blob, at, &[blob[at] ^ flip]));
            }
        }
    }
}
