//! The content of files: one corruption for each rule.

use std::error::Error as _;
use std::ops::{ControlFlow, Range};

use image_model::image::NoSuchEntry;
use image_model::{
    Blame, BlobIndex, Codec, DigestAlgorithm, ExtentSource, Fault, Frame, FrameId, Image, InodeId,
    Recipe, RecipeId, Tree,
};
use lazyoci_rafs_format::DecodeError;

use crate::common::{Store, encode, field, metadata, name, open, options};
use crate::damage::{F, INO_F, INO_Z, broken, cause, refuses};

#[test]
fn chunk_addresses() {
    let address = F + 64;
    let device = "the position of a blob, plus 1";
    let startblk = "the uncompressed offset of the chunk's record";
    refuses(
        &[(address + 2, &[0])],
        &field("chunk address", address, "device", 0, device),
    );
    refuses(
        &[(address + 2, &[2])],
        &field("chunk address", address, "device", 2, device),
    );
    refuses(
        &[(address + 4, &[1])],
        &field("chunk address", address, "startblk", 1, startblk),
    );
    for (patch, index) in [
        ((address, 2), 2),
        ((address + 1, 1), 256),
        ((address + 3, 1), 0x1_0000),
    ] {
        let expected = DecodeError::ChunkMissing {
            offset: address as u64,
            blob: 0,
            index,
        };
        refuses(&[(patch.0, &[patch.1])], &expected);
    }
    let expected = DecodeError::Truncated {
        what: "chunk addresses",
        offset: address as u64,
        len: 8 << 20,
        available: 20_480,
    };
    refuses(&[(F + 8, &[0, 0, 0, 0, 0, 1])], &expected);
}

#[test]
fn chunk_records() {
    let record = 0x4000;
    let plain = "the bytes that its file has there";
    let stored = "uncompressed_size, as the chunk is not compressed";
    let size = "1 to the chunk size";
    let data = "one that ends inside the blob's data";
    let space = "one that ends inside the blob's uncompressed address space";
    let cases: [(usize, &[u8], &str, u64, &str); 9] = [
        (36, &[0x20], "flags", 0x20, "of known bits"),
        (
            36,
            &[1],
            "flags",
            1,
            "without COMPRESSED, as the blob has no compressor",
        ),
        (44, &[0], "uncompressed_size", 0, size),
        (46, &[0x11], "uncompressed_size", 0x11_0005, size),
        (40, &[4], "compressed_size", 4, stored),
        (49, &[0x28], "compressed_offset", 0x2800, data),
        (48, &[0xff; 8], "compressed_offset", u64::MAX, data),
        (40, &[6, 0, 0, 0, 6], "uncompressed_size", 6, plain),
        (44, &[5, 0, 0, 1], "uncompressed_size", 0x0100_0005, size),
    ];
    for (offset, bytes, name, found, rule) in cases {
        let expected = field("chunk record", record, name, found, rule);
        refuses(&[(record + offset, bytes)], &expected);
    }
    let expected = field("chunk record", record, "uncompressed_offset", 0x4000, space);
    refuses(&[(record + 57, &[0x40]), (F + 68, &[4])], &expected);
    let rule = "less than the blob's number of chunks";
    let expected = field("chunk record", record, "index", 2, rule);
    refuses(&[(record + 72, &[2]), (F + 64, &[2])], &expected);
    for (flag, feature) in [
        (2, "chunks that are holes"),
        (4, "encrypted chunks"),
        (8, "batch chunks"),
    ] {
        let expected = DecodeError::Unsupported {
            structure: "chunk record",
            offset: record as u64,
            feature,
        };
        refuses(&[(record + 36, &[flag])], &expected);
        assert_eq!(expected.fault(), Fault::Unsupported);
    }
}

#[test]
fn compressed_chunks() {
    let record = 0x4000;
    let zstd: (usize, &[u8]) = (4096 + 76, &[3]);
    let bootstrap = broken(&[zstd, (record + 36, &[1]), (record + 40, &[4])]);
    let mut codecs = Vec::new();
    for ino in [INO_F, INO_Z] {
        let result = bootstrap.extents(ino, 0..1, &mut |extent| {
            if let ExtentSource::Chunk { frame, .. } = extent.source {
                let frame = bootstrap.frame(frame).unwrap();
                let recipe = bootstrap.recipe(frame.recipe).unwrap();
                codecs.push((recipe, frame.stored_len, frame.len));
            }
            ControlFlow::Continue(())
        });
        result.unwrap();
    }
    let expected = [(Codec::Zstd, 4, 5), (Codec::None, 10_000, 10_000)];
    let expected = expected.map(|(codec, stored, len)| (Recipe::exact(codec), stored, len));
    assert_eq!(codecs, expected);
    for (stored, found) in [(0, 0), (5, 5), (6, 6)] {
        let rule = "1 or more, and less than uncompressed_size";
        let expected = field("chunk record", record, "compressed_size", found, rule);
        refuses(
            &[zstd, (record + 36, &[1]), (record + 40, &[stored])],
            &expected,
        );
    }
    let expected = DecodeError::Unsupported {
        structure: "chunk record",
        offset: record as u64,
        feature: "chunks in gzip members",
    };
    refuses(&[(4096 + 76, &[2]), (record + 36, &[1])], &expected);
}

/// Metadata of other modes can be read, content is refused by the name of what is missing.
#[test]
fn content_of_other_modes() {
    let v2: (usize, &[u8]) = (4096 + 128, &[48]);
    for (patches, feature) in [
        (vec![(4096 + 84, [0x0d, 0].as_slice()), v2], "zran mode"),
        (
            vec![(4096 + 84, &[0x8d, 0]), v2],
            "batch chunks of a layer as it was",
        ),
        (vec![(4096 + 84, &[5, 1]), v2], "encrypted blobs"),
        (
            vec![(4096 + 216, &[1]), (4096 + 168, &[1])],
            "encrypted blobs",
        ),
        (vec![(4096 + 84, &[1, 8])], "external blobs"),
    ] {
        let bootstrap = broken(&patches);
        assert_eq!(bootstrap.attributes(INO_F).unwrap().size, 5);
        let expected = DecodeError::Unsupported {
            structure: "chunk address",
            offset: F as u64 + 64,
            feature,
        };
        refuses(&patches, &expected);
        let mut findings = Vec::new();
        bootstrap.check(&mut |finding| findings.push(finding.what.to_string()));
        let about = match feature {
            // It lacks the chunk information, and these chunks are not in a gzip layer.
            "zran mode" => {
                "the chunk record at byte 16384: flags is 0x0, but must be that of a chunk \
                            in a gzip layer: COMPRESSED"
                    .into()
            }
            _ => {
                format!("the blob table entry at byte 4096 needs {feature}, which is not supported")
            }
        };
        assert!(findings.contains(&about), "{findings:?}");
    }
}

#[test]
fn extents_of_a_range() {
    let mut store = Store::new(DigestAlgorithm::Blake3, 4096);
    let mut tree = Tree::new(metadata(0o755));
    let content: Vec<u8> = (0..10_000u32).flat_map(u32::to_le_bytes).collect();
    let file = tree.add(metadata(0o644), store.file(&content));
    tree.link(InodeId::ROOT, name(b"file"), file).unwrap();
    let stored = store.image(tree);
    let bytes = encode(&stored, &options(DigestAlgorithm::Blake3, 4096)).unwrap();
    let bootstrap = open(&bytes).unwrap();
    let ino = bootstrap
        .lookup(bootstrap.root(), name(b"file").as_ref())
        .unwrap()
        .unwrap();
    let numbers = |range: Range<u64>| {
        let mut list = Vec::new();
        let result = bootstrap.extents(ino, range, &mut |extent| {
            list.push((extent.file_offset / 4096, extent.len));
            ControlFlow::Continue(())
        });
        result.map(|()| list)
    };
    assert_eq!(numbers(0..0).unwrap(), []);
    assert_eq!(numbers(0..1).unwrap(), [(0, 4096)]);
    assert_eq!(numbers(4095..4097).unwrap(), [(0, 4096), (1, 4096)]);
    assert_eq!(numbers(39_000..u64::MAX).unwrap(), [(9, 3136)]);
    assert_eq!(numbers(40_000..u64::MAX).unwrap(), []);
    assert_eq!(numbers(0..u64::MAX).unwrap().len(), 10);
    let mut first = None;
    let stopped = bootstrap.extents(ino, 0..u64::MAX, &mut |extent| {
        assert_eq!(first.replace(extent), None);
        ControlFlow::Break(())
    });
    stopped.unwrap();
    let digest = match first.unwrap().source {
        ExtentSource::Chunk { digest, crc32c, .. } => {
            assert_eq!(crc32c, Some(verify::crc32c(&content[..4096])));
            digest.unwrap()
        }
        source => panic!("{source:?}"),
    };
    assert_eq!(verify::check(&digest, &content[..4096]), Ok(()));
}

/// A frame's number is the position of its record, whether a file uses it or not.
#[test]
fn frames_by_number() {
    let bootstrap = broken(&[]);
    let frame = |offset, len| Frame {
        blob: BlobIndex(0),
        offset,
        stored_len: len,
        len,
        recipe: RecipeId(0),
    };
    assert_eq!(bootstrap.frame(FrameId(0)).unwrap(), frame(0, 5));
    assert_eq!(bootstrap.frame(FrameId(1)).unwrap(), frame(5, 10_000));
    for index in [2, u32::MAX] {
        let error = bootstrap.frame(FrameId(index)).unwrap_err();
        assert_eq!((error.fault(), error.ino()), (Fault::Misuse, None));
        let (what, count) = ("frame", 2);
        assert_eq!(
            error.source().unwrap().downcast_ref(),
            Some(&NoSuchEntry { what, index, count })
        );
    }
}

#[test]
fn recipes_are_one_for_each_codec() {
    let bootstrap = broken(&[]);
    let recipes: Vec<_> = (0..4).map(|id| bootstrap.recipe(RecipeId(id))).collect();
    let native = [Codec::None, Codec::Lz4Block, Codec::Zstd];
    assert_eq!(recipes[..3], native.map(|codec| Some(Recipe::exact(codec))));
    assert_eq!(recipes[3], None);
}

#[test]
fn frames_of_damaged_records() {
    let record = 0x4000;
    let refused = |patches: &[(usize, &[u8])]| {
        let bootstrap = broken(patches);
        let sound = bootstrap.frame(FrameId(1)).is_ok();
        (cause(&bootstrap.frame(FrameId(0)).unwrap_err()), sound)
    };
    let stored = "uncompressed_size, as the chunk is not compressed";
    let expected = field("chunk record", record, "compressed_size", 4, stored);
    assert_eq!(refused(&[(record + 40, &[4])]), (expected, true));
    let blob = "the position of a blob";
    for (patch, found) in [([1, 0, 0, 0], 1), ([0xff; 4], 0xffff_ffff)] {
        let expected = field("chunk record", record, "blob_index", found, blob);
        assert_eq!(refused(&[(record + 32, &patch)]), (expected, true));
    }
    let external = DecodeError::Unsupported {
        structure: "chunk record",
        offset: record as u64,
        feature: "external blobs",
    };
    assert_eq!(refused(&[(4096 + 84, &[1, 8])]), (external, false));
}
