//! Plans: what is refused, lost, fetched first.

use image_model::ImagePath;
use image_model::{DigestAlgorithm, FileKind, InodeId, Metadata, Name, Node, Tree};
use lazyoci_rafs_format::flags::{BlobFeatures, Compat};
use lazyoci_rafs_format::layout::Loss;
use lazyoci_rafs_format::prefetch_inodes;
use lazyoci_rafs_format::v5::{CannotCarry, EncodeError, Layout, drop_losses, losses};

use crate::common::{Store, Stored, a4_tree, encode, metadata, open, options};

const SHA256: DigestAlgorithm = DigestAlgorithm::Sha256;

fn a4() -> Stored {
    let mut store = Store::new(SHA256, 1 << 20);
    let tree = a4_tree(&mut store);
    store.image(tree).of_v5()
}

/// Release 2.2 places inodes by number, 2.4 depth first; numbers are the same.
#[test]
fn places_are_those_of_the_release() {
    let stored = a4();
    for (compat, expected) in [
        (
            Compat::V2_2,
            [0x415, 0x426, 0x437, 0x448, 0x463, 0x47e, 0x499],
        ),
        (
            Compat::V2_4,
            [0x415, 0x426, 0x464, 0x475, 0x490, 0x437, 0x452],
        ),
    ] {
        let mut options = options(SHA256, 1 << 20);
        options.compat = compat;
        let bytes = encode(&stored, &options).unwrap();
        let table: Vec<u32> = bytes[8192..8220]
            .chunks(4)
            .map(|entry| u32::from_le_bytes(entry.try_into().unwrap()))
            .collect();
        assert_eq!(table, expected, "{compat}");
    }
}

#[test]
fn prefetch_rules_become_numbers() {
    let stored = a4();
    let rules = [&b"d"[..], b"z", b"e", b"missing"].map(|rule| ImagePath::clean(rule).unwrap());
    let mut options = options(SHA256, 1 << 20);
    options.prefetch = prefetch_inodes(&stored.image.tree, &rules);
    let bytes = encode(&stored, &options).unwrap();
    let bootstrap = open(&bytes).unwrap();
    let numbers: Vec<u64> = bootstrap.prefetch().map(|ino| ino.0).collect();
    assert_eq!(numbers, [2, 5]);
    assert_eq!(bootstrap.check(&mut |finding| panic!("{finding}")).names, 7);

    options.prefetch = vec![InodeId::new(99)];
    let error = encode(&stored, &options).unwrap_err();
    assert_eq!(error, EncodeError::Prefetch { inode: 99 });
}

/// Hard links to what is no regular file are refused, or become copies.
#[test]
fn links_to_what_is_no_file() {
    let mut tree = Tree::new(metadata(0o755));
    let link = tree.add(metadata(0o777), Node::Symlink((*b"target").into()));
    for name in [b"a", b"b"] {
        tree.link(InodeId::ROOT, Name::new(*name).unwrap(), link)
            .unwrap();
    }
    let loss = Loss {
        path: ImagePath::clean(b"b").unwrap(),
        what: CannotCarry::HardLink {
            kind: FileKind::Symlink,
        },
    };
    let image = |tree| Store::new(SHA256, 4096).image(tree).of_v5();
    let refused = encode(&image(tree.clone()), &options(SHA256, 4096));
    assert_eq!(refused, Err(loss.clone().into()));

    let mut found = Vec::new();
    drop_losses(&mut tree, &mut |path, what| {
        let path = path.clone();
        found.push(Loss { path, what });
    });
    assert_eq!(found, [loss]);
    losses(&tree, &mut |path, what| {
        panic!("still there: {path}: {what}")
    });
    let bytes = encode(&image(tree), &options(SHA256, 4096)).unwrap();
    let owned = open(&bytes).unwrap().to_chunked().unwrap();
    assert_eq!(
        (owned.image.tree.len(), &owned.image.links[..]),
        (3, &[2, 1, 1][..])
    );
}

#[test]
fn blobs_that_cannot_be_written() {
    let mut stored = a4();
    stored.entries[0].features = BlobFeatures::CAP_TAR_TOC | BlobFeatures::ENCRYPTED;
    let feature = "encrypted blobs";
    let error = EncodeError::Unsupported { index: 0, feature };
    assert_eq!(encode(&stored, &options(SHA256, 1 << 20)), Err(error));
    stored.entries.push(stored.entries[0].clone());
    let error = EncodeError::BlobCount {
        entries: 2,
        blobs: 1,
    };
    assert_eq!(encode(&stored, &options(SHA256, 1 << 20)), Err(error));
}

#[test]
fn a_plan_can_be_printed() {
    let stored = a4();
    let layout = Layout::plan(stored.input(), &options(SHA256, 1 << 20)).unwrap();
    assert_eq!(layout.number(InodeId::ROOT), Some(1));
    assert_eq!(
        layout.to_string(),
        "0x00000000 superblock, 8192 bytes
0x00002000 inode table, 32 bytes
0x00002020 blob table, 72 bytes
0x00002068 extended blob table, 64 bytes
0x00002558 end, 0 bytes
inode 1 /
inode 2 /d
inode 4 /d/h
inode 7 /d/l
inode 3 /e
inode 4 /f
inode 5 /z
"
    );
}

/// Owners are left out if the options say so.
#[test]
fn owners_may_be_left_out() {
    let root = Metadata {
        uid: 7,
        gid: 8,
        ..metadata(0o755)
    };
    let stored = Store::new(SHA256, 4096).image(Tree::new(root));
    for (explicit_ids, expected) in [(true, (7, 8)), (false, (0, 0))] {
        let mut options = options(SHA256, 4096);
        options.explicit_ids = explicit_ids;
        let bytes = encode(&stored, &options).unwrap();
        let root = open(&bytes).unwrap().numbered(1).unwrap();
        assert_eq!((root.uid, root.gid), expected);
    }
}
