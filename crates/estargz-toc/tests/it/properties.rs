//! Trees and TOCs that nobody thought of.

use image_model::metadata::Xattr;
use image_model::{Device, InodeId, Limits, Metadata, Name, Node, Timestamp, Tree, Xattrs};
use lazyoci_estargz_toc::compare::{CompareOptions, compare};
use lazyoci_estargz_toc::image::{ImageOptions, TocBlob, TocKind, decode_image};
use lazyoci_estargz_toc::toc::{EntryType, Toc, TocEntry};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::common::{Options, TreeMaker, blob_id, content, decode};
use verify::sha256;

fn any_metadata() -> impl Strategy<Value = Metadata> {
    let xattrs = vec(
        ("user\\.[a-z\u{e9}<&\"]{1,4}", vec(any::<u8>(), 0..20)),
        0..3,
    );
    let times = prop_oneof![-70_000_000_000i64..300_000_000_000, -3i64..3];
    (
        0u16..0o10000,
        any::<u32>(),
        any::<u32>(),
        times,
        0u32..1_000_000_000,
        xattrs,
    )
        .prop_map(|(mode, uid, gid, seconds, nanoseconds, mut xattrs)| {
            xattrs.sort();
            xattrs.dedup_by(|a, b| a.0 == b.0);
            let xattrs = xattrs.into_iter().map(|(name, value)| Xattr {
                name: name.into_bytes().into(),
                value: value.into(),
            });
            Metadata {
                mode,
                uid,
                gid,
                mtime: Timestamp {
                    seconds,
                    nanoseconds,
                },
                xattrs: Xattrs::new(xattrs).unwrap(),
            }
        })
}

fn any_node() -> impl Strategy<Value = Node<Vec<u8>>> {
    let device = || (any::<u32>(), any::<u32>()).prop_map(|(major, minor)| Device { major, minor });
    prop_oneof![
        4 => vec(any::<u8>(), 0..200).prop_map(|bytes| crate::common::file(&bytes)),
        3 => Just(Node::empty_directory()),
        1 => "[a-z/.\u{e9}]{1,20}".prop_map(|target| Node::Symlink(target.into_bytes().into())),
        1 => device().prop_map(Node::CharDevice),
        1 => device().prop_map(Node::BlockDevice),
        1 => Just(Node::Fifo),
    ]
}

/// Inodes, each put under some directory made before it, some under a second name.
fn any_tree() -> impl Strategy<Value = TreeMaker> {
    let name = "[a-z\u{e9}\n\\\\\"<]{1,3}|x{120}";
    let inode = (
        any_metadata(),
        any_node(),
        any::<u16>(),
        name,
        proptest::option::of(name),
    );
    vec(inode, 0..12).prop_map(|inodes| {
        let mut tree: Tree<Vec<u8>> = Tree::new(Metadata::implied_directory());
        let mut directories = vec![InodeId::ROOT];
        for (metadata, node, parent, name, second) in inodes {
            let parent = directories[usize::from(parent) % directories.len()];
            let directory = matches!(node, Node::Directory(_));
            let name = Name::new(name.into_bytes()).unwrap();
            if tree.lookup(parent, name.as_ref()).is_some() {
                continue;
            }
            let inode = tree.add(metadata, node);
            tree.link(parent, name, inode).unwrap();
            if directory {
                directories.push(inode);
            } else if let Some(second) = second {
                let second = Name::new(second.into_bytes()).unwrap();
                if tree.lookup(InodeId::ROOT, second.as_ref()).is_none() {
                    tree.link(InodeId::ROOT, second, inode).unwrap();
                }
            }
        }
        TreeMaker(tree)
    })
}

fn any_entry() -> impl Strategy<Value = TocEntry<'static>> {
    let kind = prop_oneof![
        4 => Just(EntryType::Reg),
        4 => Just(EntryType::Chunk),
        2 => Just(EntryType::Dir),
        2 => Just(EntryType::Hardlink),
        1 => Just(EntryType::Symlink),
        1 => Just(EntryType::Char),
        1 => Just(EntryType::Unknown("door".into())),
    ];
    let number = || prop_oneof![5 => 0i64..6, 1 => any::<i64>()];
    let name = || {
        prop_oneof![
            Just("a"),
            Just("a/b"),
            Just("b/"),
            Just("./a"),
            Just(".."),
            Just("c")
        ]
    };
    (
        (name(), name(), kind),
        (number(), number(), number(), number(), number()),
        any::<[bool; 3]>(),
    )
        .prop_map(
            |((name, link, kind), (size, offset, inner, at, len), [w, c, same])| {
                let mut entry = TocEntry::new(name, kind);
                entry.link_name = link.into();
                entry.size = size;
                entry.offset = offset;
                entry.inner_offset = inner;
                entry.chunk_offset = at;
                entry.chunk_size = len;
                let digest = |bytes: &[u8]| sha256(bytes).to_string();
                if w {
                    entry.digest = digest(b"1").into();
                }
                if c {
                    entry.chunk_digest = digest(if same { b"1" } else { b"2" }).into();
                }
                entry
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_tree_survives(mut maker in any_tree(), chunk_size in 1u32..150, level in 0u32..9) {
        lazyoci_estargz_toc::carry::reduce(&mut maker.0, &mut |_, _| {});
        let options = Options { chunk_size, level, ..Options::default() };
        let written = maker.write(&options);
        let decoded = decode(&written.blob);
        prop_assert_eq!(&decoded.image.frames, &written.image.frames);
        prop_assert_eq!(&decoded.image.chunks, &written.image.chunks);
        let names = maker.names();
        let theirs = image_model::order::walk(&decoded.image.tree, &Limits::default()).unwrap();
        prop_assert_eq!(names.len(), theirs.len());
        for (ours, theirs) in names.iter().zip(&theirs) {
            prop_assert_eq!(&ours.path, &theirs.path);
            let (left, right) = (maker.0.inode(ours.inode), decoded.image.tree.inode(theirs.inode));
            let mut expected = left.metadata.clone();
            expected.mtime.nanoseconds = 0;
            prop_assert_eq!(&expected, &right.metadata);
            prop_assert_eq!(left.node.device(), right.node.device());
            match (&left.node, &right.node) {
                (Node::File { content: bytes, .. }, Node::File { .. }) => {
                    let found = content(&decoded.image, &written.blob, theirs.inode);
                    prop_assert_eq!(Some(bytes), found.as_ref());
                    prop_assert_eq!(decoded.file_digest(theirs.inode), Some(sha256(bytes)));
                }
                (Node::Symlink(a), Node::Symlink(b)) => prop_assert_eq!(a, b),
                (a, b) => prop_assert_eq!(a.kind(), b.kind()),
            }
        }
        let mut found = Vec::new();
        compare(&decoded, &written.blob[..], &CompareOptions::default(), &mut |d| found.push(d)).unwrap();
        prop_assert_eq!(found, []);
    }

    #[test]
    fn any_toc_is_an_image_or_an_error(entries in vec(any_entry(), 0..8)) {
        let toc = Toc { version: 1, entries };
        let json = toc.to_json();
        prop_assert_eq!(&Toc::from_json(&json, &Limits::default()).unwrap(), &toc);
        let blob = TocBlob { kind: TocKind::Estargz, id: blob_id(), len: 100, content_len: 5 };
        for without_digests in [false, true] {
            let options = ImageOptions::default()
                .without_digests(without_digests)
                .limits(Limits::small());
            let _ = decode_image(&json, blob.clone(), &options);
        }
    }
}
