//! Trees of any shape, and all that an image says of one.

use std::collections::HashMap;
use std::ops::ControlFlow;

use image_model::image::ChunkRange;
use image_model::metadata::Xattr;
use image_model::walk::Walk;
use image_model::{
    Attributes, Device, Extent, ExtentSource, FileKind, Frame, FrameId, Image, ImagePath, Ino,
    InodeId, Limits, Metadata, Name, Node, Recipe, Timestamp, Tree, Xattrs,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::common::{NONE, Store};

/// All that an image says about one path.
#[derive(Debug, PartialEq)]
pub(crate) struct Facts {
    pub(crate) path: ImagePath,
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

pub(crate) fn facts(image: &dyn Image) -> Vec<Facts> {
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
pub(crate) struct Spec {
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
    let target = prop_oneof![vec(1..255u8, 1..80), vec(1..255u8, 3900..4096),];
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

pub(crate) fn metadatas() -> impl Strategy<Value = Metadata> {
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

pub(crate) fn specs() -> impl Strategy<Value = Vec<Spec>> {
    let spec = (any::<prop::sample::Index>(), names(), kinds(), metadatas());
    let spec = spec.prop_map(|(parent, name, kind, metadata)| Spec {
        parent,
        name,
        kind,
        metadata,
    });
    vec(spec, 0..80)
}

pub(crate) fn build(root: Metadata, specs: Vec<Spec>, store: &mut Store) -> Tree<ChunkRange> {
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
