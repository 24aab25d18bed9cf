//! Every bit of small blobs, flipped.

use std::collections::BTreeMap;

use estargz_toc::compare::{CompareOptions, compare};
use estargz_toc::footer::FOOTER_LEN;
use estargz_toc::image::{EstargzImage, ImageOptions};
use image_model::{Digest, InodeId, Node};

use crate::common::{blob_id, content, decode, golden, open};

/// Where a byte of a blob lies.
fn region(decoded: &EstargzImage, toc_offset: usize, len: usize, at: usize) -> &'static str {
    let chunk_at = |frame: &image_model::Frame| {
        let start = frame.offset as usize;
        (start..start + frame.stored_len as usize).contains(&at)
    };
    match at {
        _ if at >= len - FOOTER_LEN => "footer",
        _ if at >= toc_offset => "TOC member",
        _ if decoded.image.frames.iter().any(chunk_at) => "members with content",
        _ => "members with headers",
    }
}

/// What a lazy reader that knows the TOC digest makes of a blob: the files, if it sees no fault.
fn read(blob: &[u8], toc_digest: &Digest) -> Option<Vec<Vec<u8>>> {
    let opened = open(blob).ok()?;
    opened.check(toc_digest).ok()?;
    let decoded = opened.image(blob_id(), &ImageOptions::default()).ok()?;
    let image = &decoded.image;
    let inodes = (0..image.tree.len()).map(|index| InodeId::new(u32::try_from(index).unwrap()));
    inodes
        .filter(|&inode| matches!(image.tree.inode(inode).node, Node::File { .. }))
        .map(|inode| content(image, blob, inode))
        .collect()
}

/// Whether tar and TOC can be read and agree.
fn agrees(blob: &[u8]) -> bool {
    let mut found = 0;
    let options = CompareOptions::default();
    compare(&decode(blob), blob, &options, &mut |_| found += 1).is_ok() && found == 0
}

#[test]
fn every_flip_of_the_toc_or_of_content_is_found() {
    for name in ["vector1.esgz", "vector2.esgz", "vector-0.12.esgz"] {
        let blob = golden(name);
        let opened = open(&blob).unwrap();
        let decoded = decode(&blob);
        let files = read(&blob, &opened.digest).unwrap();
        let mut counts: BTreeMap<&str, (u32, u32, u32)> = BTreeMap::new();
        for byte in 0..blob.len() {
            for bit in 0..8 {
                let mut flipped = blob.clone();
                flipped[byte] ^= 1 << bit;
                let toc_offset = opened.toc_offset as usize;
                let region = region(&decoded, toc_offset, blob.len(), byte);
                let (flips, lazy, whole) = counts.entry(region).or_default();
                *flips += 1;
                match read(&flipped, &opened.digest) {
                    None => {
                        *lazy += 1;
                        *whole += 1;
                    }
                    Some(same) => {
                        // Neither the tree nor a byte of a file has changed.
                        assert!(same == files, "{name}: bit {bit} of byte {byte}");
                        *whole += u32::from(!agrees(&flipped));
                    }
                }
            }
        }
        for (region, (flips, lazy, whole)) in &counts {
            println!("{name}, {region}: of {flips} flips {lazy} found lazily, {whole} reading all");
        }
        let (flips, lazy, _) = counts["footer"];
        assert_eq!(lazy, flips, "{name}");
        // What nobody finds lies in fields of the gzip headers that mean nothing.
        let missed = counts
            .values()
            .map(|(flips, _, whole)| flips - whole)
            .sum::<u32>();
        let headers =
            u32::try_from(blob.windows(3).filter(|w| w == b"\x1f\x8b\x08").count()).unwrap();
        assert!(
            missed <= headers * 7 * 8,
            "{name}: {missed} of {headers} members"
        );
    }
}
