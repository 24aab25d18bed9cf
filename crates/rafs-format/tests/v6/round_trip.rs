//! What is encoded decodes to the same image.

use image_model::image::ChunkRange;
use image_model::metadata::Xattr;
use image_model::{DigestAlgorithm, Image, InodeId, Metadata, Node, Tree, Xattrs};
use lazyoci_rafs_format::flags::Compat;
use lazyoci_rafs_format::v6::LayoutOptions;
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
    }
    let bytes_of_copy = encode(&copy, options).unwrap();
    assert!(bytes_of_copy == bytes);
    assert!(bootstrap.superblock().inos == expected.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn any_tree(root in metadatas(), specs in specs(), bits in 12..15u32, old in any::<bool>()) {
        let chunk_size = 1 << bits;
        let mut store = Store::new(DigestAlgorithm::Sha256, chunk_size as usize);
        let tree = build(root, specs, &mut store);
        let mut stored = store.image(tree);
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
    let stored = store.image(tree);
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

/// Directories whose data end just before, at, and behind the end of a block.
#[test]
fn directories_around_a_block() {
    let mut tree = Tree::new(metadata(0o755));
    for last in 1..=255 {
        let directory = tree.add(metadata(0o755), Node::empty_directory());
        let label = name(format!("d{last}").as_bytes());
        tree.link(InodeId::ROOT, label, directory).unwrap();
        for number in 0..29 {
            let fifo = tree.add(metadata(0o600), Node::Fifo);
            let label = name(format!("{number:0>120}").as_bytes());
            tree.link(directory, label, fifo).unwrap();
        }
        let fifo = tree.add(metadata(0o600), Node::Fifo);
        tree.link(directory, name(&vec![b'z'; last]), fifo).unwrap();
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
    let list = ["user.a", "user.b", "user.c", "user.d"].map(|name| xattr(name, 65_520));
    // Four bytes of header and one of name each: 12 + 4 * 65528 = 262124, and 262148 are possible.
    for (label, list) in [
        ("value", vec![xattr("user.a", 65_535)]),
        ("sum", list.into()),
        ("name", vec![xattr(&format!("user.{}", "n".repeat(255)), 1)]),
    ] {
        let metadata = Metadata {
            xattrs: Xattrs::new(list).unwrap(),
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

/// EROFS goes by larger chunks where that reads the same bytes.
#[test]
fn chunk_formats() {
    let mut store = Store::new(DigestAlgorithm::Sha256, 4096);
    let mut tree = Tree::new(metadata(0o755));
    let distinct = |count: u8| (0..count).flat_map(|n| [n; 4096]).collect::<Vec<u8>>();
    let mut add = |label: &[u8], content: &[u8], store: &mut Store| {
        let id = tree.add(metadata(0o644), store.file(content));
        tree.link(InodeId::ROOT, name(label), id).unwrap();
        id
    };
    let contiguous = add(b"a", &distinct(5), &mut store);
    let one = add(b"b", &[0; 4096], &mut store);
    let shared = add(b"c", &[0; 8192], &mut store);
    let empty = add(b"d", b"", &mut store);
    let stored = store.image(tree);
    let options = options(DigestAlgorithm::Sha256, 4096);
    check_round_trip(&stored, &options);
    let bytes = encode(&stored, &options).unwrap();
    let bootstrap = open(&bytes).unwrap();
    let word = |id: InodeId| {
        let label = [b'a' + id.index() as u8 - 1];
        let ino = bootstrap.lookup(bootstrap.root(), name(&label).as_ref());
        bootstrap.inode(ino.unwrap().unwrap()).unwrap().word
    };
    // 5 chunks of 4 KiB: 32 KiB, 8 blocks.
    assert_eq!(word(contiguous), 0x23);
    assert_eq!([one, shared, empty].map(word), [0x20; 3]);
}
