//! Bootstraps made by nydus-image, and the golden vectors of its output.

use image_model::{DigestAlgorithm, InodeId};
use lazyoci_rafs_format::flags::{Compat, SuperFlags};
use lazyoci_rafs_format::v6::{Bootstrap, DataLayout, Layout, LayoutOptions};

use crate::common::{Stored, a4, a4_options, encode, open, options};

macro_rules! golden {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("../goldens/", $name, ".boot")) as &[u8],
        )
    };
}

const A4: [(&str, &[u8]); 5] = [
    golden!("a4-v6-none-sha256"),
    golden!("a4-v6-none-blake3"),
    golden!("a4-v6-zstd-sha256"),
    golden!("a4-v6-lz4_block-blake3"),
    golden!("a4-v6-none-sha256-toc"),
];

/// These have xattrs, which nydus writes in random order.
const ODD: [(&str, &[u8]); 2] = [
    golden!("odd-v6-zstd-sha256-4k"),
    golden!("odd-v6-lz4_block-blake3-64k"),
];

fn again(bootstrap: &Bootstrap) -> Vec<u8> {
    let stored = Stored::decoded(bootstrap);
    let flags = bootstrap.ext_superblock().flags;
    let options = LayoutOptions::default()
        .compat(Compat::V2_2)
        .chunk_size(bootstrap.ext_superblock().chunk_size)
        .compressor(flags.compressor())
        .digester(flags.digester())
        .explicit_ids(flags.contains(SuperFlags::EXPLICIT_UID_GID));
    encode(&stored, &options).unwrap()
}

#[test]
fn decoded_and_encoded_again_they_are_the_same_bytes() {
    for (name, golden) in A4 {
        assert!(again(&open(golden).unwrap()) == golden, "{name}");
    }
}

#[test]
fn with_xattrs_they_are_the_same_image() {
    for (name, golden) in ODD {
        let bootstrap = open(golden).unwrap();
        let bytes = again(&bootstrap);
        assert_eq!(bytes.len(), golden.len(), "{name}");
        let second = open(&bytes).unwrap();
        assert!(second.to_chunked() == bootstrap.to_chunked(), "{name}");
        assert!(again(&second) == bytes, "{name}");
        // Three xattrs of one inode change places, nothing else.
        let differ = bytes.iter().zip(golden).filter(|(a, b)| a != b).count();
        assert_eq!(differ, 34, "{name}");
    }
}

#[test]
fn nothing_is_wrong_with_them() {
    for (name, golden) in A4.into_iter().chain(ODD) {
        let mut findings = Vec::new();
        let summary = open(golden)
            .unwrap()
            .check(&mut |finding| findings.push(finding.to_string()));
        assert_eq!(findings, Vec::<String>::new(), "{name}");
        assert_eq!(summary.findings, 0, "{name}");
    }
}

/// The bootstraps of the specification's appendix A.4 are a function of the tree.
#[test]
fn the_golden_vectors_come_out_byte_for_byte() {
    for (algorithm, compat, expected) in [
        (
            DigestAlgorithm::Sha256,
            Compat::V2_4,
            "3303210bbef7120d0d5ecf7862926c2417eedf7acfad4d2b6c11cee8d10f9f5d",
        ),
        (
            DigestAlgorithm::Blake3,
            Compat::V2_4,
            "1ce7b6b887689d77a9c0a79001fd4481075a54c3ab7a86fabd5f27c83260650d",
        ),
        (
            DigestAlgorithm::Sha256,
            Compat::V2_2,
            "75b633be056ae1c2da5f61979c97d4bd35fa68fff509cbb5209ac6e8f643e939",
        ),
    ] {
        let stored = a4(algorithm);
        let options = options(algorithm, 1 << 20).compat(compat);
        let bytes = encode(&stored, &options).unwrap();
        let digest = verify::digest(DigestAlgorithm::Sha256, &bytes).unwrap();
        assert_eq!(digest.hex(), expected, "{algorithm}, {compat}");
    }
}

/// Appendix A.5.
#[test]
fn the_plan_of_the_worked_example() {
    let stored = a4(DigestAlgorithm::Sha256);
    let layout = Layout::plan(stored.input(), &a4_options()).unwrap();
    let superblock = layout.superblock();
    assert_eq!(superblock.inos, 7);
    assert_eq!((superblock.blocks, superblock.meta_blkaddr), (4, 2));
    let ext = layout.ext_superblock();
    assert_eq!(ext.flags.bits(), 0x0100_0019);
    assert_eq!(ext.blob_table(), 4096..4352);
    assert_eq!(ext.chunk_table(), 16_384..16_544);
    assert_eq!(layout.devices()[0].blocks, 4);
    assert_eq!(layout.devices()[0].mapped_blkaddr, 128);
    let nids: Vec<u64> = (0..6)
        .map(|n| layout.nid(InodeId::new(n)).unwrap())
        .collect();
    assert_eq!(nids, [128, 141, 133, 135, 138, 145]);
    let inline = Some(DataLayout::Inline);
    assert_eq!(layout.data_layout(InodeId::ROOT), inline);
    assert_eq!(
        layout.data_layout(InodeId::new(4)),
        Some(DataLayout::Chunked)
    );
    assert_eq!(
        layout.to_string(),
        "0x00000580 device table, 128 bytes
0x00001000 blob table, 256 bytes
0x00000000 prefetch table, 0 bytes
0x00002000 metadata, 8192 bytes
0x00004000 chunk table, 160 bytes
0x00005000 end, 0 bytes
0x00003000 inode 128 Inline /
0x000031a0 inode 141 Inline /d
0x000030e0 inode 135 Chunked /d/h
0x00003220 inode 145 Inline /d/l
0x000030a0 inode 133 Chunked /e
0x000030e0 inode 135 Chunked /f
0x00003140 inode 138 Chunked /z
"
    );
}

#[test]
fn the_bytes_of_the_worked_example() {
    let stored = a4(DigestAlgorithm::Sha256);
    let bytes = encode(&stored, &a4_options()).unwrap();
    let bootstrap = open(&bytes).unwrap();
    // `f`: extended, chunked; number 4, two names.
    assert_eq!(bytes[0x30e0..0x30e2], [9, 0]);
    assert_eq!(bytes[0x30f0..0x30f4], [0x28, 0, 0, 0]);
    assert_eq!(bytes[0x30f4..0x30f8], [4, 0, 0, 0]);
    assert_eq!(bytes[0x310c..0x3110], [2, 0, 0, 0]);
    assert_eq!(bytes[0x3120..0x3128], [0, 0, 1, 0, 0, 0, 0, 0]);
    // `z`
    assert_eq!(bytes[0x3180..0x3188], [1, 0, 1, 0, 1, 0, 0, 0]);
    // Names of the root, behind six entries.
    assert_eq!(&bytes[0x3040 + 72..0x3040 + 79], b"...defz");

    let records: Vec<_> = bootstrap.chunk_records().collect();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].digest[..4], [0x2c, 0xf2, 0x4d, 0xba]);
    assert_eq!(
        (records[0].flags.bits(), records[0].crc32),
        (16, 0x9a71_bb4c)
    );
    assert_eq!((records[1].index, records[1].crc32), (1, 0x4a42_964f));
    assert_eq!(records[1].compressed_offset, 5);
    assert_eq!(records[1].uncompressed_offset, 4096);
}
