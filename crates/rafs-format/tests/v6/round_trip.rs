//! What is encoded decodes to the same image.

use std::collections::HashMap;
use std::ops::ControlFlow;

use image_model::image::ChunkRange;
use image_model::metadata::Xattr;
use image_model::walk::Walk;
use image_model::{
    Attributes, Device, DigestAlgorithm, Extent, ExtentSource, FileKind, Frame, FrameId, Image,
    ImagePath, Ino, InodeId, Limits, Metadata, Name, Node, Recipe, Timestamp, Tree, Xattrs,
};
use lazyoci_rafs_format::flags::Compat;
use lazyoci_rafs_format::v6::LayoutOptions;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::common::{NONE, Store, Stored, encode, metadata, name, open, options};

/// All that an image says about one path.
#[derive(Debug, PartialEq)]
struct Facts {
    path: ImagePath,
    /// Place of the inode's first path in the list.
    first: usize,
    attributes: Attributes,
    xattrs: Xattrs,
    target: Option<Box<[u8]>>,
    extents: Vec<(Extent, Option<(Frame, Recipe)>)>,
}

/// An extent, its frame and how that is decoded. Numbers of frames and recipes do not count.
fn told(image: &dyn Image, mut extent: Extent) -> (Extent, Option<(Frame, Recipe)>) {
    let mut stored = None;
    if let ExtentSource::Chunk { frame, .. } = &mut extent.source {
        let id = std::mem::replace(frame, FrameId(0));
        let frame = image.frame(id).unwrap();
        let recipe = image.recipe(frame.recipe).unwrap();
        let recipe_id = NONE;
        let frame = Frame {
            recipe: recipe_id,
            ..frame
        };
        stored = Some((frame, recipe));
    }
    (extent, stored)
}

fn facts(image: &dyn Image) -> Vec<Facts> {
    let mut walk = Walk::new(image, &Limits::default());
    let mut firsts: HashMap<Ino, usize> = HashMap::new();
    let mut list = Vec::new();
    while let Some(entry) = walk.next_entry() {
        let entry = entry.unwrap();
        assert_eq!(entry.entry_kind, entry.attributes.kind);
        let mut extents = Vec::new();
        let mut target = None;
        match entry.attributes.kind {
            FileKind::File => image
                .extents(entry.ino, 0..u64::MAX, &mut |extent| {
                    extents.push(told(image, extent));
                    ControlFlow::Continue(())
                })
                .unwrap(),
            FileKind::Symlink => target = Some(image.symlink_target(entry.ino).unwrap()),
            _ => {}
        }
        let first = *firsts.entry(entry.ino).or_insert(list.len());
        list.push(Facts {
            path: entry.path.clone(),
            first,
            attributes: entry.attributes,
            xattrs: image.xattrs(entry.ino).unwrap(),
            target,
            extents,
        });
    }
    list
}

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

#[derive(Debug, Clone)]
enum Kind {
    Directory,
    File(Vec<u8>),
    Symlink(Vec<u8>),
    Device(bool, u32, u32),
    Fifo,
    Socket,
    Link(prop::sample::Index),
}

#[derive(Debug, Clone)]
struct Spec {
    parent: prop::sample::Index,
    name: Name,
    kind: Kind,
    metadata: Metadata,
}

fn names() -> impl Strategy<Value = Name> {
    let odd = vec(any::<u8>(), 1..20);
    let long = vec(any::<u8>(), 200..256);
    let around_dots = "[-.!][-.\u{1}]{0,2}".prop_map(String::into_bytes);
    let short = "[a-d]{1,2}".prop_map(String::into_bytes);
    prop_oneof![odd, long, around_dots, short]
        .prop_filter_map("no name", |bytes| Name::new(bytes).ok())
}

fn contents() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![Just(4096usize), 1..9000usize];
    prop_oneof![
        Just(Vec::new()),
        vec(any::<u8>(), 1..50),
        // Few distinct bytes, so that chunks are shared.
        (vec((0..3u8, pieces), 1..4)).prop_map(|runs| {
            let run = |(byte, len)| vec![byte; len];
            runs.into_iter().flat_map(run).collect()
        }),
    ]
}

fn kinds() -> impl Strategy<Value = Kind> {
    let target = prop_oneof![vec(1..255u8, 1..80), vec(1..255u8, 3900..4097),];
    prop_oneof![
        3 => Just(Kind::Directory),
        5 => contents().prop_map(Kind::File),
        2 => target.prop_map(Kind::Symlink),
        1 => (any::<bool>(), 0..4096u32, 0..0x10_0000u32)
            .prop_map(|(block, major, minor)| Kind::Device(block, major, minor)),
        1 => Just(Kind::Fifo),
        1 => Just(Kind::Socket),
        3 => any::<prop::sample::Index>().prop_map(Kind::Link),
    ]
}

fn xattrs() -> impl Strategy<Value = Xattrs> {
    let prefixes = prop::sample::select(vec!["user.", "trusted.", "security."]);
    let names = (prefixes, vec(1..255u8, 1..40))
        .prop_map(|(prefix, rest)| [prefix.as_bytes(), &rest].concat());
    let acl = prop::sample::select(vec![
        b"system.posix_acl_access".to_vec(),
        b"system.posix_acl_default".to_vec(),
    ]);
    let value = prop_oneof![8 => vec(any::<u8>(), 0..40), 1 => vec(any::<u8>(), 4000..5000)];
    prop::collection::btree_map(prop_oneof![4 => names, 1 => acl], value, 0..4).prop_map(|map| {
        let xattr = |(name, value): (Vec<u8>, Vec<u8>)| Xattr {
            name: name.into(),
            value: value.into(),
        };
        Xattrs::new(map.into_iter().map(xattr)).unwrap()
    })
}

fn metadatas() -> impl Strategy<Value = Metadata> {
    let xattrs = prop_oneof![3 => Just(Xattrs::default()), 1 => xattrs()];
    (
        0..0o10000u16,
        any::<u32>(),
        any::<u32>(),
        any::<i64>(),
        0..1_000_000_000u32,
        xattrs,
    )
        .prop_map(|(mode, uid, gid, seconds, nanoseconds, xattrs)| Metadata {
            mode,
            uid,
            gid,
            mtime: Timestamp {
                seconds,
                nanoseconds,
            },
            xattrs,
        })
}

fn specs() -> impl Strategy<Value = Vec<Spec>> {
    let spec = (any::<prop::sample::Index>(), names(), kinds(), metadatas());
    let spec = spec.prop_map(|(parent, name, kind, metadata)| Spec {
        parent,
        name,
        kind,
        metadata,
    });
    vec(spec, 0..80)
}

fn build(root: Metadata, specs: Vec<Spec>, store: &mut Store) -> Tree<ChunkRange> {
    let mut tree = Tree::new(root);
    let mut directories = vec![InodeId::ROOT];
    let mut others: Vec<InodeId> = Vec::new();
    for spec in specs {
        let parent = directories[spec.parent.index(directories.len())];
        if tree.lookup(parent, spec.name.as_ref()).is_some() {
            continue;
        }
        let node = match spec.kind {
            Kind::Directory => Node::empty_directory(),
            Kind::File(content) => store.file(&content),
            Kind::Symlink(target) => Node::Symlink(target.into()),
            Kind::Device(true, major, minor) => Node::BlockDevice(Device { major, minor }),
            Kind::Device(false, major, minor) => Node::CharDevice(Device { major, minor }),
            Kind::Fifo => Node::Fifo,
            Kind::Socket => Node::Socket,
            Kind::Link(_) if others.is_empty() => continue,
            Kind::Link(index) => {
                let id = others[index.index(others.len())];
                tree.link(parent, spec.name, id).unwrap();
                continue;
            }
        };
        let is_directory = node.kind() == FileKind::Directory;
        let id = tree.add(spec.metadata, node);
        tree.link(parent, spec.name, id).unwrap();
        if is_directory {
            directories.push(id);
        } else {
            others.push(id);
        }
    }
    tree
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
