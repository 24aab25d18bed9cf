//! The sections of blobs that nydus-image made, and blobs against their bootstraps and TOCs.
#![allow(clippy::unwrap_used, reason = "a test that unwraps has failed")]

use std::ops::Range;

use bytes::Bytes;
use frame_codec::Decoder;
use image_model::{BlobIndex, Digest, DigestAlgorithm, Limits};
use lazyoci_rafs_format::blob::{
    BlobError, BlobMeta, BlobMismatch, ChunkDigests, ChunkFault, LocateSections, Section, Sections,
    StepMachine as _, TarHeader, TarHeaderFault,
};
use lazyoci_rafs_format::v6::{BlobEntry, Bootstrap};

fn golden(name: &str) -> Bytes {
    let path = format!("{}/tests/goldens/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{path}: {error}"))
        .into()
}

fn bootstrap(name: &str) -> Bootstrap {
    Bootstrap::open(golden(&format!("{name}.boot")), &Limits::default()).unwrap()
}

fn slice(blob: &Bytes, range: Range<u64>) -> Bytes {
    blob.slice(range.start as usize..range.end as usize)
}

fn locate(blob: &[u8]) -> Result<Sections, BlobError> {
    let blob = Bytes::copy_from_slice(blob);
    LocateSections::new(blob.len() as u64).drive(|need| Ok(slice(&blob, need.range)))
}

/// The golden with TOC: chunks 0..10005, T, CI 10517..10549, header, T, digests 15157..15221, T, TOC.
fn with_toc() -> Bytes {
    golden("a4-v6-none-sha256-toc.blob")
}

#[test]
fn all_sections_are_found() {
    let plain = locate(&golden("a4-v6-none-sha256.blob")).unwrap();
    assert_eq!((plain.data.clone(), plain.has_headers), (0..10_005, false));
    assert_eq!(plain.chunk_info, Some(10_005..10_037));
    assert_eq!(plain.chunk_info_header(), Some(10_037..14_133));
    assert_eq!(
        (plain.digests, plain.bootstrap, plain.toc),
        (None, None, None)
    );

    let toc = locate(&with_toc()).unwrap();
    assert_eq!((toc.data.clone(), toc.has_headers), (0..10_005, true));
    assert_eq!(toc.digested_data(), 0..10_517);
    assert_eq!(toc.chunk_info, Some(10_517..10_549));
    assert_eq!(toc.digests, Some(15_157..15_221));
    assert_eq!(toc.toc.as_ref().unwrap().entries().len(), 4);

    let inline = locate(&golden("a4-v6-none-sha256-inline.blob")).unwrap();
    assert_eq!(inline.bootstrap, Some(15_157..35_637));
    assert_eq!((inline.digests, inline.toc), (None, None));
    assert_eq!(inline.len, 36_149);

    let all = locate(&golden("a4-v6-none-sha256-inline-toc.blob")).unwrap();
    assert_eq!(all.digests, Some(15_157..15_221));
    assert_eq!(all.bootstrap.as_ref().unwrap().start, 15_733);
    assert_eq!(all.toc.unwrap().entries().len(), 5);
}

#[test]
fn a_section_out_of_its_place_is_refused() {
    let blob = with_toc();
    let (header, toc) = (15_221..15_733, 15_733..16_757);
    let cut = |len: usize| locate(&blob[..len]);
    // The digests twice.
    let twice = [
        &blob[..15_733],
        &TarHeader::new(Section::ChunkDigests, 0).to_bytes(),
    ]
    .concat();
    let (section, offset) = (Section::ChunkDigests, 15_157);
    assert_eq!(
        locate(&twice),
        Err(BlobError::SectionOrder { section, offset })
    );
    // Without their header.
    let without = [&blob[..header.start], &blob[toc]].concat();
    let fault = TarHeaderFault::Magic;
    let offset = 15_221 - 512;
    assert_eq!(
        locate(&without),
        Err(BlobError::TarHeader { offset, fault })
    );
    // Something in front of the data.
    let stray = [&b"stray"[..], &blob].concat();
    assert_eq!(locate(&stray), Err(BlobError::Stray { len: 5 }));
    // More data than there are bytes.
    let mut more = blob[..10_005].to_vec();
    more.extend(TarHeader::new(Section::Data, 10_006).to_bytes());
    let error = BlobError::OutOfBounds {
        piece: "image.blob",
        offset: 0,
        len: 10_006,
        blob_len: 10_005,
    };
    assert_eq!(locate(&more), Err(error));
    let piece = "tar header";
    let (offset, len, blob_len) = (0, 512, 100);
    assert_eq!(
        cut(100),
        Err(BlobError::OutOfBounds {
            piece,
            offset,
            len,
            blob_len
        })
    );
    assert!(matches!(cut(16_756), Err(BlobError::HeaderMagic { .. })));
}

#[test]
fn a_tar_header_holds_nothing_but_what_it_says() {
    let mut blob = with_toc().to_vec();
    // The mode of the header of the digests, and the checksum with it.
    let header = 15_221;
    blob[header + 100] = b'1';
    blob[header + 148..header + 155].copy_from_slice(b"0000000");
    let sum: u32 = blob[header..header + 512]
        .iter()
        .map(|&b| u32::from(b))
        .sum();
    let field: u32 = blob[header + 148..header + 156]
        .iter()
        .map(|&b| u32::from(b))
        .sum();
    let digits = format!("{:07o}", sum - field + 8 * 32);
    blob[header + 148..header + 155].copy_from_slice(digits.as_bytes());
    let (offset, fault) = (15_221, TarHeaderFault::Reserved);
    assert_eq!(locate(&blob), Err(BlobError::TarHeader { offset, fault }));
}

#[test]
fn a_header_in_another_place_is_refused() {
    let blob = golden("a4-v6-none-sha256.blob");
    let longer = [&blob[..10_037], &[0], &blob[10_037..]].concat();
    let error = BlobError::CiRange {
        offset: 10_005,
        len: 33,
        found: 10_005,
        found_len: 32,
    };
    assert_eq!(locate(&longer), Err(error));
}

fn toc_mismatches(sections: &Sections) -> Vec<BlobMismatch> {
    let mut found = Vec::new();
    sections.compare_toc(&mut |mismatch| found.push(mismatch));
    found
}

#[test]
fn the_toc_is_compared_with_the_sections() {
    for name in ["a4-v6-none-sha256-toc", "a4-v6-none-sha256-inline-toc"] {
        let sections = locate(&golden(&format!("{name}.blob"))).unwrap();
        assert_eq!(toc_mismatches(&sections), []);
    }
    // The offset of the digests' entry, the last one of four.
    let entry = 15_733 + 3 * 128;
    let mut blob = with_toc().to_vec();
    blob[entry + 56] ^= 1;
    let section = Section::ChunkDigests;
    let (listed, found) = (15_156..15_220, 15_157..15_221);
    assert_eq!(
        toc_mismatches(&locate(&blob).unwrap()),
        [BlobMismatch::Section {
            section,
            listed,
            found
        }]
    );
    // Its name.
    blob[entry + 56] ^= 1;
    blob[entry + 8] = b'B';
    let name = b"Blob.digest".to_vec();
    assert_eq!(
        toc_mismatches(&locate(&blob).unwrap()),
        [
            BlobMismatch::NoSection { index: 3, name },
            BlobMismatch::Unlisted { section }
        ]
    );
}

fn entry_mismatches(sections: &Sections, entry: &BlobEntry) -> Vec<BlobMismatch> {
    let mut found = Vec::new();
    sections.compare_entry(entry, &mut |mismatch| found.push(mismatch));
    found
}

#[test]
fn the_blob_table_is_compared_with_the_blob() {
    let bootstrap = bootstrap("a4-v6-none-sha256-toc");
    let right = &bootstrap.blob_entries()[0];
    let sections = locate(&with_toc()).unwrap();
    assert_eq!(entry_mismatches(&sections, right), []);
    let mut wrong = right.clone();
    wrong.compressed_size += 1;
    wrong.ci_offset += 2;
    wrong.ci_compressed_size += 3;
    wrong.uncompressed_size += 4096;
    wrong.toc_size += 128;
    wrong.toc_digest[0] ^= 1;
    let entry = |field, expected, found| BlobMismatch::Entry {
        field,
        expected,
        found,
    };
    let digest = |bytes| Digest::new(DigestAlgorithm::Sha256, bytes);
    assert_eq!(
        entry_mismatches(&sections, &wrong),
        [
            entry("compressed_size", 16_758, 16_757),
            entry("ci_offset", 10_519, 10_517),
            entry("ci_compressed_size", 35, 32),
            entry("blob_toc_size", 1152, 1024),
            entry("uncompressed_size", 20_480, 16_384),
            BlobMismatch::TocDigest {
                expected: digest(wrong.toc_digest),
                found: digest(right.toc_digest),
            },
        ]
    );
    // Of a blob with an inlined bootstrap either length will do.
    let inline = locate(&golden("a4-v6-none-sha256-inline.blob")).unwrap();
    for (compressed_size, fits) in [(36_149, true), (15_157, true), (15_158, false)] {
        let mut entry = right.clone();
        entry.compressed_size = compressed_size;
        let found = entry_mismatches(&inline, &entry);
        let is_len = |m: &BlobMismatch| {
            matches!(
                m,
                BlobMismatch::Entry {
                    field: "compressed_size",
                    ..
                }
            )
        };
        assert_eq!(!found.iter().any(is_len), fits);
    }
}

fn meta(blob: &Bytes, entry: &BlobEntry) -> BlobMeta {
    let limits = Limits::default();
    let stored = slice(blob, BlobMeta::range(entry, &limits).unwrap());
    BlobMeta::decode(entry, &stored, &mut Decoder::new(), &limits).unwrap()
}

#[test]
fn chunks_are_compared_with_their_records() {
    let bootstrap = bootstrap("a4-v6-none-sha256-toc");
    let entry = &bootstrap.blob_entries()[0];
    let mut blob = with_toc().to_vec();
    let compare = |blob: &[u8]| {
        let (mut found, blob) = (Vec::new(), Bytes::copy_from_slice(blob));
        meta(&blob, entry).compare(&bootstrap, BlobIndex(0), &mut |m| found.push(m));
        let digests = ChunkDigests::new(slice(&blob, 15_157..15_221), DigestAlgorithm::Sha256, 2);
        let digests = digests.unwrap();
        digests.compare(&bootstrap, BlobIndex(0), &mut |m| found.push(m));
        found
    };
    assert_eq!(compare(&blob), []);
    // The stored offset of chunk 0, and its digest.
    blob[10_517 + 8] ^= 2;
    blob[15_157] ^= 1;
    let [first, second] = &compare(&blob)[..] else {
        panic!("two faults")
    };
    assert_eq!(
        *first,
        BlobMismatch::Chunk {
            index: 0,
            field: "compressed_offset",
            expected: 0,
            found: 2
        }
    );
    let BlobMismatch::ChunkDigest {
        index: 0,
        expected,
        found,
    } = second
    else {
        panic!("{second}")
    };
    assert_eq!(*expected, verify::sha256(b"hello"));
    assert_eq!(found.as_bytes()[1..], expected.as_bytes()[1..]);
}

#[test]
fn every_wrong_entry_is_told_and_every_gap() {
    let bootstrap = bootstrap("a4-v6-none-sha256");
    let entry = &bootstrap.blob_entries()[0];
    let sound = golden("a4-v6-none-sha256.blob");
    // With chunk 0 at another stored offset.
    let check = |offset: u8, data_len| {
        let (mut faults, mut gaps) = (Vec::new(), Vec::new());
        let mut blob = sound.to_vec();
        blob[10_005 + 8] = offset;
        meta(&blob.into(), entry).check_all(
            data_len,
            &mut |fault| faults.push(fault),
            &mut |gap| gaps.push((gap.start, gap.end)),
        );
        (faults, gaps)
    };
    assert_eq!(check(0, 10_005), (vec![], vec![]));
    assert_eq!(check(0, 10_105), (vec![], vec![(10_005, 10_105)]));
    assert_eq!(check(2, 10_005).1, [(0, 2)]);
    let (index, fault) = (1, ChunkFault::Order);
    let order = vec![BlobError::Chunk { index, fault }];
    assert_eq!(check(6, 10_005), (order, vec![(0, 6), (11, 10_005)]));
    let (index, fault) = (
        0,
        ChunkFault::BeyondData {
            end: 10_006,
            data_len: 10_005,
        },
    );
    let mut blob = sound.to_vec();
    blob[10_005 + 8..10_005 + 10].copy_from_slice(&10_001_u16.to_le_bytes());
    let mut faults = Vec::new();
    meta(&blob.into(), entry).check_all(10_005, &mut |f| faults.push(f), &mut |_| ());
    assert_eq!(faults, [BlobError::Chunk { index, fault }]);
}
