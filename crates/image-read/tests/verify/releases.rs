//! Images as old releases of nydus-image wrote them: sound, with an advisory for each mark.

use bytes::Bytes;
use image_model::advisory::Oddity;
use lazyoci_image_read::VerifyOptions;

use crate::support::{Golden, golden, lines};

/// The count of blocks in the superblock.
const BLOCKS: usize = 0x424;
/// The extended superblock.
const EXT: usize = 0x480;

fn number(bytes: &[u8], at: usize) -> usize {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize
}

/// The bootstrap of a golden, changed.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Golden {
    let golden = golden("a4-v6-none-sha256");
    let mut bytes = golden.bootstrap.as_ref().unwrap().to_vec();
    change(&mut bytes);
    let bootstrap = Some(Bytes::from(bytes));
    Golden {
        bootstrap,
        ..golden
    }
}

/// nydus-image 2.0 and 2.1 wrote 4096, whatever the count was.
fn constant_blocks(bytes: &mut [u8]) {
    bytes[BLOCKS..BLOCKS + 4].copy_from_slice(&4096u32.to_le_bytes());
}

/// They left the chunk information out of the length of the blob.
fn length_of_the_data(bytes: &mut [u8]) {
    let entry = number(bytes, EXT + 8);
    let chunk_information = number(bytes, entry + 112) as u64;
    bytes[entry + 88..entry + 96].copy_from_slice(&chunk_information.to_le_bytes());
}

/// nydus-image 2.0 did not sort the chunk records.
fn records_in_no_order(bytes: &mut [u8]) {
    let (table, len) = (number(bytes, EXT + 24), number(bytes, EXT + 32));
    assert!(len >= 160, "there is an order");
    let records: Vec<_> = bytes[table..table + len]
        .chunks(80)
        .rev()
        .flatten()
        .copied()
        .collect();
    bytes[table..table + len].copy_from_slice(&records);
}

/// The releases that the advisories name; there are no findings.
fn releases(golden: &Golden) -> Vec<&'static str> {
    for content in [false, true] {
        let options = VerifyOptions::default().content(content);
        let (found, _) = golden.verify(&options);
        assert_eq!(lines(&found), [""; 0]);
    }
    let (_, summary) = golden.verify(&VerifyOptions::default());
    assert!(summary.is_sound());
    let kept = summary.advisories.kept().iter();
    let releases = kept.map(|advisory| match advisory.what {
        Oddity::Release { releases, .. } => releases,
        ref other => panic!("{other}"),
    });
    releases.collect()
}

#[test]
fn images_of_nydus_image_2_0_and_2_1_are_sound() {
    let both = "nydus-image 2.0 and 2.1";
    let blocks = changed(|bytes| constant_blocks(bytes));
    assert_eq!(releases(&blocks), [both]);
    let length = changed(|bytes| length_of_the_data(bytes));
    assert_eq!(releases(&length), [both]);
    let order = changed(|bytes| records_in_no_order(bytes));
    assert_eq!(releases(&order), ["nydus-image 2.0"]);
    let all = changed(|bytes| {
        constant_blocks(bytes);
        length_of_the_data(bytes);
        records_in_no_order(bytes);
    });
    assert_eq!(releases(&all), [both, both, "nydus-image 2.0"]);
    assert_eq!(releases(&golden("a4-v6-none-sha256")), [""; 0]);
}

#[test]
fn other_counts_and_lengths_are_faults() {
    let blocks = changed(|bytes| bytes[BLOCKS] ^= 1);
    let length = changed(|bytes| {
        length_of_the_data(bytes);
        let entry = number(bytes, EXT + 8);
        bytes[entry + 88] ^= 1;
    });
    for golden in [blocks, length] {
        let (found, summary) = golden.verify(&VerifyOptions::default());
        assert!(!found.is_empty() && summary.corrupt > 0);
        assert_eq!(summary.advisories.count(), 0);
    }
}

/// sha256 becomes blake3 in the superblock.
fn default_algorithm(bytes: &mut [u8]) {
    assert_eq!(bytes[EXT] & 0xc, 8);
    bytes[EXT] ^= 0xc;
}

/// It declares its default digest algorithm, whatever the source has. Each blob has its own; where that is wrong, too,
/// whoever looks at the digests is told so.
#[test]
fn the_algorithm_that_nydus_image_optimize_declares() {
    let superblock = changed(|bytes| default_algorithm(bytes));
    let (found, summary) = superblock.verify(&VerifyOptions::default());
    assert_eq!((lines(&found), summary.audit.chunks), (vec![], 2));
    let all = changed(|bytes| {
        default_algorithm(bytes);
        let algorithm = number(bytes, EXT + 8) + 80;
        assert_eq!(bytes[algorithm..algorithm + 4], [1, 0, 0, 0]);
        bytes[algorithm] = 0;
    });
    let (found, _) = all.verify(&VerifyOptions::default());
    let wrong = |line: &&String| line.contains("the algorithm is declared to be blake3");
    let lines = lines(&found);
    assert_eq!(lines.iter().filter(wrong).count(), 2, "{lines:#?}");
}

/// Of the blob that it adds, it says that there is chunk information of version 2, which no feature of the blob says, at
/// byte 0: nydus-image refuses that itself.
#[test]
fn the_chunk_information_that_nydus_image_optimize_declares() {
    let golden = changed(|bytes| {
        let entry = number(bytes, EXT + 8);
        for (at, value) in [(112, 0u64), (120, 2 * 24), (128, 2 * 24)] {
            bytes[entry + at..entry + at + 8].copy_from_slice(&value.to_le_bytes());
        }
    });
    let (found, _) = golden.verify(&VerifyOptions::default());
    let [only] = &lines(&found)[..] else {
        panic!("{found:?}");
    };
    let why = "the blob table entry at byte 4096: ci_uncompressed_size is 0x30, but must be 16 bytes a chunk";
    assert!(only.ends_with(why), "{only}");
}
