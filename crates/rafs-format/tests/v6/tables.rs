//! The device, blob and prefetch tables: one corruption for each rule.

use image_model::blob::BlobIdError;
use image_model::{BlobId, DigestAlgorithm, Ino, InodeId, Node, Tree};
use lazyoci_rafs_format::DecodeError;
use lazyoci_rafs_format::v6::BlobEntry;

use crate::common::{
    A4, ID, Store, a4, a4_options, encode, field, metadata, name, open, options, patched,
};
use crate::open::refuses;

const EXT: usize = 1152;
const DEVICE: usize = 1408;
const BLOB: usize = 4096;

#[test]
fn device_slots() {
    let expected = field("device slot", DEVICE, "blocks", 0, "not 0");
    refuses(&[(DEVICE + 64, b"\x00")], &expected);
}

#[test]
fn blob_table_entries() {
    let at_most_plain = "at most ci_uncompressed_size";
    let cases: [(usize, &[u8], &str, u64, &str); 12] = [
        (63, b"\x00x", "blob_index", 0x78, "the entry's position"),
        (64, b"\x01", "blob_index", 1, "the entry's position"),
        (
            68,
            b"\x01",
            "chunk_size",
            0x10_0001,
            "that of the extended superblock",
        ),
        (75, b"\x02", "chunk_count", 0x0200_0002, "at most 2^24"),
        (
            93,
            b"\x02",
            "compressed_size",
            0x0200_0000_3735,
            "at most 2^40",
        ),
        (
            101,
            b"\x20",
            "uncompressed_size",
            0x2000_0000_4000,
            "at most 2^44",
        ),
        (
            84,
            b"\x00",
            "features",
            0x4000_0000,
            "either ALIGNED or TARFS",
        ),
        (
            84,
            b"\x41",
            "features",
            0x4000_0041,
            "either ALIGNED or TARFS",
        ),
        (
            84,
            b"\x09",
            "features",
            0x4000_0009,
            "with CHUNK_INFO_V2 if ZRAN, BATCH or ENCRYPTED",
        ),
        (120, b"\x21", "ci_compressed_size", 0x21, at_most_plain),
        (
            128,
            b"\x30",
            "ci_uncompressed_size",
            0x30,
            "16 bytes a chunk",
        ),
        (
            216,
            b"\x02",
            "cipher_algo",
            2,
            "0 (none) or 1 (aes-128-xts)",
        ),
    ];
    for (offset, bytes, name, found, rule) in cases {
        let expected = field("blob table entry", BLOB, name, found, rule);
        refuses(&[(BLOB + offset, bytes)], &expected);
    }
    let rule = "a key whose halves differ, for aes-128-xts";
    let key = field("blob table entry", BLOB, "blob_meta_digest", 7, rule);
    refuses(&[(BLOB + 216, b"\x01"), (BLOB + 168, &[7; 32])], &key);
    let rule = "padded with zeros";
    let id: &[u8] = &[0, b'x'];
    refuses(
        &[(BLOB + 10, id)],
        &field("blob table entry", BLOB, "blob_id", 0x78, rule),
    );
    let rule = "24 bytes a chunk";
    let v2 = field("blob table entry", BLOB, "ci_uncompressed_size", 0x20, rule);
    refuses(&[(BLOB + 84, b"\x05")], &v2);
    let rule = "at least 24 bytes a chunk";
    let batch = field("blob table entry", BLOB, "ci_uncompressed_size", 0x20, rule);
    refuses(&[(BLOB + 84, b"\x85")], &batch);
    let rule = "not both ENCRYPTED and SEPARATE";
    let both = field("blob table entry", BLOB, "features", 0x4000_0115, rule);
    refuses(&[(BLOB + 84, b"\x15\x01")], &both);
}

#[test]
fn blob_ids() {
    let wrong = |id: &[u8]| DecodeError::BlobId {
        offset: 4096,
        source: BlobIdError { id: id.to_vec() },
    };
    refuses(&[(BLOB, &[0; 64])], &wrong(b""));
    let escape = [b"../", &[0; 61][..]].concat();
    refuses(&[(BLOB, &escape)], &wrong(b"../"));
}

#[test]
fn two_blobs_with_one_id() {
    let mut stored = a4(DigestAlgorithm::Sha256);
    let second = BlobEntry {
        id: BlobId::new(b"second").unwrap(),
        ..stored.entries[0].clone()
    };
    stored.image.blobs.push(second.blob());
    stored.entries.push(second);
    let bytes = encode(&stored, &a4_options()).unwrap();
    assert_eq!(open(&bytes).unwrap().devices()[1].mapped_blkaddr, 256);
    let error = open(&patched(&bytes, &[(BLOB + 256, ID.as_bytes())])).unwrap_err();
    let expected = DecodeError::DuplicateBlob {
        first: 0,
        offset: 4352,
    };
    assert_eq!(error, expected);
}

#[test]
fn the_prefetch_table_follows_the_blob_table() {
    let stored = a4(DigestAlgorithm::Sha256);
    let options = a4_options().prefetch(vec![InodeId::new(4), InodeId::new(1)]);
    let bytes = encode(&stored, &options).unwrap();
    let bootstrap = open(&bytes).unwrap();
    assert_eq!(bootstrap.ext_superblock().prefetch_table(), 4352..4360);
    assert_eq!(
        bootstrap.prefetch().collect::<Vec<_>>(),
        [Ino(138), Ino(141)]
    );
    bootstrap.check(&mut |finding| panic!("{finding}"));
    let shorter = open(&patched(&bytes, &[(4356, &[0])])).unwrap();
    assert_eq!(shorter.prefetch().collect::<Vec<_>>(), [Ino(138)]);
    shorter.check(&mut |finding| panic!("{finding}"));
    // Without blobs there is no such table.
    let mut tree = Tree::new(metadata(0o755));
    let fifo = tree.add(metadata(0o600), Node::Fifo);
    tree.link(InodeId::ROOT, name(b"fifo"), fifo).unwrap();
    let stored = Store::new(DigestAlgorithm::Sha256, 4096).image(tree);
    let options = self::options(DigestAlgorithm::Sha256, 4096).prefetch(vec![fifo]);
    let bytes = encode(&stored, &options).unwrap();
    assert_eq!(open(&bytes).unwrap().prefetch().count(), 0);
}

/// As nydus does it: half a prefetch table is none.
#[test]
fn halves_of_a_prefetch_table_are_accepted() {
    for patch in [(EXT + 40, [0x80, 0x13]), (EXT + 48, [4, 0])] {
        let bootstrap = open(&patched(A4, &[(patch.0, &patch.1)])).unwrap();
        assert_eq!(bootstrap.prefetch().count(), 0);
    }
}
