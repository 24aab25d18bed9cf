//! What is encoded decodes to the same image.

use image_model::image::ChunkRange;
use image_model::metadata::Xattr;
use image_model::{DigestAlgorithm, Image, InodeId, Metadata, Node, Tree, Xattrs};
use lazyoci_rafs_format::flags::Compat;
use lazyoci_rafs_format::v5::{CannotCarry, LayoutOptions, drop_losses};
use proptest::prelude::*;

use crate::common::{Store, Stored, encode, metadata, name, open, options};
use crate::trees::{Facts, build, facts, metadatas, specs};

fn check_round_trip(stored: &Stored, options: &LayoutOptions) {
    let bytes = encode(stored, options).unwrap();
    let bootstrap = open(&bytes).unwrap();
    let expected = facts(&stored.image);
    assert_eq!(facts(&bootstrap), expected);
    let copy = Stored::decoded(&bootstrap);
    assert_eq!(facts(&copy.image), expected);
    assert_eq!(copy.entries, stored.entries);
    bootstrap.check(&mut |finding| panic!("{finding}"));

    for Facts { path, .. } in &expected {
        let mut at = bootstrap.root();
        for component in path.components() {
            at = bootstrap.lookup(at, component).unwrap().expect("listed");
        }
        let missing = name(b"\xff\xff\xff");
        if let Ok(found) = bootstrap.lookup(at, missing.as_ref()) {
            assert_eq!(found, None);
        }
    }
    let bytes_of_copy = encode(&copy, options).unwrap();
    assert!(bytes_of_copy == bytes);
    let superblock = bootstrap.superblock();
    assert_eq!(superblock.inode_table_entries as usize, expected.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn any_tree(root in metadatas(), specs in specs(), bits in 12..15u32, old in any::<bool>()) {
        let chunk_size = 1 << bits;
        let mut store = Store::new(DigestAlgorithm::Sha256, chunk_size as usize);
        let mut tree = build(root, specs, &mut store);
        drop_losses(&mut tree, &mut |path, what| {
            assert!(matches!(what, CannotCarry::HardLink { .. }), "{path}: {what}");
        });
        let mut stored = store.image(tree).of_v5();
        let mut options = options(DigestAlgorithm::Sha256, chunk_size);
        if old {
            options.compat = Compat::V2_2;
            for chunk in &mut stored.image.chunks {
                chunk.crc32c = None;
            }
        }
        check_round_trip(&stored, &options);
    }
}

/// The image of a tree without content, there and back.
fn check_tree(tree: Tree<ChunkRange>) {
    let store = Store::new(DigestAlgorithm::Sha256, 4096);
    let stored = store.image(tree).of_v5();
    check_round_trip(&stored, &options(DigestAlgorithm::Sha256, 4096));
}

#[test]
fn an_empty_tree() {
    check_tree(Tree::new(metadata(0o755)));
}

#[test]
fn ten_thousand_entries() {
    let mut tree = Tree::new(metadata(0o755));
    for number in 0..10_000 {
        let node = match number % 100 {
            0 => Node::empty_directory(),
            _ => Node::Fifo,
        };
        let id = tree.add(metadata(0o644), node);
        let name = name(format!("entry-{number}").as_bytes());
        tree.link(InodeId::ROOT, name, id).unwrap();
    }
    check_tree(tree);
}

#[test]
fn five_hundred_levels() {
    let mut tree = Tree::new(metadata(0o755));
    let mut at = InodeId::ROOT;
    for _ in 0..500 {
        let below = tree.add(metadata(0o755), Node::empty_directory());
        tree.link(at, name(b"level"), below).unwrap();
        at = below;
    }
    check_tree(tree);
}

#[test]
fn the_longest_xattrs() {
    let mut tree = Tree::new(metadata(0o755));
    let xattr = |name: &str, len| Xattr {
        name: name.as_bytes().into(),
        value: vec![b'v'; len].into(),
    };
    for (label, xattr) in [
        ("value", xattr("user.a", 65_536)),
        ("name", xattr(&format!("user.{}", "n".repeat(250)), 1)),
    ] {
        let metadata = Metadata {
            xattrs: Xattrs::new([xattr]).unwrap(),
            ..metadata(0o644)
        };
        for (kind, node) in [
            ("fifo", Node::Fifo),
            ("directory", Node::empty_directory()),
            ("link", Node::Symlink((*b"target").into())),
        ] {
            let id = tree.add(metadata.clone(), node);
            let label = name(format!("{label}-{kind}").as_bytes());
            tree.link(InodeId::ROOT, label, id).unwrap();
        }
    }
    check_tree(tree);
}
